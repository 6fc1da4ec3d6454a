// SPDX-License-Identifier: Apache-2.0
// store/migrate.h - brings a database to this holdfast's schema, whatever state it is in.
//
// Errors: kTooNew: a later holdfast wrote it; nothing was touched.
#ifndef HOLDFAST_STORE_MIGRATE_H_
#define HOLDFAST_STORE_MIGRATE_H_

#include <sqlite3.h>

#include "hal/base/result.h"
#include "hal/random.h"

namespace holdfast::store {

// All in one transaction; idempotent.
Result<void> Migrate(sqlite3* database, hal::Random& random);

// Another incarnation, and another prefix for the ids that are made here. REQUIRES: a transaction.
Result<void> RenewIncarnation(sqlite3* database, hal::Random& random);

}  // namespace holdfast::store

#endif  // HOLDFAST_STORE_MIGRATE_H_

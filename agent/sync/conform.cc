// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/conform.h"

#include "transport/wire.h"

namespace holdfast::agent {

Result<void> ConformRow(const store::Table& table, RowView row, Arena& arena, RowFields& out) {
  out.clear();
  for (const Field& field : row) {
    Value value = field.value;
    const auto column = table.Lookup(field.name);
    const ColumnType type = column ? column->type : ColumnType::kAny;
    if (column && !IsSystemColumn(field.name)) HF_TRY(wire::Conform(type, arena, value));
    HF_TRY(out.Add(field.name, type, value));
  }
  return Ok();
}

}  // namespace holdfast::agent

// SPDX-License-Identifier: Apache-2.0
// server/host.h - what all connections share, whatever their carrier.
#ifndef HOLDFAST_SERVER_HOST_H_
#define HOLDFAST_SERVER_HOST_H_

#include "server/bulk_service.h"
#include "server/changes.h"
#include "server/devices.h"
#include "server/request_log.h"
#include "server/tables_service.h"
#include "server/upload_service.h"

namespace holdfast::server {

struct Host {
  TablesService& tables;
  BulkService& bulks;
  UploadService& uploads;
  DeviceFile& devices;
  Changes& changes;
  RequestLog& log;
  wire::GzipPacker& packer;
  bool allow_anonymous = false;
  bool draining = false;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_HOST_H_

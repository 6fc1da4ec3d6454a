// SPDX-License-Identifier: Apache-2.0
// Rows in pieces: bytes until they are whole, then the request that they are the body of.
#include "transport/sim/sim_server.h"
#include "transport/wire_gzip.h"

namespace holdfast::transport {
namespace {

SimAnswer Refusal(int status) {
  SimAnswer answer;
  answer.status = status;
  answer.body = "{\"error\":\"not this upload\"}";
  return answer;
}

SimAnswer Offset(int status, std::uint64_t offset) {
  SimAnswer answer;
  answer.status = status;
  answer.is_json = false;
  answer.upload_offset = std::int64_t(offset);
  return answer;
}

}  // namespace

SimAnswer SimServer::BeginUpload(const Request& request) {
  if (request.upload.length > limits::kUploadBytes) return Refusal(413);
  const std::string name = "upload-" + std::to_string(++uploads_begun_);
  Upload& upload = uploads_[name];
  upload.method = request.upload.method;
  upload.table = request.table;
  upload.id = request.id;
  upload.if_match = request.if_match;
  upload.digest = request.upload.digest;
  upload.length = request.upload.length;
  SimAnswer answer = Offset(201, 0);
  answer.upload = name;
  return answer;
}

SimAnswer SimServer::FindUpload(const Request& request) const {
  const auto found = uploads_.find(request.upload.resource);
  if (found == uploads_.end()) return Refusal(404);
  return Offset(204, found->second.bytes.size());
}

SimAnswer SimServer::AppendUpload(const Request& request) {
  const auto found = uploads_.find(request.upload.resource);
  if (found == uploads_.end()) return Refusal(404);
  Upload& upload = found->second;
  uploaded_bytes_ += request.body.size();
  if (request.upload.offset != upload.bytes.size()) return Offset(409, upload.bytes.size());
  upload.bytes += request.body;
  if (upload.bytes.size() > upload.length) return Refusal(400);
  if (upload.bytes.size() < upload.length) return Offset(204, upload.bytes.size());
  if (!upload.final) upload.final = EndUpload(upload);
  return *upload.final;
}

SimAnswer SimServer::EndUpload(Upload& upload) {
  std::string json(limits::kUploadBytes, '\0');
  auto unpacked = wire::Unpack(upload.bytes, json);
  if (!unpacked) return Refusal(400);
  Request request;
  request.method = upload.method;
  request.table = upload.table;
  request.id = upload.id;
  request.if_match = upload.if_match;
  request.body = *unpacked;
  most_bytes_ = limits::kUploadBytes;
  SimAnswer answer = Handle(request);
  most_bytes_ = limits::kRowBytes;
  answer.upload_complete = true;
  answer.upload_offset = std::int64_t(upload.length);
  // As a server that was asked for little.
  if (answer.body.size() > limits::kRowBytes / 16 || answer.status < 300) answer.body.clear();
  answer.version_only = answer.status < 300;
  return answer;
}

}  // namespace holdfast::transport

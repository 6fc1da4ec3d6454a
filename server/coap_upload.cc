// SPDX-License-Identifier: Apache-2.0
// Uploads over CoAP: a resource for each, whose blocks may come in as many sessions as it takes.
#include "hal/base/arena.h"
#include "hal/base/log.h"
#include "server/coap_server.h"
#include "server/credentials.h"
#include "transport/wire_cbor.h"

namespace holdfast::server {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kTagBytes = 8;
constexpr std::size_t kDigestBytes = 32;
constexpr std::int64_t kBusySeconds = 5;
constexpr auto kUploadBytes = static_cast<std::int64_t>(limits::kUploadBytes);

CoapReply Cbor(int dotted, const RowFields& fields) {
  char room[64];
  TextWriter out(room);
  CoapReply reply;
  reply.code = CoapCode(dotted);
  reply.format = kCoapCbor;
  if (wire::EncodeRowCbor(fields.view(), out)) reply.payload = out.view();
  return reply;
}

CoapReply WhereItIs(int dotted, std::int64_t offset) {
  RowFields fields;
  const bool fits = fields.Add("o", ColumnType::kInteger, Value::Integer(offset)).ok();
  return fits ? Cbor(dotted, fields) : CoapReply();
}

CoapReply Describe(const UploadService::Hold& hold) {
  RowFields fields;
  const bool fits =
      fields.Add("o", ColumnType::kInteger, Value::Integer(hold.offset())).ok() &&
      fields.Add("n", ColumnType::kInteger, Value::Integer(hold.upload().length)).ok() &&
      fields.Add("c", ColumnType::kBoolean, Value::Boolean(hold.upload().complete())).ok();
  return fits ? Cbor(205, fields) : CoapReply();
}

CoapReply CannotStore() {
  CoapReply reply = CoapReply::Refuse(503, "the server cannot store uploads at the moment");
  reply.max_age = kBusySeconds;
  return reply;
}

CoapReply GoOn(const CoapBlock& block) {
  CoapReply reply;
  reply.code = CoapCode(231);
  reply.block1 = block;
  return reply;
}

// The version of an If-Match, as HTTP has it.
std::string Tag(std::string_view version) {
  std::string tag = "\"";
  for (const char c : version) {
    if (c == '"' || c == '\\') tag += '\\';
    tag += c;
  }
  return tag + '"';
}

// What the map of a creation says. nullptr: it can be read; otherwise why not.
const char* ReadCreation(const CoapRequest& request, UploadHead& head, std::int64_t& length) {
  if (request.format != kCoapCbor) return "an upload begins with a CBOR map (60)";
  char room[2048];
  Arena arena(room);
  RowFields fields;
  if (!wire::DecodeRowCbor(request.payload, arena, fields)) return "this is no CBOR map";
  head.method = FindText(fields.view(), "m");
  head.target = FindText(fields.view(), "p");
  head.coding = FindText(fields.view(), "c");
  const Field* version = Find(fields.view(), "i");
  if (version != nullptr && version->value.type == ValueType::kText) {
    head.if_match = Tag(version->value.text);
  } else if (version != nullptr) {
    return "\"i\" is the version that is to be changed, as text";
  }
  const Field* bytes = Find(fields.view(), "n");
  if (bytes == nullptr || bytes->value.type != ValueType::kInteger || bytes->value.integer < 0) {
    return "\"n\" is the number of bytes to come";
  }
  length = bytes->value.integer;
  const Field* digest = Find(fields.view(), "d");
  if (digest == nullptr) return nullptr;
  const bool good =
      digest->value.type == ValueType::kBlob && digest->value.text.size() == kDigestBytes;
  if (!good) return "\"d\" is a SHA-256, 32 bytes";
  head.digest = ToHex(digest->value.text);
  return nullptr;
}

}  // namespace

asio::awaitable<CoapReply> CoapServer::ServeUpload(const std::string& device,
                                                   const CoapRequest& request) {
  bool failed = false;
  CoapReply reply;
  try {
    if (request.path.size() == 1) {
      reply = co_await BeginUpload(device, request);
    } else {
      reply = co_await GoOnWithUpload(device, request);
    }
  } catch (const StorageError& error) {
    Log(LogLevel::kError, "uploads: %s", error.what());
    failed = true;
  }
  if (failed) reply = CannotStore();
  co_return reply;
}

asio::awaitable<CoapReply> CoapServer::BeginUpload(const std::string& device,
                                                   const CoapRequest& request) {
  if (request.code != COAP_REQUEST_CODE_POST) co_return CoapReply::Refuse(405, "POST an upload");
  UploadHead head;
  head.device = device;
  head.version = "3.0";
  head.content_type = "application/json";
  head.version_only = true;
  std::int64_t length = -1;
  if (const char* why = ReadCreation(request, head, length)) co_return CoapReply::Refuse(400, why);
  Response response;
  Upload upload;
  if (!host_.uploads.Create(head, length, response, upload)) {
    CoapReply refusal = WriteCoapReply(request, response);
    if (response.status == 413) refusal.size1 = kUploadBytes;
    co_return refusal;
  }
  const UploadService::Stop none;
  UploadService::Hold hold = co_await host_.uploads.Take(upload.id, device, none);
  if (!hold) co_return CannotStore();
  const bool flushed = co_await host_.uploads.Flush(hold);
  if (!flushed) co_return CannotStore();
  CoapReply reply = WhereItIs(201, hold.offset());
  reply.location = {"uploads", upload.id};
  co_return reply;
}

asio::awaitable<CoapReply> CoapServer::GoOnWithUpload(const std::string& device,
                                                      const CoapRequest& request) {
  const std::string& id = request.path[1];
  const UploadService::Stop none;
  UploadService::Hold hold = co_await host_.uploads.Take(id, device, none);
  if (!hold) co_return CoapReply::Refuse(404, "there is no such upload, or no longer");
  if (request.code == COAP_REQUEST_CODE_PUT) {
    CoapReply reply = co_await PutBlock(hold, request);
    co_return reply;
  }
  if (request.code == COAP_REQUEST_CODE_DELETE) {
    Response response;
    CoapReply reply;
    reply.code = CoapCode(202);
    co_return host_.uploads.Remove(hold, response) ? reply : CannotStore();
  }
  if (request.code != COAP_REQUEST_CODE_GET) co_return CoapReply::Refuse(405, "no such method");
  const bool flushed = co_await host_.uploads.Flush(hold);
  co_return flushed ? Describe(hold) : CannotStore();
}

// One block, in its turn. A place that HTTPS has left in the middle of a block cannot be named
// here, so of a block that holds that place its later part is taken.
asio::awaitable<CoapReply> CoapServer::PutBlock(UploadService::Hold& hold,
                                                const CoapRequest& request) {
  const CoapBlock block = request.block1.value_or(CoapBlock{});
  const auto offset = static_cast<std::int64_t>(block.offset());
  const std::size_t size = request.payload.size();
  const std::int64_t end = offset + static_cast<std::int64_t>(size);
  const std::int64_t have = hold.offset(), length = hold.upload().length;
  const std::string_view tag = std::string_view(hold.upload().id).substr(0, kTagBytes);
  const bool closes = !request.block1 && size == 0;  // all blocks are there; their answer was lost
  if (!request.request_tag.empty() && request.request_tag != tag) {
    co_return CoapReply::Refuse(400, "the Request-Tag is another upload's");
  }
  if (request.block1 && (block.more ? size != block.bytes() : size > block.bytes())) {
    co_return CoapReply::Refuse(400, "a block that is not as long as it says");
  }
  if (end > length || (!block.more && !closes && end != length)) {
    co_return CoapReply::Refuse(400, "the upload's length was another");
  }
  UploadService::Hold::Block& last = hold.last_block();
  const bool again = block.more && end == have && last.offset == offset && last.bytes == size;
  if (again) co_return GoOn(block);
  const bool all_there = have == length && (closes || (!block.more && end == length));
  const bool next = !closes && offset <= have && have < end;
  if (!all_there && !next) {
    const bool flushed = co_await host_.uploads.Flush(hold);
    co_return flushed ? WhereItIs(408, hold.offset()) : CannotStore();
  }
  if (next) {
    const std::string_view bytes =
        std::string_view(request.payload).substr(static_cast<std::size_t>(have - offset));
    const bool kept = co_await host_.uploads.Append(hold, bytes);
    if (!kept) co_return CannotStore();
    last = {offset, size};
    if (block.more) co_return GoOn(block);
  }
  CoapReply reply = co_await CompleteUpload(hold, request);
  co_return reply;
}

asio::awaitable<CoapReply> CoapServer::CompleteUpload(UploadService::Hold& hold,
                                                      const CoapRequest& request) {
  const bool flushed = co_await host_.uploads.Flush(hold);
  if (!flushed) co_return CannotStore();
  Response response;
  const TablesService::Form form;
  co_await host_.uploads.Complete(hold, form, response);
  if (response.status < 300) response.body.Truncate(0);
  CoapReply reply = WriteCoapReply(request, response);
  if (request.block1) reply.block1 = CoapBlock{request.block1->number, false, request.block1->szx};
  co_return reply;
}

}  // namespace holdfast::server

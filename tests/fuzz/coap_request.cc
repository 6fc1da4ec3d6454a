// SPDX-License-Identifier: Apache-2.0
// A datagram on its way through the server: libcoap's parser, options, blocks, the operation, and
// an answer of some length back in blocks. The peer lives on, so that inputs meet its state.
#include <coap3/coap.h>

#include <cstdlib>

#include "server/coap_peer.h"
#include "server/coap_server.h"
#include "server/protocol.h"
#include "tests/fuzz/target.h"

using namespace holdfast;
using namespace holdfast::server;

namespace {

constexpr std::size_t kBodyBytes = 4096;
BodyBudget budget{0, 16384};

void Require(bool holds) {
  if (!holds) std::abort();
}

std::string Message(int code, const std::string& options, const std::string& payload) {
  std::string text = {'\x41', static_cast<char>(code), '\x12', '\x34', '\x07'};
  text += options;
  if (!payload.empty()) text += '\xff' + payload;
  return text;
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  const std::string table = "\xb6tables\x08readings", row = table + "\x02r1";
  const std::string cbor = "\xa2\x62id\x62r1\x65value\x01", json = "{\"id\":\"r1\",\"value\":1}";
  return {
      Message(1, table + "\x4d\x03$filter=value gt 1", ""),
      Message(1, row + std::string("\xd0\x01", 2), ""),
      Message(2, table + "\x11\x3c", cbor),
      Message(2, table + "\x11\x32", json),
      Message(6, std::string("\x18VERSION1") + "\xa6tables\x08readings\x02r1\x11\x3c", cbor),
      Message(2, table + "\x11\x32\xd1\x02\x0e", std::string(1024, ' ')),
      Message(2, table + "\x11\x32\xd1\x02\x16", json),
      Message(5, table + "\x11\x3c", "\xa1\x67$filter\x6avalue gt 1"),
      Message(1, table + "\xc1\x16", ""),
      Message(1,
              "\x60\x57"
              "changes",
              ""),
      Message(4, row, ""),
  };
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static CoapPeer peer(budget, kBodyBytes);
  static unsigned inputs = 0;
  coap_set_log_level(COAP_LOG_EMERG);
  coap_pdu_t* pdu = coap_pdu_init(COAP_MESSAGE_CON, COAP_EMPTY_CODE, 0, 1500);
  Require(pdu != nullptr);
  if (coap_pdu_parse(COAP_PROTO_UDP, data, size, pdu) != 0) {
    CoapRequest request = ReadCoapPdu(*pdu);
    if (request.fault == nullptr) {
      std::optional<CoapReply> reply = peer.Blocks(request);
      if (!reply) {
        auto read = ReadCoapRequest(request);
        CoapReply whole = CoapReply::Refuse(400, "refused");
        if (auto* asked = std::get_if<CoapAsked>(&read)) {
          Bind(*asked, request);
          (void)ParseOperation(asked->head, ProtocolLimits{});
          Response response;
          response.body.Append(std::string(size * 17 % 5000, 'x'));
          whole = WriteCoapReply(request, response);
        }
        reply = peer.Cut(request, std::move(whole));
      }
      Require(reply->payload.size() <= 1024);
    }
  }
  coap_delete_pdu(pdu);
  Require(budget.used <= budget.most);
  if (++inputs % 4096 == 0) peer.Forget(CoapPeer::Clock::now() + std::chrono::hours(1));
  return 0;
}

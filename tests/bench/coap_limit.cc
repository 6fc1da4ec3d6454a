// SPDX-License-Identifier: Apache-2.0
// coap_limit HOST PORT TABLE IDENTITY PSKHEX: what libcoap alone can do over DTLS with a pre-shared
// key: posts each line of stdin, one confirmable request after the other, and prints the seconds
// from the first request to the last answer. The limit of a push over CoAP.
#include <arpa/inet.h>
#include <coap3/coap.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

namespace {

int refused = 0;
bool answered = false;

coap_response_t OnResponse(coap_session_t*, const coap_pdu_t*, const coap_pdu_t* received,
                           const coap_mid_t) {
  answered = true;
  if (coap_pdu_get_code(received) != COAP_RESPONSE_CODE_CREATED) ++refused;
  return COAP_RESPONSE_OK;
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

const std::uint8_t* Bytes(const std::string& text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

bool Post(coap_session_t* session, const std::string& table, const std::string& body) {
  coap_pdu_t* pdu = coap_pdu_init(COAP_MESSAGE_CON, COAP_REQUEST_CODE_POST,
                                  coap_new_message_id(session), coap_session_max_pdu_size(session));
  const std::string tables = "tables";
  const std::uint8_t json = COAP_MEDIATYPE_APPLICATION_JSON, token = 1;
  coap_add_token(pdu, 1, &token);
  coap_add_option(pdu, COAP_OPTION_URI_PATH, tables.size(), Bytes(tables));
  coap_add_option(pdu, COAP_OPTION_URI_PATH, table.size(), Bytes(table));
  coap_add_option(pdu, COAP_OPTION_CONTENT_FORMAT, 1, &json);
  coap_add_data(pdu, body.size(), Bytes(body));
  answered = false;
  return coap_send(session, pdu) != COAP_INVALID_MID;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "usage: coap_limit HOST PORT TABLE IDENTITY PSKHEX < rows\n");
    return 2;
  }
  const std::string identity = argv[4], key = FromHex(argv[5]);
  coap_startup();
  coap_context_t* context = coap_new_context(nullptr);
  coap_context_set_block_mode(context, 0);
  coap_register_response_handler(context, OnResponse);
  coap_address_t server;
  coap_address_init(&server);
  server.addr.sin.sin_family = AF_INET;
  server.addr.sin.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[2])));
  inet_pton(AF_INET, argv[1], &server.addr.sin.sin_addr);
  server.size = sizeof server.addr.sin;
  coap_dtls_cpsk_t psk = {};
  psk.version = COAP_DTLS_CPSK_SETUP_VERSION;
  psk.psk_info.identity = {identity.size(), Bytes(identity)};
  psk.psk_info.key = {key.size(), Bytes(key)};
  coap_session_t* session =
      coap_new_client_session_psk2(context, nullptr, &server, COAP_PROTO_DTLS, &psk);
  if (session == nullptr) return 1;
  while (coap_session_get_state(session) != COAP_SESSION_STATE_ESTABLISHED) {
    if (coap_io_process(context, 1000) < 0) return 1;
  }
  const auto start = std::chrono::steady_clock::now();
  for (std::string line; std::getline(std::cin, line);) {
    if (!Post(session, argv[3], line)) return 1;
    while (!answered) coap_io_process(context, 1000);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  coap_session_release(session);
  coap_free_context(context);
  if (refused != 0) {
    std::fprintf(stderr, "coap_limit: %d rows were refused\n", refused);
    return 1;
  }
  std::printf("%.6f\n", seconds.count());
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// A bare libcoap loop that posts rows, one a confirmable request, in one DTLS session with a
// pre-shared key: the limit that `push` over CoAP is measured against. The same library, DTLS,
// server and bytes of a body; no store, no queue, no checks.
//
// usage: bench_coap_limit HOST PORT TABLE IDENTITY KEYFILE [SUITE] < rows
//
// One JSON row a line, made CBOR as the agent does it before the clock starts; prints seconds, the
// handshake among them. SUITE, in Mbed TLS's spelling, is then all that the handshake offers.
#include <arpa/inet.h>
#include <coap3/coap.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "hal/base/arena.h"
#include "transport/wire.h"
#include "transport/wire_cbor.h"

// libcoap offers every suite with a pre-shared key and lets nobody choose; --wrap leads its one
// call here.
static std::array<int, 2> only_suite{};

extern "C" {
void __real_mbedtls_ssl_conf_ciphersuites(mbedtls_ssl_config* config, const int* suites);
void __wrap_mbedtls_ssl_conf_ciphersuites(mbedtls_ssl_config* config, const int* suites);
void __wrap_mbedtls_ssl_conf_ciphersuites(mbedtls_ssl_config* config, const int* suites) {
  __real_mbedtls_ssl_conf_ciphersuites(config, only_suite[0] != 0 ? only_suite.data() : suites);
}
}

namespace {

constexpr std::uint32_t kWaitMs = 1000;
constexpr std::uint8_t kCbor = COAP_MEDIATYPE_APPLICATION_CBOR;

bool waiting = false, failed = false;

coap_response_t OnResponse(coap_session_t*, const coap_pdu_t*, const coap_pdu_t* received,
                           const coap_mid_t) {
  waiting = false;
  if (coap_pdu_get_code(received) != COAP_RESPONSE_CODE_CREATED) failed = true;
  return COAP_RESPONSE_OK;
}

void OnNack(coap_session_t*, const coap_pdu_t*, const coap_nack_reason_t, const coap_mid_t) {
  failed = true;
}

int OnEvent(coap_session_t*, const coap_event_t event) {
  if (event == COAP_EVENT_DTLS_ERROR || event == COAP_EVENT_DTLS_CLOSED) failed = true;
  return 0;
}

const std::uint8_t* Bytes(const std::string& text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

bool ReadKey(const char* path, std::string& key) {
  std::FILE* file = std::fopen(path, "r");
  if (file == nullptr) return false;
  unsigned byte = 0;
  while (std::fscanf(file, "%2x", &byte) == 1) key += char(byte);
  std::fclose(file);
  return !key.empty();
}

// Rows of stdin as CBOR.
bool ReadBodies(std::vector<std::string>& bodies) {
  std::vector<char> memory(1 << 16), room(1 << 16), line(1 << 16);
  holdfast::Arena arena(memory);
  while (std::fgets(line.data(), int(line.size()), stdin) != nullptr) {
    arena.Reset();
    holdfast::RowFields fields;
    holdfast::TextWriter cbor(room);
    if (!holdfast::wire::DecodeRow(line.data(), arena, fields)) return false;
    if (!holdfast::wire::EncodeRowCbor(fields.view(), cbor)) return false;
    bodies.emplace_back(cbor.view());
  }
  return true;
}

coap_session_t* Connect(coap_context_t* context, char** argv, const std::string& key) {
  coap_address_t server;
  coap_address_init(&server);
  server.addr.sin.sin_family = AF_INET;
  server.addr.sin.sin_port = htons(std::uint16_t(std::atoi(argv[2])));
  server.size = sizeof server.addr.sin;
  if (inet_pton(AF_INET, argv[1], &server.addr.sin.sin_addr) != 1) return nullptr;
  coap_dtls_cpsk_t psk = {};
  psk.version = COAP_DTLS_CPSK_SETUP_VERSION;
  psk.psk_info.identity = {std::strlen(argv[4]), reinterpret_cast<const std::uint8_t*>(argv[4])};
  psk.psk_info.key = {key.size(), Bytes(key)};
  coap_session_t* session =
      coap_new_client_session_psk2(context, nullptr, &server, COAP_PROTO_DTLS, &psk);
  while (session != nullptr && !failed &&
         coap_session_get_state(session) != COAP_SESSION_STATE_ESTABLISHED) {
    if (coap_io_process(context, kWaitMs) < 0) failed = true;
  }
  return session;
}

bool Post(coap_session_t* session, const std::string& table, std::uint64_t number,
          const std::string& body) {
  const std::string tables = "tables";
  std::uint8_t token[8];
  coap_pdu_t* pdu = coap_pdu_init(COAP_MESSAGE_CON, COAP_REQUEST_CODE_POST,
                                  coap_new_message_id(session), coap_session_max_pdu_size(session));
  coap_add_token(pdu, coap_encode_var_safe8(token, sizeof token, number), token);
  coap_add_option(pdu, COAP_OPTION_URI_PATH, tables.size(), Bytes(tables));
  coap_add_option(pdu, COAP_OPTION_URI_PATH, table.size(), Bytes(table));
  coap_add_option(pdu, COAP_OPTION_CONTENT_FORMAT, 1, &kCbor);
  coap_add_data(pdu, body.size(), Bytes(body));
  waiting = true;
  return coap_send(session, pdu) != COAP_INVALID_MID;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6 && argc != 7) {
    std::fprintf(stderr,
                 "usage: bench_coap_limit HOST PORT TABLE IDENTITY KEYFILE [SUITE] < rows\n");
    return 2;
  }
  std::string key;
  std::vector<std::string> bodies;
  if (!ReadKey(argv[5], key) || !ReadBodies(bodies)) {
    std::fprintf(stderr, "bench_coap_limit: no key, or a line that is no row\n");
    return 2;
  }
  if (argc == 7) only_suite[0] = mbedtls_ssl_get_ciphersuite_id(argv[6]);
  if (argc == 7 && only_suite[0] == 0) {
    std::fprintf(stderr, "bench_coap_limit: no such suite\n");
    return 2;
  }
  coap_startup();
  coap_context_t* context = coap_new_context(nullptr);
  coap_context_set_block_mode(context, 0);
  coap_register_response_handler(context, &OnResponse);
  coap_register_nack_handler(context, &OnNack);
  coap_register_event_handler(context, &OnEvent);

  const auto start = std::chrono::steady_clock::now();
  coap_session_t* session = Connect(context, argv, key);
  std::size_t sent = 0;
  while (session != nullptr && !failed && sent < bodies.size()) {
    if (!Post(session, argv[3], sent + 1, bodies[sent])) failed = true;
    while (waiting && !failed) coap_io_process(context, kWaitMs);
    if (!failed) ++sent;
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;

  if (session == nullptr || failed) {
    std::fprintf(stderr, "bench_coap_limit: %zu of %zu rows, then it failed\n", sent,
                 bodies.size());
    return 1;
  }
  coap_session_release(session);
  coap_free_context(context);
  std::printf("%.6f\n", seconds.count());
  return 0;
}

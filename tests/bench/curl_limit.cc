// SPDX-License-Identifier: Apache-2.0
// A bare libcurl loop that posts rows, one a request, over one kept connection: the limit that
// `push` is measured against. The same library, TLS and server; no store, no queue, no checks.
//
// usage: bench_curl_limit URL CA CERT KEY < bodies      (one JSON body a line; prints seconds)
#include <curl/curl.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace {

std::size_t Discard(char*, std::size_t size, std::size_t count, void*) { return size * count; }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_curl_limit URL CA CERT KEY < bodies\n");
    return 2;
  }
  std::vector<std::string> bodies;
  char line[65536];
  while (std::fgets(line, sizeof line, stdin) != nullptr) bodies.emplace_back(line);
  curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL* curl = curl_easy_init();
  curl_slist* headers = curl_slist_append(nullptr, "Content-Type: application/json");
  headers = curl_slist_append(headers, "ZUMO-API-VERSION: 2.0.0");
  headers = curl_slist_append(headers, "Expect:");
  curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
  curl_easy_setopt(curl, CURLOPT_CAINFO, argv[2]);
  curl_easy_setopt(curl, CURLOPT_SSLCERT, argv[3]);
  curl_easy_setopt(curl, CURLOPT_SSLKEY, argv[4]);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, Discard);
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& body : bodies) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, long(body.size()));
    const CURLcode code = curl_easy_perform(curl);
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK || status != 201) {
      std::fprintf(stderr, "bench_curl_limit: %s, status %ld\n", curl_easy_strerror(code), status);
      return 1;
    }
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%.6f\n", seconds.count());
  curl_easy_cleanup(curl);
  curl_slist_free_all(headers);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// holdfast: makes the concrete classes and hands the rest to the command line.
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <mbedtls/version.h>
#include <sqlite3.h>

#include <array>
#include <cstdio>
#include <memory>

#include "agent/cli/commands.h"
#include "agent/cli/signals.h"
#include "agent/platform/linux_parts.h"
#include "agent/platform/memory_hooks.h"
#include "hal/linux/linux_clock.h"
#include "hal/linux/linux_random.h"
#include "hal/linux/linux_storage.h"

namespace holdfast::agent {
namespace {

class LinuxPlatform : public Platform {
 public:
  LinuxPlatform() {
    mbedtls_version_get_string(mbedtls_version_);
    const curl_version_info_data* curl = curl_version_info(CURLVERSION_NOW);
    libraries_ = {{{"sqlite", sqlite3_libversion()},
                   {"mbedtls", mbedtls_version_},
                   {"libcurl", curl->version},
                   {"cjson", cJSON_Version()},
                   {"zlib", curl->libz_version != nullptr ? curl->libz_version : "none"}}};
  }

  hal::Clock& clock() override { return clock_; }
  hal::Random& random() override { return random_; }
  hal::Storage& storage() override { return storage_; }
  const char* version() const override { return HOLDFAST_VERSION; }
  std::span<const Library> libraries() const override { return libraries_; }

  std::unique_ptr<hal::Link> MakeLink(const config::Config& config) override {
    return platform::MakeLink(config);
  }
  Result<std::unique_ptr<transport::Transport>> MakeTransport(
      const config::Config& config, std::string_view installation_id) override {
    return platform::MakeTransport(config, installation_id, "holdfast/" HOLDFAST_VERSION, clock_);
  }

 private:
  hal::LinuxClock clock_;
  hal::LinuxRandom random_;
  hal::LinuxStorage storage_;
  char mbedtls_version_[16] = {};
  std::array<Library, 5> libraries_;
};

int Main(int argc, char** argv) {
  if (!platform::InstallMemoryHooks()) {
    std::fputs("holdfast: no memory\n", stderr);
    return int(Exit::kFailed);
  }
  CatchSignals();
  LinuxPlatform platform;
  const std::span<const char* const> words(argv + (argc > 0 ? 1 : 0),
                                           std::size_t(argc > 0 ? argc - 1 : 0));
  return int(RunProgram(platform, words));
}

}  // namespace
}  // namespace holdfast::agent

int main(int argc, char** argv) { return holdfast::agent::Main(argc, argv); }

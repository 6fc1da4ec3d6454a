// SPDX-License-Identifier: Apache-2.0
// Who is let in: the device file, certificates and tokens, and the decision for each request.
#include "server/devices.h"

#include <CppUTest/TestHarness.h>
#include <stdlib.h>
#include <unistd.h>

#include <stdexcept>

#include "server/access.h"
#include "server/credentials.h"
#include "server/files.h"

using namespace holdfast::server;

namespace {

Devices Two() {
  Devices devices;
  Device one;
  one.name = "one";
  one.certificate_sha256 = {"aa"};
  one.token_sha256 = Sha256Hex("secret-one");
  devices.Add(one);
  Device two;
  two.name = "two";
  two.certificate_sha256 = {"bb"};
  two.token_sha256 = Sha256Hex("secret-two");
  devices.Add(two);
  return devices;
}

bool In(const Devices& devices, const PeerIdentity& peer, const char* zumo, const char* bearer,
        bool anonymous = false) {
  return Authorize(devices, peer, zumo, bearer, anonymous).allowed;
}

bool Refused(const char* text) {
  try {
    Devices::Parse(text, "test");
  } catch (const std::runtime_error&) {
    return true;
  }
  return false;
}

}  // namespace

TEST_GROUP(Devices){void setup() override{StartCrypto();
}
}
;

TEST(Devices, Decisions) {
  Devices devices = Two();
  const PeerIdentity one{"one", "aa"}, forged{"one", "cc"}, stranger{"three", "aa"};
  CHECK(In(devices, one, "", ""));
  CHECK_FALSE(In(devices, forged, "", ""));
  CHECK_FALSE(In(devices, stranger, "", ""));
  CHECK_FALSE(In(devices, {}, "", ""));
  CHECK(In(devices, {}, "", "", true));
  CHECK(In(devices, {}, "secret-one", ""));
  CHECK(In(devices, {}, "bearer secret-one", ""));
  CHECK(In(devices, {}, "", "Bearer secret-two"));
  CHECK_FALSE(In(devices, {}, "", "Basic secret-two"));
  CHECK_FALSE(In(devices, {}, "wrong", "", true));
  CHECK_FALSE(In(devices, forged, "", "", true));
  CHECK(In(devices, one, "secret-one", ""));
  CHECK_FALSE(In(devices, one, "secret-two", ""));
  CHECK_FALSE(In(devices, one, "wrong", ""));
  devices.Revoke("one");
  CHECK_FALSE(In(devices, one, "", ""));
  CHECK_FALSE(In(devices, {}, "secret-one", ""));
  CHECK_FALSE(In(devices, {}, "secret-one", "", true));
  CHECK(In(devices, {}, "secret-two", ""));
}

TEST(Devices, TheFileComesBackAsItWas) {
  Devices devices = Two();
  devices.Revoke("two");
  const Devices again = Devices::Parse(devices.Text(), "test");
  LONGS_EQUAL(2, again.all().size());
  CHECK(again.ByName("two")->revoked);
  CHECK(again.ByToken("secret-one") != nullptr);
  CHECK(again.ByToken("secret-two") == nullptr);
}

TEST(Devices, BadFilesAreErrors) {
  for (const char* text : {"", "[]", "{}", "{\"devices\":{}}", "{\"devices\":[1]}",
                           "{\"devices\":[{}]}", "{\"devices\":[{\"name\":1}]}"}) {
    CHECK_TEXT(Refused(text), text);
  }
  // What is not a plain `false` keeps a device out.
  const Devices odd = Devices::Parse(
      "{\"devices\":[{\"name\":\"x\",\"revoked\":\"no\",\"certificate_sha256\":[\"aa\"]}]}",
      "test");
  CHECK(odd.ByCertificate({"x", "aa"}) == nullptr);
}

TEST(Devices, AChangedFileIsTakenOverAndABrokenOneIsNot) {
  char folder[] = "/tmp/holdfast-devices-XXXXXX";
  CHECK(mkdtemp(folder) != nullptr);
  const std::string path = std::string(folder) + "/devices.json";
  WriteNewFile(path, Two().Text(), 0600);
  DeviceFile file(path);
  CHECK(file.devices().ByToken("secret-one") != nullptr);
  Devices changed = Two();
  changed.Revoke("one");
  ReplaceFile(path, changed.Text(), 0600);
  file.Refresh();
  CHECK(file.devices().ByToken("secret-one") == nullptr);
  ReplaceFile(path, "{", 0600);
  file.Refresh();
  CHECK(file.devices().ByToken("secret-two") != nullptr);
  unlink(path.c_str());
  rmdir(folder);
}

TEST(Devices, Names) {
  for (const char* good : {"device1", "a", "A-b_c.d", "0"}) CHECK_TEXT(IsDeviceName(good), good);
  for (const char* bad :
       {"", "ca", "server", "a/b", "..", "-a", ".a", "a b", "a,O=b", "\xc3\xa9"}) {
    CHECK_FALSE_TEXT(IsDeviceName(bad), bad);
  }
  CHECK_FALSE(IsDeviceName(std::string(65, 'a')));
}

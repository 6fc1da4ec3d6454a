// SPDX-License-Identifier: Apache-2.0
// The real link in a network of its own: a child process leaves the machine's network (which needs
// privileges; without them those tests say so and pass) and makes a cable with two ends.
#include "hal/linux/linux_link.h"

#include <poll.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include <CppUTest/TestHarness.h>

namespace holdfast::hal {

namespace {

constexpr int kSkipped = 77;

bool Run(const char* command) { return std::system(command) == 0; }

// The kernel notes a carrier when its link watcher gets to it, so both ends are waited for.
bool MakeCable() {
  return Run(
      "exec 2>/dev/null; ip link add hf0 type veth peer name hf1 && ip link set lo up && "
      "ip link set hf0 addrgenmode none && ip link set hf1 addrgenmode none && "
      "ip link set hf0 up && ip link set hf1 up && timeout 10 sh -c '"
      "until [ $(ip -oneline link show up | grep -c \"state UP\") = 2 ]; do sleep 0.01; done'");
}

// Runs `test` in an empty network; its result is the number of the step that failed, or 0.
void InOwnNetwork(int (*test)()) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNET) != 0 || !MakeCable()) _exit(kSkipped);
    _exit(test());
  }
  int status = 0;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  if (WEXITSTATUS(status) == kSkipped) {
    UT_PRINT("skipped: no right to make a network, or no ip command");
    return;
  }
  LONGS_EQUAL_TEXT(0, WEXITSTATUS(status), "the number of the step that failed");
}

bool Readable(int fd, int wait_ms = 0) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, wait_ms) == 1;
}

// The same for a carrier that is lost: waits for news until the state is `wanted`.
LinkStatus Awaited(LinkState wanted, LinuxLink& link) {
  constexpr int kLongMs = 10000;
  LinkStatus status = link.Status();
  while (status.state != wanted && Readable(link.poll_fd(), kLongMs)) status = link.Status();
  return status;
}

int UpAndDown() {
  LinuxLink link;
  if (link.Status().state != LinkState::kDown) return 1;  // a loopback address is none
  if (!Run("ip addr add 10.99.0.1/24 dev hf0")) return 2;
  if (!Readable(link.poll_fd())) return 3;
  const LinkStatus up = link.Status();
  if (up.state != LinkState::kUp) return 4;
  if (Readable(link.poll_fd())) return 5;
  if (link.Status().epoch != up.epoch) return 6;  // nothing happened
  if (!Run("ip link set hf1 down")) return 7;     // the cable is pulled
  const LinkStatus down = Awaited(LinkState::kDown, link);
  if (down.state != LinkState::kDown || down.epoch == up.epoch) return 8;
  if (!Run("ip link set hf1 up && ip addr del 10.99.0.1/24 dev hf0")) return 9;
  if (link.Status().state != LinkState::kDown) return 10;
  return 0;
}

int FlapsAndNoise() {
  LinuxLink link;
  if (!Run("ip addr add 10.99.0.1/24 dev hf0 && ip addr add 10.98.0.1/24 dev hf1")) return 1;
  const LinkStatus before = link.Status();
  if (before.state != LinkState::kUp) return 2;
  // A renewed lease is no news.
  if (!Run("ip addr change 10.99.0.1/24 dev hf0 valid_lft 1000 preferred_lft 1000")) return 3;
  if (link.Status().epoch != before.epoch) return 4;
  // Down and up again while nobody looked.
  if (!Run("ip link set hf1 down && ip link set hf1 up")) return 5;
  const LinkStatus after = Awaited(LinkState::kUp, link);
  if (after.state != LinkState::kUp || after.epoch == before.epoch) return 6;
  // A way out appears although the addresses stay.
  if (!Run("ip route add default via 10.99.0.2 dev hf0")) return 7;
  if (link.Status().epoch == after.epoch) return 8;
  return 0;
}

int LinkLocalOnly() {
  LinuxLink link;
  if (!Run("ip addr add 169.254.7.7/16 dev hf0 scope link")) return 1;
  if (link.Status().state != LinkState::kUnknown) return 2;
  return 0;
}

int ServerOnLoopback() {
  LinuxLink link({.server_on_loopback = true, .cost = LinkCost::kMetered});
  const LinkStatus alone = link.Status();
  if (alone.state != LinkState::kUnknown || alone.cost != LinkCost::kMetered) return 1;
  if (!Run("ip addr add 10.99.0.1/24 dev hf0")) return 2;
  if (link.Status().state != LinkState::kUnknown) return 3;
  return 0;
}

int ManyAddresses() {
  // More than one datagram of a dump holds.
  if (!Run("for i in $(seq 1 250); do echo addr add 10.99.$i.1/24 dev hf0; done | ip -batch -")) {
    return kSkipped;
  }
  LinuxLink link;
  const LinkStatus all = link.Status();
  if (all.state != LinkState::kUp) return 1;
  if (!Run("ip addr del 10.99.250.1/24 dev hf0")) return 2;
  if (link.Status().epoch == all.epoch) return 3;
  return 0;
}

}  // namespace

TEST_GROUP(LinuxLink){};

TEST(LinuxLink, UpWithAnAddressAndACarrierDownWithout) { InOwnNetwork(UpAndDown); }
TEST(LinuxLink, AFlapIsSeenAndNoiseIsNot) { InOwnNetwork(FlapsAndNoise); }
TEST(LinuxLink, LinkLocalAddressesProveNothing) { InOwnNetwork(LinkLocalOnly); }
TEST(LinuxLink, InterfacesSayNothingAboutAServerOnThisHost) { InOwnNetwork(ServerOnLoopback); }
TEST(LinuxLink, ALongListOfAddressesIsReadWhole) { InOwnNetwork(ManyAddresses); }

TEST(LinuxLink, AsksAsOftenAsOneLikes) {
  LinuxLink link;
  const LinkStatus first = link.Status();
  for (int i = 0; i < 1000; ++i) CHECK(link.Status().epoch >= first.epoch);
}

}  // namespace holdfast::hal

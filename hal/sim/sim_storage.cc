// SPDX-License-Identifier: Apache-2.0
#include "hal/sim/sim_storage.h"

#include <algorithm>
#include <cerrno>

#include "hal/sim/sim_inode.h"

namespace holdfast::hal {
namespace sim {
namespace {

constexpr std::uint64_t kSectorBytes = 512;

void Apply(std::string& file, std::uint64_t offset, std::string_view bytes) {
  if (file.size() < offset + bytes.size()) file.resize(offset + bytes.size());
  file.replace(offset, bytes.size(), bytes);
}

// The sectors of one write arrive or do not, each for itself.
void ApplyTorn(std::string& file, const Change& change, Prng& prng) {
  std::string_view rest = change.bytes;
  std::uint64_t offset = change.offset;
  while (!rest.empty()) {
    const std::uint64_t room = kSectorBytes - offset % kSectorBytes;
    const std::string_view sector = rest.substr(0, room);
    if (prng.Chance(50)) Apply(file, offset, sector);
    rest.remove_prefix(sector.size());
    offset += sector.size();
  }
}

}  // namespace

void Inode::Write(std::uint64_t offset, std::string_view bytes) {
  Apply(content, offset, bytes);
  changes.push_back({false, offset, std::string(bytes)});
}

void Inode::Truncate(std::uint64_t size) {
  content.resize(size);
  changes.push_back({true, size, {}});
}

void Inode::Sync() {
  for (const Change& change : changes) {
    if (change.truncate)
      durable.resize(change.offset);
    else
      Apply(durable, change.offset, change.bytes);
  }
  changes.clear();
}

void Inode::Cut(Prng& prng) {
  for (const Change& change : changes) {
    const std::uint64_t fate = prng.Below(3);
    if (fate == 0) continue;
    if (change.truncate)
      durable.resize(change.offset);
    else if (fate == 1)
      Apply(durable, change.offset, change.bytes);
    else
      ApplyTorn(durable, change, prng);
  }
  changes.clear();
  content = durable;
}

}  // namespace sim

namespace {

std::uint64_t Digest(std::uint64_t digest, std::uint64_t value) {
  return Prng(digest ^ value).Next();
}

}  // namespace

Result<StorageSpace> SimStorage::Space(const char*) {
  const std::uint64_t used = used_bytes();
  return StorageSpace{capacity_bytes_ > used ? capacity_bytes_ - used : 0, capacity_bytes_};
}

void SimStorage::Inject(const SimFault& fault) {
  HF_ASSERT(fault.at > 0 && fault.times > 0);
  faults_.push_back({fault});
}

void SimStorage::PowerCut() {
  powered_ = false;
  // Shared memory stays until its users close: SQLite still points into it.
  for (auto& [path, inode] : files_) inode->Cut(prng_);
}

void SimStorage::PowerOn() {
  HF_ASSERT(open_files_ == 0);
  powered_ = true;
}

bool SimStorage::FlipBits(std::string_view path, std::uint64_t offset, std::uint8_t mask) {
  const auto inode = Find(path);
  if (inode == nullptr || offset >= inode->content.size()) return false;
  inode->Sync();
  inode->content[offset] = char(inode->content[offset] ^ mask);
  inode->durable[offset] = inode->content[offset];
  return true;
}

std::uint64_t SimStorage::used_bytes() const {
  std::uint64_t used = 0;
  for (const auto& [path, inode] : files_) used += inode->content.size();
  return used;
}

std::uint64_t SimStorage::unsynced_writes() const {
  std::uint64_t count = 0;
  for (const auto& [path, inode] : files_) count += inode->changes.size();
  return count;
}

SimImage SimStorage::Image() const {
  SimImage image;
  for (const auto& [path, inode] : files_) image[path] = inode->content;
  return image;
}

void SimStorage::Restore(const SimImage& image) {
  HF_ASSERT(open_files_ == 0);
  files_.clear();
  for (const auto& [path, bytes] : image) {
    auto inode = std::make_shared<sim::Inode>();
    inode->content = inode->durable = bytes;
    files_[path] = std::move(inode);
  }
}

int SimStorage::Enter(SimCall call, std::string_view path, std::uint64_t offset, std::uint64_t size,
                      bool* power_cut) {
  *power_cut = false;
  if (!powered_) return ErrorOf(call, EIO);
  ++calls_[std::size_t(call)];
  trace_ = Digest(Digest(Digest(trace_, std::uint64_t(call)), offset), size);
  for (const char c : path) trace_ = Digest(trace_, std::uint64_t(c));

  int error_number = 0;
  for (ArmedFault& armed : faults_) {
    const SimFault& fault = armed.fault;
    if (fault.on != call || !path.ends_with(fault.file)) continue;
    ++armed.seen;
    if (armed.seen < fault.at || armed.seen - fault.at >= fault.times) continue;
    ++faults_fired_;
    if (fault.effect == SimEffect::kPowerCut)
      *power_cut = true;
    else
      error_number = fault.effect == SimEffect::kNoSpace ? ENOSPC : EIO;
  }
  std::erase_if(faults_, [](const ArmedFault& armed) {
    return armed.seen >= armed.fault.at && armed.seen - armed.fault.at + 1 >= armed.fault.times;
  });
  return error_number == 0 ? SQLITE_OK : ErrorOf(call, error_number);
}

// As SQLite's own unix VFS translates them.
int SimStorage::ErrorOf(SimCall call, int error_number) {
  last_errno_ = error_number;
  switch (call) {
    case SimCall::kWrite: return error_number == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    case SimCall::kSync: return error_number == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_FSYNC;
    case SimCall::kRead: return SQLITE_IOERR_READ;
    case SimCall::kOpen: return SQLITE_CANTOPEN;
    case SimCall::kDelete: return SQLITE_IOERR_DELETE;
    case SimCall::kTruncate: return SQLITE_IOERR_TRUNCATE;
  }
  return SQLITE_IOERR;
}

std::shared_ptr<sim::Inode> SimStorage::Find(std::string_view path) const {
  const auto found = files_.find(path);
  return found == files_.end() ? nullptr : found->second;
}

}  // namespace holdfast::hal

#include "actors/fabric/lent_memory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace ds::fabric {
namespace {

class Mapped {
 public:
  explicit Mapped(std::span<const std::byte> memory) : bytes(memory) {}
  ~Mapped() { ::munmap(const_cast<std::byte*>(bytes.data()), bytes.size()); }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  const std::span<const std::byte> bytes;
};

Result<LentMemory::Mapping> map_block(const PartPlace& place, const LinkEnds& ends) {
  const std::string path = fmt::format("/proc/{}/fd/{}", ends.pid, place.fd);
  OwnedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail(ErrorCode::unavailable, fmt::format("mapping its memory: {}", std::strerror(errno)));
  // Its process number can't have become another's as long as the socket has not hung up.
  if (ends.peer_is_gone()) return fail(ErrorCode::unavailable, "the process ended");
  struct stat status {};
  const int seals = ::fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(fd.get(), &status) != 0 ||
      static_cast<std::uint64_t>(status.st_size) != place.block_bytes) {
    return fail(ErrorCode::invalid_argument,
                "it lends memory that is not a sealed segment of the size it said");
  }
  // All pages at once: a fault for each would cost more than a copy.
  void* memory = ::mmap(nullptr, place.block_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
  if (memory == MAP_FAILED) {
    return fail(ErrorCode::resource_exhausted, fmt::format("mapping its memory: {}", std::strerror(errno)));
  }
  auto mapped = std::make_shared<const Mapped>(
      std::span<const std::byte>(static_cast<const std::byte*>(memory), place.block_bytes));
  const auto* bytes = &mapped->bytes;
  return LentMemory::Mapping(std::move(mapped), bytes);
}

}  // namespace

Result<LentMemory::Mapping> LentMemory::map(const PartPlace& place, const LinkEnds& ends) {
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->block != place.block) continue;
    if (entry->mapping->size() != place.block_bytes) {
      return fail(ErrorCode::invalid_argument, "it lends a block under two sizes");
    }
    entries_.splice(entries_.begin(), entries_, entry);
    return entry->mapping;
  }
  auto mapping = map_block(place, ends);
  if (!mapping) return mapping;
  entries_.push_front({place.block, *mapping});
  shrink();
  return mapping;
}

void LentMemory::shrink() {
  std::size_t idle = 0;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const bool in_use = entry->mapping.use_count() > 1;
    idle += in_use ? 0 : entry->mapping->size();
    entry = !in_use && idle > kMaxIdleMappings ? entries_.erase(entry) : std::next(entry);
  }
}

}  // namespace ds::fabric

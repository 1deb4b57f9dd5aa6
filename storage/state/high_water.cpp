#include "storage/state/high_water.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "storage/codec/wire.hpp"
#include "storage/files/whole_file.hpp"
#include "storage/rocks/database.hpp"

namespace ds::storage {

namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kSlots = 2;
constexpr std::size_t kSlotBytes = 512;  // a sector each, the unit that a disk writes whole
constexpr std::size_t kMarkBytes = 4 + 8 + 32 + 32;
constexpr char kSealKey[] = "ds-high-water";

std::string encode(const ChainEnd& mark) {
  return seal(kSealKey, ByteWriter().u32(kVersion).u64(mark.seq).raw(to_view(mark.hash)).take());
}

struct Slot {
  std::uint32_t version = 0;
  ChainEnd mark;
};

std::optional<Slot> decode(std::string_view content, std::size_t index) {
  if (content.size() < index * kSlotBytes + kMarkBytes) return std::nullopt;
  std::string_view body;
  if (!unseal(kSealKey, content.substr(index * kSlotBytes, kMarkBytes), &body)) return std::nullopt;
  ByteReader reader(body);
  Slot slot;
  slot.version = reader.u32();
  slot.mark.seq = reader.u64();
  slot.mark.hash = reader.sha256();
  return slot;
}

}  // namespace

HighWater::HighWater(std::filesystem::path file, int descriptor)
    : file_(std::move(file)), descriptor_(descriptor) {}

HighWater::HighWater(HighWater&& other) noexcept
    : file_(std::move(other.file_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      mark_(other.mark_),
      next_slot_(other.next_slot_) {}

HighWater::~HighWater() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<HighWater> HighWater::create(const std::filesystem::path& file) {
  std::string content = encode(ChainEnd{});
  content.resize(kSlotBytes, '\0');
  content += content;
  auto made = replace_file(file, content);
  if (!made) return tl::unexpected<Error>(made.error());
  return open(file);
}

Result<HighWater> HighWater::open(const std::filesystem::path& file) {
  auto content = read_file(file, kSlots * kSlotBytes);
  if (!content) return tl::unexpected<Error>(content.error());
  std::optional<Slot> newest;
  std::uint32_t newest_index = 0;
  for (std::uint32_t index = 0; index < kSlots; ++index) {
    const std::optional<Slot> slot = decode(*content, index);
    if (!slot || (newest && newest->mark.seq >= slot->mark.seq)) continue;
    newest = slot;
    newest_index = index;
  }
  if (!newest)
    return fail_with_damage(fmt::format("{} is damaged: its checksum does not match", file.string()));
  if (newest->version > kVersion)
    return fail(
        ErrorCode::unsupported,
        fmt::format("{} has format {}, this program knows {}", file.string(), newest->version, kVersion),
        "Start the newer version of the program.");
  HighWater high_water(file, ::open(file.c_str(), O_RDWR | O_CLOEXEC));
  if (high_water.descriptor_ < 0) return fail_with_errno(errno, "cannot open", file);
  high_water.mark_ = newest->mark;
  high_water.next_slot_ = 1 - newest_index;
  return high_water;
}

Result<void> HighWater::raise(const ChainEnd& mark) {
  const std::string bytes = encode(mark);
  const auto offset = static_cast<off_t>(next_slot_ * kSlotBytes);
  if (::pwrite(descriptor_, bytes.data(), bytes.size(), offset) != static_cast<ssize_t>(bytes.size()))
    return fail_with_errno(errno, "cannot write", file_);
  mark_ = mark;
  next_slot_ = 1 - next_slot_;
  return {};
}

Result<void> HighWater::sync() {
  if (::fdatasync(descriptor_) != 0) return fail_with_errno(errno, "cannot sync", file_);
  return {};
}

}  // namespace ds::storage

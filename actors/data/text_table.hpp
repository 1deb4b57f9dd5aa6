#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ds::data {

/// Where texts stand in a list, by hash: open addressing, one cache line a look-up as a rule. Immutable after
/// it is made; any thread.
class TextTable {
 public:
  TextTable() = default;
  /// `texts` from `first` on; they must stay where they are. Of equal ones the first counts.
  TextTable(std::span<const std::string> texts, std::size_t first);

  static constexpr std::uint64_t kHashStart = 0xCBF29CE484222325U;
  /// Adds a byte to a hash.
  static constexpr std::uint64_t absorb(std::uint64_t hash, unsigned char byte) {
    return (hash ^ byte) * 0x100000001B3U;
  }
  static std::uint64_t hash_of(std::string_view text);

  /// The place of `text`, whose hash is given; -1 when it is not there.
  std::int64_t find(std::string_view text, std::uint64_t hash) const;
  std::int64_t find(std::string_view text) const { return find(text, hash_of(text)); }

 private:
  struct Slot {
    std::uint32_t tag = 0;    // upper half of the hash
    std::uint32_t place = 0;  // plus one; 0: empty
  };

  std::span<const std::string> texts_;
  std::vector<Slot> slots_;
  std::uint64_t mask_ = 0;
};

}  // namespace ds::data

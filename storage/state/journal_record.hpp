#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/result.hpp"
#include "storage/state/high_water.hpp"

namespace ds::storage {

/// One link of the journal's chain: its hash covers its number, its kind, its payload and its predecessor's
/// hash.
struct JournalRecord {
  enum class Kind : std::uint8_t { events = 0, snapshot = 1 };

  std::uint64_t seq = 0;
  Kind kind = Kind::events;
  Sha256 previous{};
  std::vector<std::string> payload;  ///< the events, or the one snapshot
  Sha256 hash{};
};

std::string to_record_key(std::uint64_t seq);

/// The stored form of the record that follows `end`; moves `end` on to it.
std::string encode_next_record(ChainEnd& end, JournalRecord::Kind kind, std::span<const std::string> payload);

/// Errors: `data_loss` (key or value damaged), `unsupported` (newer format). The caller adds where it was.
Result<JournalRecord> decode_record(std::string_view key, std::string_view value);

}  // namespace ds::storage

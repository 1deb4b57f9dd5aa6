#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "storage/result.hpp"

namespace ds::storage {

/// A part of a job's log. Offsets count all bytes ever appended, so they stay valid when old segments are
/// dropped.
struct LogPart {
  std::uint64_t offset = 0;  ///< of `text`'s first byte; larger than asked when the beginning was dropped
  std::uint64_t next = 0;    ///< where to go on reading
  std::string text;
};

/// Output of jobs: one folder a job of segments named by their first offset. Bounded: `kSegments` segments of
/// `kSegmentBytes`, after which the oldest is deleted. Control characters except newline and tab are stored
/// escaped. Not synced: the last lines may be lost with the machine's power, never with a process.
/// Thread-safe.
class LogStore {
 public:
  static constexpr std::uint64_t kSegmentBytes = 4ULL << 20;
  static constexpr std::size_t kSegments = 4;

  explicit LogStore(std::filesystem::path directory);
  LogStore(LogStore&&) noexcept;
  LogStore& operator=(LogStore&&) noexcept;
  ~LogStore();

  /// `job` is an identifier, never a path (`invalid_argument`). A character whose bytes are split between two
  /// appends is stored escaped: cut with `complete_utf8_prefix` ("storage/text/utf8.hpp") what comes out of a
  /// pipe.
  Result<void> append(std::string_view job, std::string_view text);

  /// At most `limit` bytes (and at least one character) from `offset` on, never a part of a character. A job
  /// without a log has an empty one; an offset behind the end gives nothing and the end as `next`.
  Result<LogPart> read(std::string_view job, std::uint64_t offset, std::size_t limit) const;

  /// Deletes the job's log; no error when there is none.
  Result<void> remove(std::string_view job);

 private:
  class OpenSegments;
  std::filesystem::path directory_;
  std::unique_ptr<OpenSegments> open_;
};

/// Replaces control characters (other than newline and tab) by `\xNN`; keeps UTF-8, escapes bytes that are
/// not.
std::string escape_control_characters(std::string_view text);

}  // namespace ds::storage

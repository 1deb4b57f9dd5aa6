#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ds::clients {

// The lines of one worker's record of an audit; actors/worker/audit_log.hpp says what they mean. Files may be
// damaged anyhow: what is not exactly such a line is none, and nothing here needs more memory than a line.

/// `ds-audit 1 job=J worker=N samples=N steps_per_epoch=N logical_ranks=N`
struct AuditHead {
  std::string job;
  std::uint64_t samples = 0, steps_per_epoch = 0, logical_ranks = 0;
  bool operator==(const AuditHead&) const = default;
};

/// `took GENERATION STEP EPOCH LOGICAL_RANK SAMPLES`
struct AuditTook {
  std::uint64_t step = 0, epoch = 0, logical_rank = 0;
  std::string_view samples;  ///< of the line
};

/// `done GENERATION STEP`
struct AuditDone {
  std::uint64_t step = 0;
};

/// The first when the line is none of a record. Steps and epochs are at least 1, and the numbers of a head
/// are such that a job can have them.
using AuditLine = std::variant<std::monostate, AuditHead, AuditTook, AuditDone>;
AuditLine parse_audit_line(std::string_view line);

/// The whole of `text` as a number.
std::optional<std::uint64_t> to_number(std::string_view text);

/// A file's lines, one after the other.
class AuditFile {
 public:
  /// Where a line begins.
  struct Place {
    std::uint64_t at = 0;    ///< bytes
    std::uint64_t line = 1;  ///< its number
  };

  explicit AuditFile(const std::filesystem::path& path) : stream_(path, std::ios::binary) {}
  void go_to(const Place& place);

  /// The next line, with its place in `place()`; none at the end. A last line without its end was cut off by
  /// a kill and counts as not written; one that is longer than any share's comes as an empty one.
  std::optional<std::string_view> next();
  const Place& place() const { return place_; }
  /// The last one was longer than a line can be.
  bool was_too_long() const { return too_long_; }

 private:
  std::ifstream stream_;
  std::string line_;
  Place place_, next_;
  bool too_long_ = false;
};

}  // namespace ds::clients

#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "storage/dataset/data_file.hpp"
#include "storage/result.hpp"

namespace ds::storage {

/// How a text file is divided into records.
enum class RecordLayout : std::uint8_t {
  csv,         ///< RFC 4180 rows: a quoted field may hold newlines; blank lines are no records
  tsv,         ///< the same with tabs
  lines,       ///< every line, also an empty one
  json_lines,  ///< every line that is not blank
};

/// Where the records of a text file begin, about 4.5 bytes for each. Immutable; any thread.
class RecordIndex {
 public:
  struct Place {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;  ///< up to the next record: line end and blank lines behind it belong to it
  };

  std::uint64_t size() const { return starts_.size(); }
  Place at(std::uint64_t record) const;
  /// The line a record begins in, from one. Reads the text between the nearest known line and the record.
  Result<std::uint64_t> line_of(const DataFile& file, std::uint64_t record) const;
  const Sha256& file_sum() const { return file_sum_; }

  /// Reads the file once, `threads` pieces of it at a time.
  static Result<RecordIndex> build(const DataFile& file, RecordLayout layout, std::uint32_t threads);

  /// The kept index when it belongs to this state of the file (size, time, first and last bytes) and its sum
  /// is right; else builds it and keeps it, when it can. Files below `kKeepFromBytes` are not worth it.
  /// `directory`: where; empty: beside the file, or in the process's `IndexFolder` when nothing can be
  /// written there. An index that can't be kept is no error; the `IndexFolder` is told of the first.
  static Result<RecordIndex> open(const DataFile& file, RecordLayout layout, std::uint32_t threads,
                                  const std::filesystem::path& directory);
  static std::filesystem::path kept_at(const DataFile& file, RecordLayout layout,
                                       const std::filesystem::path& directory);

  static constexpr std::uint64_t kKeepFromBytes = std::uint64_t{1} << 20;
  static constexpr std::uint64_t kMaxRecordBytes = std::uint64_t{64} << 20;  ///< `view` of more is refused

 private:
  static constexpr std::uint64_t kGroup = 32;  // records that share a base
  struct Group {
    std::uint64_t offset = 0;
    std::uint64_t line = 1;
  };
  friend class IndexBuilder;

  static bool read_kept(const std::filesystem::path& place, const DataFile& file, RecordLayout layout,
                        RecordIndex& index);
  std::string encode(const DataFile& file, RecordLayout layout) const;
  static bool decode(std::string_view bytes, const DataFile& file, RecordLayout layout, RecordIndex& index);

  std::vector<Group> groups_;
  std::vector<std::uint32_t> starts_;  // from the group's offset
  std::uint64_t end_ = 0;
  Sha256 file_sum_{};
};

}  // namespace ds::storage

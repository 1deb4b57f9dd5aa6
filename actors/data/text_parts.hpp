#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/dataset/data_file.hpp"
#include "storage/dataset/record_index.hpp"
#include "storage/result.hpp"

namespace ds::data {

/// Pieces of text files that are kept in memory, for each source.
inline constexpr std::size_t kTextCacheBytes = std::size_t{64} << 20;

/// Text files, one behind the other, as numbered records. Immutable; any thread.
class TextParts {
 public:
  struct Part {
    std::shared_ptr<const storage::DataFile> file;
    storage::RecordIndex index;
    std::uint64_t skipped = 0;  ///< records at the beginning that are none: a header
    std::uint64_t first = 0;    ///< number of its first record
    std::uint64_t size() const { return index.size() - skipped; }
  };
  struct Place {
    const Part& part;
    std::uint64_t record;  ///< in the part's index
  };

  static Result<TextParts> open(std::span<const std::filesystem::path> files, storage::RecordLayout layout,
                                const std::filesystem::path& index_directory, std::uint32_t threads);

  std::vector<Part>& parts() { return parts_; }
  const std::vector<Part>& parts() const { return parts_; }
  /// Gives records their numbers, once `skipped` of each part is set.
  void number_records();

  std::uint64_t size() const { return size_; }
  Place place(std::uint64_t record) const;
  /// The record's bytes with its line end. `invalid_argument` past `RecordIndex::kMaxRecordBytes`.
  Result<std::string_view> view(const Place& place, storage::FilePin& pin) const;
  /// 0 when the file can't be read any more.
  static std::uint64_t line_of(const Place& place);
  std::string place_of(std::uint64_t record) const;
  Result<void> check_unchanged(std::span<const std::uint64_t> records) const;
  storage::Sha256 content() const;

 private:
  std::vector<Part> parts_;
  std::uint64_t size_ = 0;
};

/// Files that the records come from, each once.
template <class PartOf, class Check>
Result<void> check_each_part(std::span<const std::uint64_t> records, PartOf&& part_of, Check&& check) {
  std::vector<std::size_t> seen;
  for (const std::uint64_t record : records) {
    const std::size_t part = part_of(record);
    if (!seen.empty() && seen.back() == part) continue;
    if (std::ranges::find(seen, part) != seen.end()) continue;
    seen.push_back(part);
    auto same = check(part);
    if (!same) return same;
  }
  return {};
}

}  // namespace ds::data

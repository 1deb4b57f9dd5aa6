#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "storage/codec/sha256.hpp"
#include "storage/dataset/small_file.hpp"
#include "storage/result.hpp"

namespace ds::data {

/// Files of one sample each. Immutable; any thread.
class SmallFiles {
 public:
  /// Together smaller sets are summed byte for byte, larger ones by names, sizes and their first and last
  /// bytes.
  static constexpr std::uint64_t kSumWholeUpTo = std::uint64_t{512} << 20;

  /// Takes a look at a file's bytes. `number` counts them; any thread.
  using Look = std::function<Result<void>(std::size_t number, std::string_view bytes)>;

  static Result<SmallFiles> open(std::span<const std::filesystem::path> paths);

  std::size_t size() const { return files_.size(); }
  const storage::SmallFile& operator[](std::size_t number) const { return files_[number]; }
  std::string name(std::size_t number) const { return files_[number].path.string(); }

  /// Reads all of them, `threads` at a time, calls `look` with each and sums them. The error of the first
  /// file that has one.
  Result<storage::Sha256> look_at_all(std::uint32_t threads, const Look& look) const;

 private:
  std::vector<storage::SmallFile> files_;
};

}  // namespace ds::data

#include "actors/data/small_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

namespace ds::data {
namespace {

constexpr std::size_t kEdgeBytes = 4096;

storage::Sha256 sum_of(const std::string& bytes, bool whole) {
  if (whole || bytes.size() <= 2 * kEdgeBytes) return storage::sha256(bytes);
  storage::Sha256Hasher hasher;
  hasher.add(std::string_view(bytes).substr(0, kEdgeBytes));
  hasher.add(std::string_view(bytes).substr(bytes.size() - kEdgeBytes));
  hasher.add(std::to_string(bytes.size()));
  return hasher.finish();
}

}  // namespace

Result<SmallFiles> SmallFiles::open(std::span<const std::filesystem::path> paths) {
  SmallFiles files;
  files.files_.reserve(paths.size());
  for (const std::filesystem::path& path : paths) {
    auto file = storage::look_at_small_file(path);
    if (!file) return tl::unexpected(file.error());
    files.files_.push_back(std::move(*file));
  }
  return files;
}

Result<storage::Sha256> SmallFiles::look_at_all(std::uint32_t threads, const Look& look) const {
  std::uint64_t total = 0;
  for (const storage::SmallFile& file : files_) total += file.size;
  const bool whole = total <= kSumWholeUpTo;
  std::vector<storage::Sha256> sums(files_.size());
  std::vector<Result<void>> results(files_.size());
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  const auto work = [&] {
    std::string bytes;
    for (std::size_t i = next++; i < files_.size() && !failed; i = next++) {
      results[i] = storage::read_small_file(files_[i], bytes);
      if (results[i]) sums[i] = sum_of(bytes, whole);
      if (results[i]) results[i] = look(i, bytes);
      if (!results[i]) failed = true;
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::uint32_t i = 1; i < std::min<std::size_t>(threads, files_.size()); ++i)
      others.emplace_back(work);
    work();
  }
  for (const Result<void>& result : results) {
    if (!result) return tl::unexpected(result.error());
  }
  storage::Sha256Hasher hasher;
  for (const storage::Sha256& sum : sums) hasher.add(storage::to_view(sum));
  return hasher.finish();
}

}  // namespace ds::data

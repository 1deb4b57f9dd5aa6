#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/checkpoint/checkpoint_store.hpp"
#include "storage/checkpoint/commit_marks.hpp"
#include "storage/checkpoint/manifest.hpp"

namespace ds::storage {

/// All committed versions and how many of their tensors' places each chunk fills: about 100 bytes of memory a
/// stored MiB. Not thread-safe.
class VersionIndex {
 public:
  void add(const std::string& job, const Manifest& manifest);
  void drop(const std::string& job, std::uint64_t step);

  bool refers_to(const Sha256& chunk) const { return references_.contains(chunk); }

  /// The chunks that nobody would refer to any more if these versions went and `added` came.
  std::vector<Sha256> chunks_freed_by(const std::string& job, const std::vector<std::uint64_t>& dropped,
                                      const Manifest* added) const;

  std::vector<CheckpointEntry> entries(const std::string& job) const;
  CommittedSteps committed_steps(const std::string& job) const;
  bool contains(const std::string& job, std::uint64_t step) const;
  std::uint64_t newest_commit() const { return newest_commit_; }

 private:
  struct Version {
    CheckpointEntry entry;
    std::uint64_t commit = 0;
    std::vector<Sha256> chunks;  // in the order of the tensors, repeated where the bytes repeat
  };
  struct SumHash {
    std::size_t operator()(const Sha256& sum) const;
  };

  const Version* find(const std::string& job, std::uint64_t step) const;

  std::map<std::string, std::map<std::uint64_t, Version>> versions_;
  std::unordered_map<Sha256, std::uint64_t, SumHash> references_;
  std::uint64_t newest_commit_ = 0;
};

}  // namespace ds::storage

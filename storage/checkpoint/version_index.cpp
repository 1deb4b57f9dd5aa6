#include "storage/checkpoint/version_index.hpp"

#include <algorithm>
#include <cstring>

namespace ds::storage {

std::size_t VersionIndex::SumHash::operator()(const Sha256& sum) const {
  std::size_t value = 0;  // any eight bytes of a SHA-256 are as good as a hash of it
  std::memcpy(&value, sum.data(), sizeof(value));
  return value;
}

void VersionIndex::add(const std::string& job, const Manifest& manifest) {
  drop(job, manifest.entry.step);
  Version& version = versions_[job][manifest.entry.step];
  version.entry = manifest.entry;
  version.commit = manifest.commit;
  for (const TensorChunks& tensor : manifest.tensors)
    version.chunks.insert(version.chunks.end(), tensor.chunks.begin(), tensor.chunks.end());
  for (const Sha256& chunk : version.chunks) ++references_[chunk];
  newest_commit_ = std::max(newest_commit_, manifest.commit);
}

void VersionIndex::drop(const std::string& job, std::uint64_t step) {
  const Version* version = find(job, step);
  if (version == nullptr) return;
  for (const Sha256& chunk : version->chunks) {
    const auto reference = references_.find(chunk);
    if (--reference->second == 0) references_.erase(reference);
  }
  const auto steps = versions_.find(job);
  steps->second.erase(step);
  if (steps->second.empty()) versions_.erase(steps);
}

std::vector<Sha256> VersionIndex::chunks_freed_by(const std::string& job,
                                                  const std::vector<std::uint64_t>& dropped,
                                                  const Manifest* added) const {
  std::unordered_map<Sha256, std::uint64_t, SumHash> lost;
  for (const std::uint64_t step : dropped) {
    const Version* version = find(job, step);
    if (version == nullptr) continue;
    for (const Sha256& chunk : version->chunks) ++lost[chunk];
  }
  if (added != nullptr) {
    for (const TensorChunks& tensor : added->tensors)
      for (const Sha256& chunk : tensor.chunks) lost.erase(chunk);
  }
  std::vector<Sha256> freed;
  for (const auto& [chunk, count] : lost)
    if (references_.at(chunk) == count) freed.push_back(chunk);
  return freed;
}

std::vector<CheckpointEntry> VersionIndex::entries(const std::string& job) const {
  std::vector<CheckpointEntry> entries;
  const auto steps = versions_.find(job);
  if (steps == versions_.end()) return entries;
  for (const auto& [step, version] : steps->second) entries.push_back(version.entry);
  return entries;
}

CommittedSteps VersionIndex::committed_steps(const std::string& job) const {
  CommittedSteps committed;
  const auto steps = versions_.find(job);
  if (steps == versions_.end()) return committed;
  for (const auto& [step, version] : steps->second) committed[step] = version.commit;
  return committed;
}

bool VersionIndex::contains(const std::string& job, std::uint64_t step) const {
  return find(job, step) != nullptr;
}

const VersionIndex::Version* VersionIndex::find(const std::string& job, std::uint64_t step) const {
  const auto steps = versions_.find(job);
  if (steps == versions_.end()) return nullptr;
  const auto version = steps->second.find(step);
  return version == steps->second.end() ? nullptr : &version->second;
}

}  // namespace ds::storage

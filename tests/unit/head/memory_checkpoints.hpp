#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/checkpoint/checkpoint_store.hpp"

namespace ds::head::test {

/// A store of checkpoints in memory, which outlives heads as one on disk does.
class MemoryCheckpoints final : public storage::CheckpointStore {
 public:
  Result<void> save(const std::string& job, const storage::CheckpointEntry& entry,
                    const std::string& description, std::span<const storage::NamedBytes> tensors) override {
    storage::Checkpoint kept{entry, description, {}};
    for (const auto& tensor : tensors)
      kept.tensors.emplace_back(tensor.name, std::vector(tensor.bytes.begin(), tensor.bytes.end()));
    jobs_[job].insert_or_assign(entry.step, std::move(kept));
    return {};
  }
  Result<std::vector<storage::CheckpointEntry>> list(const std::string& job) const override {
    std::vector<storage::CheckpointEntry> entries;
    if (const auto found = jobs_.find(job); found != jobs_.end()) {
      for (const auto& [step, kept] : found->second) entries.push_back(kept.entry);
    }
    return entries;
  }
  Result<storage::Checkpoint> load(const std::string& job, std::uint64_t step) const override {
    const auto found = jobs_.find(job);
    if (found == jobs_.end() || !found->second.contains(step))
      return fail(ErrorCode::not_found, "job " + job + " has no checkpoint of step " + std::to_string(step));
    return found->second.at(step);
  }
  Result<std::optional<storage::Checkpoint>> load_newest(const std::string& job,
                                                         std::vector<Error>*) const override {
    const auto found = jobs_.find(job);
    if (found == jobs_.end() || found->second.empty()) return std::optional<storage::Checkpoint>();
    return std::optional(found->second.rbegin()->second);
  }
  Result<void> prune(const std::string& job, const storage::Retention& retention) override {
    const auto kept = storage::choose_kept_steps(*list(job), retention);
    std::erase_if(jobs_[job],
                  [&](const auto& one) { return std::ranges::find(kept, one.first) == kept.end(); });
    return {};
  }
  Result<void> remove(const std::string& job) override {
    jobs_.erase(job);
    return {};
  }

 private:
  std::map<std::string, std::map<std::uint64_t, storage::Checkpoint>> jobs_;
};

}  // namespace ds::head::test

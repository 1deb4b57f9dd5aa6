#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "scheduler/ledger/ledger.hpp"
#include "tests/unit/head/simulated_node.hpp"

namespace ds::head::test {

/// What must hold of heads and nodes, checked at each durable event and at each start of a program: no slot
/// and no GPU is given twice, no tenant is given more than it may have then, no two starts of a job are there
/// at once, and nothing is started again without a cause. A failure fails the test.
class HeadWatch final : public NodeWatcher {
 public:
  explicit HeadWatch(std::uint32_t slots_per_node) : slots_per_node_(slots_per_node) {}

  void on_durable(const std::string& text);
  void on_start(const std::string& node, Program& program) override;
  void on_end(const Program& program) override;
  void on_lost(const Program& program) override;
  void on_worker_start(const std::string& node, Program& worker) override;
  void on_worker_end(const Program& worker) override;
  void on_cut_off(const std::string& node) override { unheard_.insert(node); }
  void on_back(const std::string& node) override { unheard_.erase(node); }

  /// What all durable events lead to.
  const scheduler::Ledger& ledger() const { return ledger_; }
  const std::vector<std::string>& events() const { return events_; }
  std::uint64_t starts() const { return starts_; }
  std::uint64_t trainers() const { return trainers_; }  ///< workers of training jobs that were started
  std::uint64_t starts_with_gpus() const { return starts_with_gpus_; }
  std::uint64_t starts_with_parts() const { return starts_with_parts_; }  ///< of slots
  std::uint64_t promises() const { return promises_; }                    ///< of deadlines
  /// How many events of each kind there were, in the order of `Event::Body`.
  using Kinds = std::array<std::uint64_t, std::variant_size_v<scheduler::Event::Body>>;
  const Kinds& kinds() const { return kinds_; }
  bool is_forgotten(const std::string& job) const { return forgotten_.contains(job); }

 private:
  /// One start of a job's gang.
  struct Start {
    std::uint32_t ranks = 0;
    std::set<std::uint32_t> started, through;
    bool has_cause_to_end =
        false;  ///< a rank crashed, was lost or cut off, or the head was to change the gang
  };
  bool is_unheard_member(std::uint64_t worker) const;
  void check_limits(const std::string& granted_to) const;
  void check_devices(const std::string& node, const Program& program);
  void take_slots(const std::string& node, Program& program);
  std::string last_events() const;  ///< for whoever reads of a failure

  std::uint32_t slots_per_node_;
  scheduler::Ledger ledger_;
  std::vector<std::string> events_;
  std::map<std::string, std::map<std::uint64_t, Start>> gangs_;  ///< by job and generation
  std::map<std::uint64_t, Program> alive_;                       ///< by worker
  std::map<std::string, scheduler::SlotCount> used_;             ///< slots by node, of what runs
  std::map<std::uint64_t, std::string> node_of_;
  std::set<std::string> forgotten_;  ///< jobs
  Kinds kinds_{};
  std::set<std::string> unheard_;                              ///< nodes that are cut off
  std::set<std::pair<std::uint64_t, std::uint64_t>> cut_off_;  ///< worker, generation: ended for that
  std::set<std::uint64_t> started_;                            ///< of these
  std::uint64_t starts_ = 0, trainers_ = 0, starts_with_gpus_ = 0, starts_with_parts_ = 0, promises_ = 0;
};

}  // namespace ds::head::test

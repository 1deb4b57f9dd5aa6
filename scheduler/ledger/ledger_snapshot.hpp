#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "scheduler/ledger/ledger.hpp"

namespace ds::scheduler {

/// What a ledger is at one moment, as a text that comes in pieces while the ledger goes on: nobody who has a
/// million jobs has to stand still for it. `Ledger::restore` takes the pieces back, in their order.
///
/// The ledger must live on at its place, and whoever applies an event to it says so before: a job that the
/// event changes and that is not written yet is written then, as it is. A plain value besides; not
/// thread-safe.
class LedgerSnapshot {
 public:
  /// Of what it is now.
  explicit LedgerSnapshot(const Ledger& ledger);

  /// Before the event is applied.
  void before(const Event& event);

  /// What comes next: about `bytes`, or what is left.
  std::string next_piece(std::size_t bytes);
  /// No piece is left.
  bool is_whole() const { return is_whole_ && text_.empty(); }

 private:
  void write_all_but_jobs();
  void keep(const std::string& job);
  void write(const JobRecord& job);

  const Ledger* ledger_;
  std::string text_;            ///< that no piece has had yet
  std::string last_;            ///< jobs are written in the order of their ids up to this one; empty: none
  std::set<std::string> kept_;  ///< later ones that are written already, or that came only now
  /// Job files by their numbers in the text, where each stands once. They are held, or another could have the
  /// place of one that is gone.
  std::map<std::shared_ptr<const std::string>, std::size_t> texts_;
  bool has_jobs_ = false, is_whole_ = false;
};

}  // namespace ds::scheduler

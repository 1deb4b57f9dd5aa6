#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "actors/collective/call.hpp"
#include "actors/collective/fold_plan.hpp"
#include "actors/collective/neighbour_socket.hpp"
#include "actors/collective/segment_pool.hpp"
#include "actors/collective/shared_layout.hpp"
#include "actors/collective/shared_segment.hpp"
#include "actors/collective/waiting.hpp"

namespace ds::collective {

/// Another member on this host.
struct Neighbour {
  NeighbourSocket socket;
  std::shared_ptr<SharedSegment> control;  ///< its ControlLayout
};

/// Members of a gang that share a host's memory. Thread-safe; each operation runs on the thread that calls.
///
/// An operation: each member posts what it wants to do; all wait until all have posted and compare. A small
/// vector (`kInlineBytes`) was posted with it, and each member combines for itself. Else member r combines
/// slice r straight out of the inputs of all and writes it straight into the outputs of all, a block that
/// fits the innermost cache at a time: of P members each reads and writes n elements, and they wait once
/// more. This is the shared-memory reduction of A. Mamidala et al., "MPI Collectives on Modern Multicore
/// Clusters" (CCGRID 2008), and S. Jain et al., "Framework for Scalable Intra-Node Collective Operations
/// using Shared Memory" (SC 2018). Vectors outside the communicator's segments pass through staging areas,
/// chunk by chunk, the next chunk being copied in while the last one is combined by others.
class SharedGroup {
 public:
  /// `ranks[i]` is the communicator's rank of member i, `neighbours[i]` how to reach it (unused for `me`).
  SharedGroup(std::vector<std::uint32_t> ranks, std::uint32_t me, GroupPlan plan,
              std::shared_ptr<SharedSegment> control, std::vector<Neighbour> neighbours,
              std::shared_ptr<SegmentPool> pool);

  Result<void> run(const Task& task, Interruption& interruption);

  /// Lets the other members fail with `why`.
  void abort(const Error& why);

  const GroupPlan& plan() const { return plan_; }

 private:
  friend class SharedOperation;
  class Watch;

  ControlHeader& control(std::uint32_t member) const { return *controls_[member]; }
  std::byte* memory(std::uint32_t member) const { return reinterpret_cast<std::byte*>(controls_[member]); }
  std::uint32_t size() const { return static_cast<std::uint32_t>(ranks_.size()); }

  /// Why to give up, as far as neighbours know: one aborted, or is gone.
  std::optional<Error> lost_neighbour() const;
  void write_error(const Error& why);
  Error read_error(std::uint32_t member) const;

  Result<std::uint32_t> take_slot(Interruption& interruption);
  void free_slot(std::uint32_t slot);
  bool try_take_slot(std::uint32_t& slot);

  /// Sends the segments that the neighbours do not know yet.
  Result<void> announce();
  /// Where a neighbour's vector lies here. Fails when it lies nowhere.
  Result<std::byte*> resolve(std::uint32_t member, const SegmentPlace& place, std::size_t bytes);

  std::vector<std::uint32_t> ranks_;
  std::uint32_t me_;
  GroupPlan plan_;
  std::shared_ptr<SharedSegment> own_;
  std::vector<Neighbour> neighbours_;
  std::vector<ControlHeader*> controls_;
  std::shared_ptr<SegmentPool> pool_;
  Waiting waiting_;

  std::mutex slots_mutex_;
  std::array<bool, kMaxOperationsInFlight> busy_{};
  std::array<std::uint32_t, kMaxOperationsInFlight> uses_{};

  std::mutex segments_mutex_;
  std::size_t announced_ = 0;
  std::vector<std::vector<std::shared_ptr<SharedSegment>>> known_;  ///< of each member, by number

  std::mutex error_mutex_;
  bool error_written_ = false;
};

}  // namespace ds::collective

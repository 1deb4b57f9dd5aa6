#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "actors/fabric/boot_clock.hpp"
#include "storage/result.hpp"

namespace ds::node {

/// Until when users' programs of this node may run without another word of a head, on a page which the node,
/// its spawner and the keepers of its programs share.
///
/// A head that hears nothing of a node starts its programs elsewhere, some time after the node's term is
/// over; until then they must have ended here, whatever has become of the node: it may be cut off, or stand
/// still. So each keeper looks at the page itself. The terms are leases in the sense of Gray and Cheriton,
/// "Leases: An Efficient Fault-Tolerant Mechanism for Distributed File Cache Consistency", SOSP 1989: they
/// begin when the request for them is sent. One thread writes, any process that was forked since `make`
/// reads.
class Fence {
 public:
  /// Before anything is forked that shall share it.
  static Result<Fence> make();

  static std::int64_t now_ns() { return fabric::boot_time_ns(); }

  /// Programs may run until `moment`; an earlier one than that known changes nothing. Where the last term is
  /// over its programs have to end all the same, and a new term begins for those that start from now on: then
  /// true. A first moment that has passed already begins no term.
  bool extend(std::int64_t moment_ns);

  /// Programs that were started in this term end when it is over. It counts from 0.
  std::uint64_t term() const { return page_->term.load(); }

  /// How long the programs of `term` may still run, in nanoseconds; 0: they must end. Without end before the
  /// first `extend`.
  std::int64_t left_ns(std::uint64_t term) const;

  /// When the term ended, once it is over; of an older one than the last, the end of that.
  std::int64_t end_ns(std::uint64_t term) const;

 private:
  struct Page {
    std::atomic<std::uint64_t> term{0};
    std::atomic<std::int64_t> until_ns{0};  ///< 0: no head has said anything yet
    std::atomic<std::int64_t> ended_ns{0};  ///< the end of the last term
  };
  static_assert(std::atomic<std::int64_t>::is_always_lock_free);
  explicit Fence(std::shared_ptr<Page> page) : page_(std::move(page)) {}

  std::shared_ptr<Page> page_;
};

}  // namespace ds::node

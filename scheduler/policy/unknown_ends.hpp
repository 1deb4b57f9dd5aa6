#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "scheduler/policy/room.hpp"

namespace ds::scheduler {

// What may start behind a job that waits when nobody knows which gangs end, nor when: what delays it in no
// case. Pure.
//
// Let F(T) be the pieces (`GangPlanner::Ask`) that the waiting job finds room for once the gangs of a set T
// have gone, each as a whole, by themselves or preempted for it. It starts when F(T) is no less than it
// needs. A newcomer is in its way if for some T it is enough without the newcomer and not with it. To look at
// all T would cost too much, so of up to `kMaxLargeGangs` gangs, those that take most from the waiting job,
// all sets S are looked at; the others count as gone where it is asked whether the job could start at all,
// and as there where it is asked whether it surely does. So with S, the large ones of T:
//
//     F(T) <= most(S), with all others gone,      F(T) >= least(S), with all others there.
//
// Newcomers are in nobody's way if least(S), with them there too, is enough for each S of which most(S) is:
// for if F(T) is enough, so is most(S), hence least(S) with the newcomers, hence F(T) with them. Both grow
// with S, so it is enough to ask that of sets of which no part is one. With no more gangs than
// `kMaxLargeGangs` most and least are both F, and the rule lets start all that is in the way in no case. A
// newcomer that has started is one of the gangs from then on, and the job starts no later than without the
// next; so no later than without any of them.
//
// It is conservative where there are more gangs than these, or more than `kMaxEnds` sets that would be
// enough: then it may say that nothing is certain though it is. What a job may do besides ending (grow, give
// workers, move to another node), and where that lets nothing be told, is in `beside_unknown.cpp`.

/// A gang, or a part of one that may leave before the rest: on nodes that are of use to the waiting job.
struct MayEnd {
  std::map<std::size_t, Room> at;  ///< what it has, by node
  Room all;                        ///< on all nodes, those of no use too
};

/// After the ends of some gangs that give the waiting job room.
struct WhenEnded {
  std::map<std::size_t, Room> freed;  ///< by node
  std::int64_t spare = 0;             ///< pieces for which there is room then, beyond those it needs
};

/// The waiting job's side of it.
struct WaitingRoom {
  std::map<std::size_t, Room> free;  ///< while none has ended: of all nodes where some of the gangs are
  std::int64_t elsewhere = 0;        ///< pieces that fit on the other nodes
  std::int64_t needed = 0;           ///< pieces
  std::int64_t others = 0;           ///< pieces at most that others who wait may have taken from it by then
  /// Pieces that fit into so much room on the node.
  std::function<std::int64_t(std::size_t node, const Room& room)> fits;
  Room all;  ///< free on all nodes
  /// Workers may move to other nodes for it: then this many fit at most into so much on all nodes together.
  std::function<std::int64_t(const Room& all)> fits_if_moved = {};
};

inline constexpr std::size_t kMaxLargeGangs = 8;
inline constexpr std::size_t kMaxEnds = 16;
/// With more gangs than these nothing is certain; nor where it takes more steps, of one gang on one node.
inline constexpr std::size_t kMaxGangsThatEnd = 256;
inline constexpr std::size_t kMaxEndSteps = std::size_t{1} << 14;

/// All the sets of ends, as far as they matter, after which the waiting job may have room: newcomers are in
/// its way in no case as long as they take no more than `spare` after each. None: nothing is certain.
std::optional<std::vector<WhenEnded>> find_ends(const WaitingRoom& waiting, std::vector<MayEnd> gangs);

}  // namespace ds::scheduler

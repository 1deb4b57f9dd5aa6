#include "scheduler/policy/unknown_ends.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace ds::scheduler {
namespace {

void add_all(std::map<std::size_t, Room>& rooms, const std::map<std::size_t, Room>& more) {
  for (const auto& [node, room] : more) rooms[node] = plus(rooms[node], room);
}

/// What the waiting job would find on empty nodes, less what it would beside this gang alone.
std::int64_t taken_by(const WaitingRoom& waiting, const std::map<std::size_t, Room>& empty,
                      const MayEnd& gang) {
  std::int64_t taken = 0;
  for (const auto& [node, room] : gang.at)
    taken += waiting.fits(node, empty.at(node)) - waiting.fits(node, minus(empty.at(node), room));
  return taken;
}

/// Goes through the sets of the large gangs.
class Search {
 public:
  Search(const WaitingRoom& waiting, std::span<const MayEnd> large, std::span<const MayEnd> small)
      : waiting_(waiting), large_(large), least_(waiting.free), most_(waiting.free), all_(waiting.all) {
    for (const MayEnd& gang : small) {
      add_all(most_, gang.at);
      all_ = plus(all_, gang.all);
    }
    fits_least_ = count(least_);
    fits_most_ = count(most_);
  }

  std::optional<std::vector<WhenEnded>> run() {
    look(0, 0);
    if (!is_certain_) return std::nullopt;
    return std::move(found_);
  }

 private:
  std::int64_t count(const std::map<std::size_t, Room>& rooms) const {
    std::int64_t sum = waiting_.elsewhere;
    for (const auto& [node, room] : rooms) sum += waiting_.fits(node, room);
    return sum;
  }

  bool may_be_enough() const {
    const std::int64_t most = waiting_.fits_if_moved ? waiting_.fits_if_moved(all_) : fits_most_;
    return std::max(most, fits_most_) >= waiting_.needed;
  }

  void change(const MayEnd& gang, bool is_gone) {
    const auto apply = [&](Room& room, std::int64_t& fits, std::size_t node, const Room& its) {
      fits -= waiting_.fits(node, room);
      room = is_gone ? plus(room, its) : minus(room, its);
      fits += waiting_.fits(node, room);
    };
    for (const auto& [node, room] : gang.at) {
      apply(least_.at(node), fits_least_, node, room);
      apply(most_.at(node), fits_most_, node, room);
    }
    steps_ += gang.at.size() + 1;
    all_ = is_gone ? plus(all_, gang.all) : minus(all_, gang.all);
  }

  /// With the gangs of `gone` gone, of those before `next`; the others of these are there.
  void look(std::size_t next, std::size_t gone) {
    if (!is_certain_) return;
    if (may_be_enough()) return note(gone);
    if (next == large_.size()) return;
    if (steps_ > kMaxEndSteps) {
      is_certain_ = false;
      return;
    }
    look(next + 1, gone);
    change(large_[next], true);
    look(next + 1, gone | std::size_t{1} << next);
    change(large_[next], false);
  }

  void note(std::size_t gone) {
    const auto is_part = [&](std::size_t set) { return (set & gone) == set; };
    if (std::ranges::any_of(sets_, is_part)) return;  // it gives no more than this one
    const std::int64_t spare = fits_least_ - waiting_.needed - waiting_.others;
    is_certain_ = spare >= 0 && sets_.size() < kMaxEnds;
    WhenEnded then{.freed = {}, .spare = spare};
    for (std::size_t i = 0; i < large_.size(); ++i) {
      if ((gone >> i & 1U) != 0) add_all(then.freed, large_[i].at);
    }
    sets_.push_back(gone);
    found_.push_back(std::move(then));
  }

  const WaitingRoom& waiting_;
  std::span<const MayEnd> large_;
  std::map<std::size_t, Room> least_, most_;  ///< room by node: with the small ones there, and gone
  std::int64_t fits_least_ = 0, fits_most_ = 0;
  Room all_;  ///< on all nodes, with the small ones gone
  std::size_t steps_ = 0;
  bool is_certain_ = true;
  std::vector<std::size_t> sets_;
  std::vector<WhenEnded> found_;
};

}  // namespace

std::optional<std::vector<WhenEnded>> find_ends(const WaitingRoom& waiting, std::vector<MayEnd> gangs) {
  if (gangs.size() > kMaxGangsThatEnd) return std::nullopt;
  if (gangs.size() > kMaxLargeGangs) {
    auto empty = waiting.free;
    for (const MayEnd& gang : gangs) add_all(empty, gang.at);
    std::vector<std::pair<std::int64_t, std::size_t>> order;
    for (std::size_t i = 0; i < gangs.size(); ++i) order.emplace_back(-taken_by(waiting, empty, gangs[i]), i);
    std::ranges::sort(order);
    std::vector<MayEnd> sorted;
    for (const auto& [taken, i] : order) sorted.push_back(std::move(gangs[i]));
    gangs = std::move(sorted);
  }
  const std::span<const MayEnd> all = gangs;
  const std::size_t large = std::min(gangs.size(), kMaxLargeGangs);
  return Search(waiting, all.first(large), all.subspan(large)).run();
}

}  // namespace ds::scheduler

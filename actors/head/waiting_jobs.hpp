#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ds::head {

/// How many jobs wait for what code of `why`; those that aren't among them wait too, for what isn't known.
using WaitCounts = std::map<std::string, std::uint64_t>;

/// Jobs that wait, kept as they change: who asks for numbers of them looks at none that he need not. Pure.
class WaitingJobs {
 public:
  /// The job waits and has this place in the order of submissions, which nobody else has. `held_by`: the code
  /// of what keeps it whatever is free; empty: only room does.
  void wait(const std::string& job, std::uint64_t order, const std::string& held_by);
  /// It does not, or is not known any more.
  void remove(std::uint64_t order);

  const WaitCounts& held() const { return counts_; }
  /// The first of those that only wait for room, in the order of their submission.
  std::vector<std::string> first_for_room(std::size_t most) const;

 private:
  std::map<std::uint64_t, std::string> for_room_;
  std::map<std::uint64_t, std::string> held_;  ///< codes
  WaitCounts counts_;                          ///< of `held_`; none is 0
};

}  // namespace ds::head

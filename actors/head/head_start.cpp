#include "actors/head/head_start.hpp"

#include <fmt/format.h>

namespace ds::head {

std::string describe_start(const scheduler::Ledger& ledger, std::int64_t now_ms) {
  const bool is_first = ledger.newest_ms() == 0 && ledger.jobs().empty();
  if (is_first) return "start 1 that this journal tells of";
  std::string why;
  if (ledger.starts() > 0) why = fmt::format("start {} that this journal tells of, ", ledger.starts() + 1);
  if (const auto gap_ms = now_ms - ledger.newest_ms(); ledger.newest_ms() > 0 && gap_ms >= 0)
    why += fmt::format("{:.1f} s after the last record; ", static_cast<double>(gap_ms) / 1000);
  const auto jobs = ledger.counts().unended();
  return why + fmt::format("{} job{} not ended", jobs, jobs == 1 ? " has" : "s have");
}

}  // namespace ds::head

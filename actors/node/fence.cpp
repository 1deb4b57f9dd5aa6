#include "actors/node/fence.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>

namespace ds::node {

Result<Fence> Fence::make() {
  void* memory = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return fail(ErrorCode::resource_exhausted,
                fmt::format("cannot map a page to share with programs: {}", std::strerror(errno)));
  }
  return Fence(std::shared_ptr<Page>(new (memory) Page, [](Page* page) { munmap(page, sizeof(Page)); }));
}

bool Fence::extend(std::int64_t moment_ns) {
  const auto until = page_->until_ns.load();
  const auto now = now_ns();
  if (until != 0 && moment_ns <= std::max(until, now)) return false;
  const bool is_over = until != 0 && until <= now;
  // First, so that no keeper that looks in between takes the new term for its own.
  if (is_over) {
    page_->ended_ns = until;
    ++page_->term;
  }
  page_->until_ns = moment_ns;
  return is_over;
}

std::int64_t Fence::end_ns(std::uint64_t term) const {
  const auto until = page_->until_ns.load();
  return page_->term.load() == term ? until : page_->ended_ns.load();
}

std::int64_t Fence::left_ns(std::uint64_t term) const {
  const auto until = page_->until_ns.load();
  if (page_->term.load() != term) return 0;
  if (until == 0) return std::numeric_limits<std::int64_t>::max();
  return std::max<std::int64_t>(0, until - now_ns());
}

}  // namespace ds::node

#include "actors/head/short_gang.hpp"

#include <algorithm>

namespace ds::head {

std::chrono::milliseconds ShortGang::on_short(Moment now, std::chrono::milliseconds backs_off) {
  const std::chrono::milliseconds stays = kStays + std::max(std::chrono::milliseconds(0), backs_off);
  until_ = now + stays;
  return stays;
}

bool ShortGang::gives_up(const Now& job, Moment now) {
  if (!until_ || now < *until_) return false;
  until_.reset();
  return job.is_short && !job.trains && !job.is_backing_off && !job.may_come_back;
}

}  // namespace ds::head

#include "actors/router/answer_room.hpp"

namespace ds::router {

AnswerRoom::Part::~Part() {
  const std::lock_guard lock(taken_->mutex);
  taken_->bytes -= bytes_;
}

bool AnswerRoom::Part::resize(std::size_t bytes) {
  const std::lock_guard lock(taken_->mutex);
  const std::size_t others = taken_->bytes - bytes_;
  if (bytes > bytes_ && (bytes > most_ || others > most_ - bytes)) return false;
  taken_->bytes = others + bytes;
  bytes_ = bytes;
  return true;
}

std::shared_ptr<AnswerRoom::Part> AnswerRoom::take(std::size_t bytes) const {
  auto part = std::make_shared<Part>(taken_, most_);
  return part->resize(bytes) ? part : nullptr;
}

}  // namespace ds::router

#include "actors/head/head_line.hpp"

#include <spdlog/spdlog.h>

namespace ds::head {

HeadLine::HeadLine(caf::event_based_actor& self, fabric::Fabric& fabric, std::string address)
    : self_(self),
      fabric_(fabric),
      stop_(std::make_shared<std::atomic<bool>>(false)),
      search_(std::make_shared<HeadSearch>(self.system(), std::move(address), stop_)) {}

HeadLine::~HeadLine() {
  *stop_ = true;
}

void HeadLine::search() {
  search_->tell_when_found(caf::actor_cast<caf::actor>(&self_));
}

void HeadLine::on_found(const HeadFound& found) {
  head_ = fabric_.resolve(found.head);
  self_.monitor(head_);
}

bool HeadLine::on_down(const caf::actor_addr& source, std::string_view meanwhile) {
  if (!head_ || source != head_.address()) return false;
  spdlog::warn("the head is gone; {} while it is looked for", meanwhile);
  head_ = nullptr;
  master_ = nullptr;
  search();
  return true;
}

void HeadLine::on_taken() {
  master_ = caf::actor_cast<caf::actor>(self_.current_sender());
}

}  // namespace ds::head

#include "actors/worker/reading_news.hpp"

#include <chrono>
#include <utility>

#include "actors/messages/worker.hpp"
#include "actors/worker/run.hpp"
#include "storage/dataset/read_meter.hpp"

namespace ds::worker {
namespace {

constexpr auto kInterval = std::chrono::seconds(1);

}  // namespace

ReadingNews::ReadingNews(caf::event_based_actor& self, head::HeadLine& line, std::uint64_t worker,
                         std::function<bool()> is_reading)
    : self_(self), line_(line), worker_(worker), is_reading_(std::move(is_reading)) {}

void ReadingNews::start() {
  self_.delayed_send(&self_, kInterval, Run{[this] {
    if (is_reading_()) tell();
    start();
  }});
}

void ReadingNews::tell() {
  const auto read = storage::ReadMeter::read();
  if (read == told_) return;
  told_ = read;
  line_.tell_master(messages::DataRead{worker_, read});
}

}  // namespace ds::worker

#pragma once

#include <caf/event_based_actor.hpp>
#include <cstdint>
#include <functional>

#include "actors/head/head_line.hpp"

namespace ds::worker {

/// Tells the job's master once a second how much this process has read while it reads its data, so that a
/// long read is not taken for one that hangs. A part of the actor `self`, which handles `Run`.
class ReadingNews {
 public:
  ReadingNews(caf::event_based_actor& self, head::HeadLine& line, std::uint64_t worker,
              std::function<bool()> is_reading);

  void start();  ///< once

 private:
  void tell();

  caf::event_based_actor& self_;
  head::HeadLine& line_;
  const std::uint64_t worker_;
  const std::function<bool()> is_reading_;
  std::uint64_t told_ = 0;
};

}  // namespace ds::worker

#include "actors/head/served_batching.hpp"

namespace ds::head {

serving::BatchingOptions batching_of(const scheduler::ServeSpec& serve) {
  using Mode = serving::BatchingOptions::Mode;
  serving::BatchingOptions options;
  options.mode = serve.batching.mode == "off"     ? Mode::off
                 : serve.batching.mode == "fixed" ? Mode::fixed
                                                  : Mode::adaptive;
  options.max_size = serve.batching.max_size;
  options.max_delay_us = serve.batching.max_delay_ms * 1000;
  options.max_depth = serve.queue.max_depth;
  options.max_bytes = serve.queue.max_bytes;
  options.p99_us = serve.p99_ms * 1000;
  return options;
}

}  // namespace ds::head

#include "actors/fabric/process_page.hpp"

#include <unistd.h>

namespace ds::fabric {

void wake_by(int eventfd) {
  const std::uint64_t one = 1;
  // It can only fail when the counter is full, and then the descriptor is readable anyway.
  [[maybe_unused]] auto written = ::write(eventfd, &one, sizeof(one));
}

}  // namespace ds::fabric

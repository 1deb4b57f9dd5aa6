#include "storage/files/descriptor_limit.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <optional>

namespace ds::storage {
namespace {

constexpr rlim_t kMostDescriptors = 65'536;

std::optional<rlim_t> usual_descriptors;  // none: the limit is as it was

}  // namespace

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  if (!usual_descriptors) usual_descriptors = limit.rlim_cur;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kMostDescriptors));
  setrlimit(RLIMIT_NOFILE, &limit);
}

void restore_descriptor_limit() {
  rlimit limit{};
  if (!usual_descriptors || getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = *usual_descriptors;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace ds::storage

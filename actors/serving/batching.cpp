#include "actors/serving/batching.hpp"

namespace ds::serving {

std::string_view to_string(Refusal refusal) {
  constexpr std::array<std::string_view, kRefusals> kNames{"queue_full", "too_many_bytes", "deadline",
                                                           "too_large", "draining"};
  return kNames.at(static_cast<std::size_t>(refusal));
}

std::string_view to_string(Release release) {
  constexpr std::array<std::string_view, kReleases> kNames{"full",  "deadline", "idle",
                                                           "delay", "drain",    "unbatched"};
  return kNames.at(static_cast<std::size_t>(release));
}

}  // namespace ds::serving

#pragma once

#include <cstdint>
#include <vector>

#include "actors/parameters/key_range.hpp"
#include "actors/parameters/requests.hpp"
#include "storage/result.hpp"

namespace ds::parameters {

struct RangeRequest {
  std::uint32_t range = 0;
  Request request;
};

/// A worker's way to the primaries of one generation. Memory that a request points into stays as it is until
/// its call returned.
class Link {
 public:
  virtual ~Link() = default;

  virtual const std::vector<KeyRange>& ranges() const = 0;

  /// Sends all and waits for all answers, in the order of the requests. The first failure of any ends the
  /// wait; `cancelled` when the generation has ended. One call at a time; `abort` from any thread.
  virtual Result<std::vector<Answer>> call(std::vector<RangeRequest> requests) = 0;

  /// The call in progress and every later one fail with `why`.
  virtual void abort(const Error& why) = 0;
};

}  // namespace ds::parameters

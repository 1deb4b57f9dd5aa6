#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace ds::scheduler {

/// A setting of a model of ours, what it may be, and what it is when it is not given.
struct ZooSetting {
  enum class Kind {
    whole,      ///< from `low` to `high`
    below_one,  ///< a real number from 0 to below 1
    flag,       ///< 0 or 1; `true` and `false` too
  };

  std::string_view name;
  Kind kind = Kind::whole;
  unsigned low = 0, high = 1;
  std::size_t fewest = 1, most = 1;  ///< numbers it consists of; more than 1: a list
  std::array<double, 4> values{};    ///< the default; the first `count` of them
  std::size_t count = 1;             ///< 0: the default is the model's, or follows from other settings
};

/// The settings of the model of ours with that name; none when there is no such model.
std::span<const ZooSetting> find_zoo_settings(std::string_view zoo);

}  // namespace ds::scheduler

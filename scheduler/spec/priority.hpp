#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "scheduler/spec/job_spec.hpp"

namespace ds::scheduler {

inline constexpr std::uint32_t kMaxPriority = 1'000'000;

/// The words for a priority.
inline constexpr std::array<std::pair<std::string_view, std::uint32_t>, 4> kPriorityWords{{
    {"low", kLowPriority},
    {"normal", kNormalPriority},
    {"high", kHighPriority},
    {"critical", kCriticalPriority},
}};

/// What one of the words stands for; none: it is no such word.
constexpr std::optional<std::uint32_t> priority_from(std::string_view word) {
  for (const auto& [name, value] : kPriorityWords) {
    if (name == word) return value;
  }
  return std::nullopt;
}

}  // namespace ds::scheduler

#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace ds::simulator {

/// What was wrong with a file or an argument, where, and what to do: one sentence for the person who wrote
/// it.
struct InputError {
  std::string text;
};

/// Where something stands in a file, both from one.
struct FilePlace {
  std::size_t line = 0;
  std::size_t column = 0;
};

/// The longest time between the first and the last submission of a workload: ten years.
inline constexpr double kMaxTraceS = 3650 * 86400.0;

template <class T>
using Read = tl::expected<T, InputError>;

/// Told what is no error and should be known: one sentence.
using Warn = std::function<void(const std::string&)>;

inline tl::unexpected<InputError> refuse(std::string text) {
  return tl::unexpected<InputError>(InputError{std::move(text)});
}

}  // namespace ds::simulator

#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace ds::simulator {

/// What was wrong with a file or an argument, where, and what to do: one sentence for the person who wrote
/// it.
struct InputError {
  std::string text;
};

template <class T>
using Read = tl::expected<T, InputError>;

inline tl::unexpected<InputError> refuse(std::string text) {
  return tl::unexpected<InputError>(InputError{std::move(text)});
}

}  // namespace ds::simulator

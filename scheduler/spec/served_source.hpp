#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "scheduler/spec/serve_spec.hpp"

namespace ds::scheduler {

/// What is wrong with the text of a model's source.
struct SourceFault {
  std::string message, hint;
  bool operator==(const SourceFault&) const = default;
};

/// Reads `ckpt:JOB` (with `@best`, `@newest` or `@STEP`), `file:PATH` and `registry:NAME` (with `@TAG` or
/// `@VERSION`). A relative path stays so. Pure.
std::variant<ServedSource, SourceFault> parse_served_source(std::string_view text);

}  // namespace ds::scheduler

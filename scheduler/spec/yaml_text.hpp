#pragma once

#include <string>

#include "scheduler/spec/yaml_document.hpp"

namespace ds::scheduler {

/// A document that `parse_yaml` makes the same tree of, marks aside: in blocks, a field a line. What was a
/// number, a word or in quotes still is. Pure.
std::string to_yaml_text(const YamlNode& root);

}  // namespace ds::scheduler

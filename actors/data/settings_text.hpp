#pragma once

#include <span>
#include <string>

#include "scheduler/spec/train_spec.hpp"

namespace ds::data {

/// The settings that decide what samples are, without where the files lie: equal settings, equal text.
std::string settings_text(const scheduler::SourceSpec& source,
                          std::span<const scheduler::TransformSpec> transforms);

}  // namespace ds::data

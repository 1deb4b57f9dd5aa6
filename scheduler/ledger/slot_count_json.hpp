#pragma once

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "scheduler/spec/slot_count.hpp"

namespace ds::scheduler {

/// A whole number as one, so as it always was; else the decimal that is read as the same thousandths again.
inline void to_json(nlohmann::json& json, SlotCount slots) {
  slots.is_whole() ? json = slots.rounded_down() : json = slots.number();
}

/// Throws where it is no number of thousandths.
inline void from_json(const nlohmann::json& json, SlotCount& slots) {
  const auto read = SlotCount::from_number(json.get<double>());
  if (!read) throw std::invalid_argument("no number of slots");
  slots = *read;
}

}  // namespace ds::scheduler

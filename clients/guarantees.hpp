#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ds::clients {

/// What all tenants are guaranteed together of something, and how much of it the nodes that are up have.
struct Guarantee {
  std::string of;  ///< `slots` or `GPUs`
  std::int64_t guaranteed = 0;
  double there = 0;
  bool can_be_kept() const { return there >= static_cast<double>(guaranteed); }
  /// `9 of 4 slots`
  std::string text() const;
};

// Both pure, of the answer of `/api/v1/tenants`.

/// Of what anything is guaranteed; nothing of a head that does not say it.
std::vector<Guarantee> guarantees_of(const nlohmann::json& tenants);
/// A line for each that cannot be kept, with the numbers; else empty.
std::string format_guarantees(const nlohmann::json& tenants);

}  // namespace ds::clients

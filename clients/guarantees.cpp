#include "clients/guarantees.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "clients/json_fields.hpp"

namespace ds::clients {
namespace {

/// Whole where it is: `2`, `0.5`.
std::string number_text(double number) {
  return std::trunc(number) == number ? std::to_string(static_cast<std::int64_t>(number))
                                      : fmt::format("{}", number);
}

}  // namespace

std::string Guarantee::text() const {
  return fmt::format("{} of {} {}", guaranteed, number_text(there), of);
}

std::vector<Guarantee> guarantees_of(const nlohmann::json& tenants) {
  std::vector<Guarantee> found;
  if (!tenants.is_array() || tenants.empty()) return found;
  const auto& first = tenants.front();  // each says what all have together
  const auto take = [&](const char* guaranteed_field, const char* there_field, const char* of) {
    const auto guaranteed = integer_at(first, guaranteed_field);
    const auto there = number_at(first, there_field);
    if (there && guaranteed > 0) found.push_back({of, guaranteed, *there});
  };
  take("guaranteed_together", "cluster_slots", "slots");
  take("guaranteed_gpus_together", "cluster_gpus", "GPUs");
  return found;
}

std::string format_guarantees(const nlohmann::json& tenants) {
  std::string text;
  for (const auto& one : guarantees_of(tenants)) {
    if (one.can_be_kept()) continue;
    text += fmt::format(
        "tenants are guaranteed {} {} together, and the nodes that are up have {}: not all can have theirs "
        "until nodes come, or less is guaranteed\n",
        one.guaranteed, one.of, number_text(one.there));
  }
  return text;
}

}  // namespace ds::clients

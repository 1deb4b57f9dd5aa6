#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace ds::clients {

/// One thing that happened, as a line: when, to which job if `with_job`, what and why. Pure.
std::string format_event(const nlohmann::json& event, bool with_job);

}  // namespace ds::clients

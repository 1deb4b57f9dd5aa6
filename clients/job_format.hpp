#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace ds::clients {

/// `{"schema","fields"}`: the format of job files as the head's own tables have it. Written when ds is built.
std::string_view job_format_text();

/// Each once, in their order. Pure.
std::vector<std::string> field_names(const nlohmann::json& fields);

/// What is known of the field, or without one what stands at the root of a job file:
/// `{"field","forms":[…],"fields":[…]}`, of `fields` as `job_format_text` has them: a form for each kind of
/// job for which it is another, and what is inside. Throws `Failure` with `not_found`, and the nearest field.
/// Pure.
nlohmann::json explain_field(const nlohmann::json& fields, const std::string& field);

/// The same for a person. Pure.
std::string format_explanation(const nlohmann::json& explanation);

}  // namespace ds::clients

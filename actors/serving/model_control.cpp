#include "actors/serving/model_control.hpp"

#include <fmt/format.h>

#include <string>

#include "actors/serving/json_reader.hpp"
#include "actors/serving/json_text.hpp"

namespace ds::serving {
namespace {

/// The first of the parameters; empty: there is none, or a failure.
std::string first_parameter(JsonReader& reader) {
  std::string first;
  if (!reader.begin_object()) return first;
  for (std::string_view key; reader.next_member(key);) {
    if (first.empty()) first = key;
    reader.skip_value();
  }
  return first;
}

}  // namespace

Result<void> check_control_body(std::string_view body, ModelControl what) {
  if (body.empty()) return {};
  JsonReader reader(body);
  std::string parameter;
  if (reader.begin_object()) {
    for (std::string_view key; reader.next_member(key);) {
      if (key == "parameters") {
        parameter = first_parameter(reader);
      } else {
        reader.skip_value();
      }
    }
    if (!reader.failed()) reader.expect_end();
  }
  if (reader.failed()) return tl::unexpected(reader.error());
  if (parameter.empty() || what == ModelControl::unload) return {};
  return fail(ErrorCode::unsupported,
              fmt::format("a model is loaded as its job says, without the parameter {}", parameter),
              "ds-submit run -f FILE serves another one");
}

}  // namespace ds::serving

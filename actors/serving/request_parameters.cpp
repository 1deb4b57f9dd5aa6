#include "actors/serving/request_parameters.hpp"

#include <fmt/format.h>

#include <charconv>
#include <string>

#include "actors/serving/json_text.hpp"

namespace ds::serving {
namespace {

using Kind = JsonReader::Kind;

bool refuse_unsupported(JsonReader& reader, std::string_view what, std::string_view hint) {
  return reader.fail_with({ErrorCode::unsupported, std::string(what), std::string(hint)});
}

bool read_into(JsonReader& reader, std::string_view what, std::optional<std::uint64_t>& out) {
  return read_unsigned(reader, what, out.emplace());
}

bool read_into(JsonReader& reader, std::string_view what, std::optional<bool>& out) {
  if (reader.peek() != Kind::boolean)
    return reader.fail_here(fmt::format("'{}' must be true or false", what));
  return reader.read_boolean(out.emplace());
}

/// Clients name a sequence by a number or a text; 0 and "" stand for none.
bool read_no_sequence(JsonReader& reader) {
  const Kind kind = reader.peek();
  std::string_view value;
  bool flag = false;
  if (kind == Kind::boolean) {
    if (!reader.read_boolean(flag)) return false;
  } else if (kind == Kind::number) {
    if (!reader.read_number(value)) return false;
    flag = value != "0";
  } else {
    if (!reader.read_string(value)) return false;
    flag = !value.empty();
  }
  if (!flag) return true;
  return refuse_unsupported(reader, "sequences are not supported", "send each request without sequence_id");
}

bool read_other(JsonReader& reader, std::string_view key) {
  const Kind kind = reader.peek();
  if (kind == Kind::object || kind == Kind::array || kind == Kind::null)
    return reader.fail_here(
        fmt::format("parameter '{}' must be a string, a number or true or false", excerpt(key)));
  return reader.skip_value();
}

bool read_parameter(JsonReader& reader, ParameterPlace place, std::string_view key, Parameters& out) {
  if (key.starts_with("triton_"))
    return reader.fail_here(
        fmt::format("parameter '{}' is reserved, as all that begin with 'triton_'", excerpt(key)));
  if (key.starts_with("shared_memory_"))
    return refuse_unsupported(reader, "shared memory between client and server is not supported",
                              "send the tensors in the request's body");
  if (place == ParameterPlace::input && key == "binary_data_size")
    return read_into(reader, key, out.binary_data_size);
  if (place == ParameterPlace::output && key == "binary_data") return read_into(reader, key, out.binary_data);
  if (place == ParameterPlace::output && key == "classification")
    return read_into(reader, key, out.classification);
  if (place == ParameterPlace::request) {
    if (key == "binary_data_output") return read_into(reader, key, out.binary_data_output);
    if (key == "priority") return read_into(reader, key, out.priority);
    if (key == "timeout") return read_into(reader, key, out.timeout);
    if (key == "sequence_id" || key == "sequence_start" || key == "sequence_end")
      return read_no_sequence(reader);
  }
  return read_other(reader, key);
}

}  // namespace

bool read_unsigned(JsonReader& reader, std::string_view what, std::uint64_t& out) {
  std::string_view text;
  if (reader.peek() != Kind::number)
    return reader.fail_here(fmt::format("'{}' must be a whole number", what));
  if (!reader.read_number(text)) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error == std::errc() && end == text.data() + text.size()) return true;
  return reader.fail_here(
      fmt::format("'{}' is {}, it must be a whole number from 0 to 2^64 - 1", what, excerpt(text)));
}

bool read_parameters(JsonReader& reader, ParameterPlace place, Parameters& out) {
  if (reader.peek() != Kind::object) return reader.fail_here("'parameters' must be an object");
  if (!reader.begin_object()) return false;
  std::string_view key;
  while (reader.next_member(key)) {
    const std::string name(key);  // reading the value ends the view
    if (!read_parameter(reader, place, name, out)) return false;
  }
  return !reader.failed();
}

}  // namespace ds::serving

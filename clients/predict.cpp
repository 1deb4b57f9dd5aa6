#include "clients/predict.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "clients/failure.hpp"
#include "clients/json_fields.hpp"
#include "clients/printable.hpp"
#include "clients/text_table.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

constexpr std::size_t kMostNumbers = 6;  // of a row, for a person

[[noreturn]] void refuse(const std::string& message, const std::string& hint) {
  throw Failure(ExitCode::usage, "usage", message, hint);
}

std::string name_inputs(const json& inputs) {
  std::string names;
  for (const json& input : inputs) {
    names += fmt::format("{}{} ({} {})", names.empty() ? "" : ", ", text_at(input, "name"),
                         text_at(input, "datatype"), array_at(input, "shape").dump());
  }
  return names;
}

/// Of data as it is nested: each level's first item tells for all.
std::vector<std::size_t> shape_of(const json& data) {
  std::vector<std::size_t> shape;
  for (const json* level = &data; level->is_array(); level = &level->front()) {
    shape.push_back(level->size());
    if (level->empty()) break;
  }
  return shape;
}

json make_tensor(const json& inputs, const std::string& given) {
  const auto equals = given.find('=');
  const std::string name = given.substr(0, equals);
  const auto input =
      std::ranges::find_if(inputs, [&](const json& one) { return text_at(one, "name") == name; });
  if (equals == std::string::npos || input == inputs.end())
    refuse(fmt::format("expected NAME=JSON with the name of an input, got {}", printable_line(given)),
           "the model takes " + name_inputs(inputs));
  json data = json::parse(given.substr(equals + 1), nullptr, false);
  if (!data.is_array() || data.empty())
    refuse(
        fmt::format("expected a list in JSON for {}, got {}", name, printable_line(given.substr(equals + 1))),
        fmt::format("such as {}='[[0.5, 1.5]]' for one row of two numbers", name));
  const auto shape = shape_of(data);
  return {
      {"name", name}, {"datatype", text_at(*input, "datatype")}, {"shape", shape}, {"data", std::move(data)}};
}

/// The values of one output's row.
std::string row_text(const json& output, std::size_t row, std::size_t rows) {
  const json& data = array_at(output, "data");
  const std::size_t each = rows == 0 ? 0 : data.size() / rows;
  std::string text;
  for (std::size_t i = 0; i < std::min(each, kMostNumbers); ++i) {
    const json& value = data[row * each + i];
    text += (i == 0 ? "" : " ") + (value.is_string()         ? value.get<std::string>()
                                   : value.is_number_float() ? fmt::format("{:.4g}", value.get<double>())
                                                             : value.dump());
  }
  return printable_line(each > kMostNumbers ? text + fmt::format(" … ({} in all)", each) : text);
}

}  // namespace

json make_request(const json& metadata, const std::vector<std::string>& texts,
                  const std::vector<std::string>& tensors) {
  const json& inputs = array_at(metadata, "inputs");
  json request{{"inputs", json::array()}};
  for (const std::string& tensor : tensors) request["inputs"].push_back(make_tensor(inputs, tensor));
  if (!texts.empty()) {
    const auto input =
        std::ranges::find_if(inputs, [](const json& one) { return text_at(one, "datatype") == "BYTES"; });
    if (input == inputs.end())
      refuse("the model takes no texts", "it takes " + name_inputs(inputs) + ": --input NAME=JSON");
    request["inputs"].push_back({{"name", text_at(*input, "name")},
                                 {"datatype", "BYTES"},
                                 {"shape", {texts.size()}},
                                 {"data", texts}});
  }
  if (request["inputs"].empty())
    refuse("nothing to predict from is given", "the model takes " + name_inputs(inputs));
  return request;
}

std::string format_prediction(const json& answer, bool coloured) {
  const json& outputs = array_at(answer, "outputs");
  std::vector<std::string> header;
  std::size_t rows = 0;
  for (const json& output : outputs) {
    std::string name = text_at(output, "name");
    std::ranges::transform(name, name.begin(),
                           [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    header.push_back(printable_line(name));
    const json& shape = array_at(output, "shape");
    if (!shape.empty() && shape[0].is_number_unsigned()) rows = shape[0].get<std::size_t>();
  }
  std::vector<std::vector<Cell>> lines;
  for (std::size_t row = 0; row < rows; ++row) {
    auto& line = lines.emplace_back();
    for (const json& output : outputs) line.push_back({row_text(output, row, rows)});
  }
  return format_table(header, lines, coloured);
}

}  // namespace ds::clients

#include "scheduler/spec/job_schema.hpp"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <utility>
#include <variant>

#include "scheduler/spec/job_format.hpp"
#include "scheduler/spec/scalars.hpp"

namespace ds::scheduler {
namespace {

using nlohmann::json;
using Kind = FormatType::Kind;

constexpr JobKind kKinds[] = {JobKind::train, JobKind::serve, JobKind::command};

json schema_of(const std::vector<FormatType>& types);

json value_of(const std::string& yaml) {
  const auto node = parse_yaml(yaml, "a value");
  return std::holds_alternative<YamlNode>(node) ? to_json_value(std::get<YamlNode>(node)) : json(yaml);
}

json range_schema(const RealRange& range, const char* type) {
  json schema{{"type", type}};
  const auto number = [&](double value) {
    return type == std::string_view("integer") ? json(static_cast<std::int64_t>(value)) : json(value);
  };
  constexpr double kLargestWhole = 9e15;  // beyond it readers of JSON round
  const double most =
      type == std::string_view("integer") ? kLargestWhole : std::numeric_limits<double>::max();
  if (range.low > -most) schema[range.low_open ? "exclusiveMinimum" : "minimum"] = number(range.low);
  if (range.high < most) schema[range.high_open ? "exclusiveMaximum" : "maximum"] = number(range.high);
  return schema;
}

json text_schema(const std::string& pattern) {
  if (pattern.empty()) return {{"type", {"string", "number", "boolean"}}};
  // What has digits alone is a number to those who read YAML.
  const bool may_be_number = std::regex_match("12", std::regex(pattern));
  return {{"type", may_be_number ? json{"string", "integer"} : json("string")},
          {"pattern", "^(?:" + pattern + ")$"}};
}

json field_schema(const FormatField& field) {
  json schema = schema_of(field.types);
  schema["description"] = field.meaning;
  if (!field.otherwise.empty()) schema["default"] = value_of(field.otherwise);
  if (!field.example.empty()) schema["examples"] = json::array({value_of(field.example)});
  return schema;
}

json mapping_schema(const std::vector<FormatField>& fields, const std::vector<FormatType>& others) {
  json schema{{"type", "object"}, {"additionalProperties", others.empty() ? json(false) : schema_of(others)}};
  for (const FormatField& field : fields) {
    if (field.types.empty()) continue;
    schema["properties"][std::string(field.name)] = field_schema(field);
    if (field.is_required) schema["required"].push_back(field.name);
  }
  return schema;
}

json one_schema(const FormatType& type) {
  switch (type.kind) {
    case Kind::whole:
      return range_schema(type.range, "integer");
    case Kind::real:
      return range_schema(type.range, "number");
    case Kind::flag:
      return type.noun == "true" ? json{{"const", true}} : json{{"type", "boolean"}};
    case Kind::choice: {
      json words = json::array();
      for (const Known& word : type.words) {
        if (word.support != Known::Support::not_yet) words.push_back(word.name);
      }
      return {{"enum", words}};
    }
    case Kind::list:
      return {{"type", "array"},
              {"items", schema_of(type.items)},
              {"minItems", type.fewest},
              {"maxItems", type.most}};
    case Kind::mapping:
      return mapping_schema(type.fields, type.others);
    case Kind::text:
      break;
  }
  return text_schema(type.pattern);
}

json schema_of(const std::vector<FormatType>& types) {
  if (types.size() == 1) return one_schema(types.front());
  json any = json::array();
  for (const FormatType& type : types) any.push_back(one_schema(type));
  return {{"anyOf", any}};
}

/// Adds `field` and what is in it. One that is there for another kind of job already is of both.
void add_field(const FormatField& field, const std::string& around, const std::string& kind, json& fields) {
  const std::string path = around + std::string(field.name);
  json entry{{"field", path},
             {"type", describe(field.types)},
             {"required", field.is_required},
             {"supported", !field.types.empty()},
             {"default", field.otherwise.empty() ? json(nullptr) : json(field.otherwise)},
             {"meaning", field.meaning},
             {"example", field.example}};
  const auto same = std::find_if(fields.begin(), fields.end(), [&](json one) {
    one.erase("kinds");
    return one == entry;
  });
  if (same == fields.end()) {
    entry["kinds"] = {kind};
    fields.push_back(std::move(entry));
  } else if (auto& kinds = same->at("kinds"); std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
    kinds.push_back(kind);
  }
  const auto add_inner = [&](const FormatType& type) {
    for (const FormatField& inner : type.fields) add_field(inner, path + ".", kind, fields);
  };
  for (const FormatType& type : field.types) {
    add_inner(type);
    for (const FormatType& item : type.items) add_inner(item);
  }
}

}  // namespace

json to_json_value(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null:
      return nullptr;
    case YamlNode::Kind::sequence: {
      json list = json::array();
      for (const YamlNode& item : node.items) list.push_back(to_json_value(item));
      return list;
    }
    case YamlNode::Kind::mapping: {
      json mapping = json::object();
      for (const YamlEntry& entry : node.entries) mapping[entry.key] = to_json_value(entry.value);
      return mapping;
    }
    case YamlNode::Kind::scalar:
      break;
  }
  if (node.is_quoted) return node.text;
  if (node.text == "true" || node.text == "false") return node.text == "true";
  if (const auto whole = parse_whole(node.text); whole.fault == NumberFault::none) return whole.value;
  if (const auto real = parse_real(node.text); real.fault == NumberFault::none) {
    const auto rounded = static_cast<std::int64_t>(std::clamp(real.value, -1e15, 1e15));
    return static_cast<double>(rounded) == real.value ? json(rounded) : json(real.value);
  }
  return node.text;
}

json job_schema() {
  json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"title", "A ds job file"},
              {"type", "object"},
              {"required", {"kind"}}};
  for (const JobKind kind : kKinds) {
    const std::string name(to_string(kind));
    auto fields = job_format(kind);
    schema["$defs"][name] = mapping_schema(fields, {});
    schema["properties"]["kind"]["enum"].push_back(name);
    schema["allOf"].push_back(
        {{"if", {{"properties", {{"kind", {{"const", name}}}}}, {"required", {"kind"}}}},
         {"then", {{"$ref", "#/$defs/" + name}}}});
  }
  return schema;
}

json job_fields() {
  json fields = json::array();
  for (const JobKind kind : kKinds) {
    for (const FormatField& field : job_format(kind))
      add_field(field, "", std::string(to_string(kind)), fields);
  }
  return fields;
}

}  // namespace ds::scheduler

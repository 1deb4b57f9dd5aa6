// The JSON Schema takes the job files that there are, and refuses what an editor should mark.
#include "scheduler/spec/job_schema.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <regex>

#include "clients/job_format.hpp"
#include "clients/job_template.hpp"
#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {
namespace {

using nlohmann::json;

/// The part of JSON Schema that ours is made of; a keyword that it does not know fails the test.
class Validator {
 public:
  explicit Validator(const json& schema) : schema_(schema) {}

  /// What is wrong, each with its place; none: nothing.
  std::vector<std::string> check(const json& document) {
    faults_.clear();
    check(schema_, document, "");
    return faults_;
  }

 private:
  bool matches(const json& schema, const json& value) {
    Validator inner(schema_);
    inner.check(schema, value, "");
    return inner.faults_.empty();
  }

  static bool is_of(const std::string& type, const json& value) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "number") return value.is_number();
    if (type == "integer")
      return value.is_number_integer() || (value.is_number() && std::floor(value.get<double>()) == value);
    ADD_FAILURE() << "type " << type;
    return false;
  }

  void check(const json& schema, const json& value, const std::string& at) {
    if (schema.is_boolean()) {
      if (!schema.get<bool>()) fault(at, "not allowed");
      return;
    }
    for (const auto& [keyword, rule] : schema.items()) check_keyword(keyword, rule, schema, value, at);
  }

  void check_keyword(const std::string& keyword, const json& rule, const json& schema, const json& value,
                     const std::string& at) {
    const auto number = [&] { return value.is_number() ? value.get<double>() : rule.get<double>(); };
    const auto expect = [&](bool holds) {
      if (!holds) fault(at, keyword + " " + rule.dump());
    };
    const auto is_one_of = [&](const json& list) {
      return std::find(list.begin(), list.end(), value) != list.end();
    };
    if (keyword == "type") {
      const json types = rule.is_array() ? rule : json::array({rule});
      expect(std::any_of(types.begin(), types.end(), [&](const json& type) { return is_of(type, value); }));
    } else if (keyword == "enum") {
      expect(is_one_of(rule));
    } else if (keyword == "const") {
      expect(value == rule);
    } else if (keyword == "minimum") {
      expect(number() >= rule.get<double>());
    } else if (keyword == "maximum") {
      expect(number() <= rule.get<double>());
    } else if (keyword == "exclusiveMinimum") {
      if (value.is_number()) expect(number() > rule.get<double>());
    } else if (keyword == "exclusiveMaximum") {
      if (value.is_number()) expect(number() < rule.get<double>());
    } else if (keyword == "pattern") {
      if (value.is_string())
        expect(std::regex_search(value.get<std::string>(), std::regex(rule.get<std::string>())));
    } else if (keyword == "minItems") {
      if (value.is_array()) expect(value.size() >= rule.get<std::size_t>());
    } else if (keyword == "maxItems") {
      if (value.is_array()) expect(value.size() <= rule.get<std::size_t>());
    } else if (keyword == "items") {
      for (std::size_t i = 0; value.is_array() && i < value.size(); ++i)
        check(rule, value[i], at + "/" + std::to_string(i));
    } else if (keyword == "properties") {
      for (const auto& [key, inner] : rule.items()) {
        if (value.is_object() && value.contains(key)) check(inner, value.at(key), at + "/" + key);
      }
    } else if (keyword == "additionalProperties") {
      const json known = schema.value("properties", json::object());
      for (const auto& [key, inner] : value.items()) {
        if (value.is_object() && !known.contains(key)) check(rule, inner, at + "/" + key);
      }
    } else if (keyword == "required") {
      for (const auto& key : rule) {
        if (value.is_object() && !value.contains(key)) fault(at, "required " + key.dump());
      }
    } else if (keyword == "anyOf") {
      expect(std::any_of(rule.begin(), rule.end(), [&](const json& one) { return matches(one, value); }));
    } else if (keyword == "allOf") {
      for (const auto& one : rule) check(one, value, at);
    } else if (keyword == "if") {
      if (matches(rule, value)) check(schema.at("then"), value, at);
    } else if (keyword == "$ref") {
      check(schema_.at(json::json_pointer(rule.get<std::string>().substr(1))), value, at);
    } else {
      const json words = {"then", "description", "default", "examples", "title", "$schema", "$defs"};
      EXPECT_TRUE(std::find(words.begin(), words.end(), keyword) != words.end()) << "keyword " << keyword;
    }
  }

  void fault(const std::string& at, const std::string& what) { faults_.push_back(at + ": " + what); }

  const json& schema_;
  std::vector<std::string> faults_;
};

json read(const std::string& yaml) {
  const auto document = parse_yaml(yaml);
  EXPECT_TRUE(std::holds_alternative<YamlNode>(document)) << yaml;
  return std::holds_alternative<YamlNode>(document) ? to_json_value(std::get<YamlNode>(document)) : json();
}

std::string told(const std::vector<std::string>& faults) {
  std::string text;
  for (const auto& fault : faults) text += fault + "\n";
  return text;
}

TEST(JobSchema, TakesEveryShippedJob) {
  const json schema = job_schema();
  int files = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(std::filesystem::path(DS_SOURCE_DIR) / "deploy")) {
    if (entry.path().extension() != ".yaml") continue;
    std::ifstream stream(entry.path());
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    const auto faults = Validator(schema).check(read(text));
    EXPECT_TRUE(faults.empty()) << entry.path() << "\n" << told(faults);
    ++files;
  }
  EXPECT_GT(files, 5);
}

TEST(JobSchema, TakesTheTemplatesOfInitAndAllThatTheyOffer) {
  const json schema = job_schema();
  for (const char* kind : {"train", "serve", "command"}) {
    std::string text = clients::job_template(kind);
    for (int i = 0; i < 2; ++i) {
      const auto faults = Validator(schema).check(read(text));
      EXPECT_TRUE(faults.empty()) << kind << "\n" << told(faults) << text;
      for (std::size_t at = 0; (at = text.find("\n# ", at)) != std::string::npos;) text.erase(at + 1, 2);
    }
  }
}

TEST(JobSchema, RefusesWhatIsWrong) {
  const json schema = job_schema();
  const std::string train =
      "kind: train\nmodel: {zoo: mlp}\ndata: {train: {source: a.csv, columns: {features: x, label: y}}}\n";
  const std::pair<std::string, std::string> kWrong[] = {
      {"name: a\n", ": required \"kind\""},
      {"kind: trian\n", "/kind: enum"},
      {"kind: tune\n", "/kind: enum"},
      {train, ": required \"until\""},
      {train + "until: {epochs: 2}\noptimzer: {lr: 1}\n", "/optimzer: not allowed"},
      {train + "until: {epochs: 2}\noptimizer: {lr: fast}\n", "/optimizer/lr: type"},
      {train + "until: {epochs: 2}\noptimizer: {lr: 0}\n", "/optimizer/lr: exclusiveMinimum"},
      {train + "until: {epochs: 2}\nworkers: 2000\n", "/workers: anyOf"},
      {train + "until: {epochs: 2}\nworkers: {min: 1}\n", "/workers: anyOf"},
      {train + "until: {epochs: 2.5}\n", "/until/epochs: type"},
      {train + "until: {epochs: 2}\ncheckpoint: {every: often}\n", "/checkpoint/every: pattern"},
      {train + "until: {epochs: 2}\nretention: 90\n", "/retention: type"},
      {train + "until: {epochs: 2}\nsecrets: {a: b}\n", "/secrets: not allowed"},
      {train + "until: {epochs: 2}\ngang: false\n", "/gang: const"},
      {train + "until: {epochs: 2}\nresources: {gpu: 1}\n", "/resources/gpu: maximum"},
      {"kind: command\nrun: ./x\nuntil: {epochs: 1}\n", "/until: not allowed"},
      {"kind: serve\nmodel: {source: 'file:m.pt'}\nworkers: 2\n", "/workers: not allowed"},
  };
  for (const auto& [text, fault] : kWrong) {
    const auto faults = Validator(schema).check(read(text));
    EXPECT_TRUE(std::ranges::any_of(faults, [&](const auto& one) { return one.starts_with(fault); }))
        << text << "expected " << fault << ", got\n"
        << told(faults);
    // What an editor marks the reader refuses as well.
    EXPECT_TRUE(std::holds_alternative<std::vector<SpecError>>(parse_job_file(text, "/data"))) << text;
  }
}

TEST(JobSchema, IsWhatDsSubmitPrints) {
  const json printed = json::parse(clients::job_format_text());
  EXPECT_EQ(printed.at("schema"), job_schema());
  EXPECT_EQ(printed.at("fields"), job_fields());
}

TEST(JobSchema, ReadsValuesAsYaml12Does) {
  EXPECT_EQ(read("{a: 1e-3, b: 7, c: '7', d: true, e: null, f: 90s, g: [1.5], h: -3}"), (json{{"a", 1e-3},
                                                                                              {"b", 7},
                                                                                              {"c", "7"},
                                                                                              {"d", true},
                                                                                              {"e", nullptr},
                                                                                              {"f", "90s"},
                                                                                              {"g", {1.5}},
                                                                                              {"h", -3}}));
}

}  // namespace
}  // namespace ds::scheduler

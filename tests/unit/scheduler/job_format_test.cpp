// The format as it is explained and given to editors is the one by which files are read.
#include "scheduler/spec/job_format.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "scheduler/spec/job_schema.hpp"
#include "scheduler/spec/overrides.hpp"

namespace ds::scheduler {
namespace {

using nlohmann::json;
using Errors = std::vector<SpecError>;
using Kind = FormatType::Kind;

/// A small job of that kind that is right.
std::string smallest(JobKind kind) {
  if (kind == JobKind::command) return "kind: command\nname: a\nrun: ./x\n";
  if (kind == JobKind::serve) return "kind: serve\nname: a\nmodel: {source: 'file:m.pt'}\n";
  return "kind: train\nname: a\nmodel: {zoo: text_classifier}\nuntil: {epochs: 2}\n"
         "data:\n  train: {source: a.csv, columns: {text: utterance, label: intent}}\n"
         "  validate: {source: b.csv, columns: {text: utterance, label: intent}}\n";
}

/// What else has to be said that a field may be: by the beginning of its path, the longest counts.
std::vector<std::string> context_of(JobKind kind, const std::string& path) {
  const std::string servers = "strategy=parameter_server";
  const std::string raw = "{source: a.raw, format: raw, element: uint8, shape: [2], labels: b}";
  const std::string idx = "{source: a.idx, format: idx, labels: b.idx}";
  const std::string csv = "{source: a.csv, columns: {text: utterance, label: intent}}";
  const std::string mlp = "model={zoo: mlp}", alone = "data.validate=null";
  if (kind == JobKind::train && path == "replicas") return {servers};
  const std::pair<std::string, std::vector<std::string>> kContexts[] = {
      {"workers", {"workers={min: 1, max: 4}"}},
      {"replicas.min", {"replicas={min: 1, max: 1024}"}},
      {"autoscale.to_zero_after", {"replicas={min: 0, max: 4}"}},
      {"deadline", {"time_limit=1h"}},
      {"traffic", {"model.source='registry:m'", "replicas={min: 1, max: 4}"}},
      {"batch.max_global", {"batch.accumulate=2"}},
      {"consistency", {servers}},
      {"staleness", {servers, "consistency=bounded"}},
      {"servers", {servers}},
      {"compression", {servers}},
      {"compression.share", {servers, "compression={name: top_k}"}},
      {"optimizer.momentum", {"optimizer.name=sgd"}},
      {"optimizer.nesterov", {"optimizer={name: sgd, momentum: 0.9}"}},
      {"schedule", {"schedule={name: cosine}"}},
      {"schedule.every", {"schedule={name: step}"}},
      {"schedule.factor", {"schedule={name: step, every: 10}"}},
      {"schedule.at", {"schedule={name: step}"}},
      {"until.steps", {"until=null"}},
      {"data.train.shape", {mlp, alone, "data.train=" + raw}},
      {"data.train.element", {mlp, alone, "data.train=" + raw}},
      {"data.train.labels", {mlp, alone, "data.train=" + idx}},
      {"data.validate.shape", {mlp, "data.train=" + raw, "data.validate=" + raw}},
      {"data.validate.element", {mlp, "data.train=" + raw, "data.validate=" + raw}},
      {"data.validate.labels", {mlp, "data.train=" + idx, "data.validate=" + idx}},
      {"quantize.eval", {"quantize.eval=" + csv}},
      {"quantize.eval.shape", {"quantize.eval=" + raw}},
      {"quantize.eval.element", {"quantize.eval=" + raw}},
      {"quantize.eval.labels", {"quantize.eval=" + idx}},
      {"batching.padding",
       {"model.inputs=[{name: x, datatype: INT64, shape: [-1, -1]}]", "model.outputs=[{name: tags}]",
        "batching.padding.buckets=[16]"}},
  };
  std::string best;
  std::vector<std::string> context;
  for (const auto& [given, overrides] : kContexts) {
    const bool fits = path == given || path.starts_with(given + ".");
    if (fits && given.size() > best.size()) {
      best = given;
      context = overrides;
    }
  }
  return context;
}

/// Errors of the smallest job with this value at the path.
Errors read_with(JobKind kind, const std::string& path, const std::string& value) {
  auto overrides = context_of(kind, path);
  overrides.push_back(path + "=" + value);
  auto parsed = parse_job_file(smallest(kind), "/data", overrides);
  return std::holds_alternative<Errors>(parsed) ? std::get<Errors>(parsed) : Errors{};
}

bool blames(const Errors& errors, const std::string& path) {
  return std::ranges::any_of(errors, [&](const SpecError& error) {
    return error.field == path || error.field.starts_with(path + "[") || path.starts_with(error.field + ".");
  });
}

std::string told(const Errors& errors) {
  std::string text;
  for (const auto& error : errors) text += format_spec_error(error, "") + "\n";
  return text;
}

/// Calls back for each field that is no list item's, those in mappings with their dotted path.
void walk(const std::vector<FormatField>& fields, const std::string& around,
          const std::function<void(const std::string&, const FormatField&)>& visit) {
  for (const FormatField& field : fields) {
    const std::string path = around + std::string(field.name);
    visit(path, field);
    for (const FormatType& type : field.types) walk(type.fields, path + ".", visit);
  }
}

const JobKind kKinds[] = {JobKind::train, JobKind::serve, JobKind::command};

/// Settings belong to one model each, and the first of each has its test; goals and weights of losses stand
/// for each other.
bool is_one_of_many(const std::string& path) {
  return path.starts_with("model.") || path.starts_with("until.metric.") || path.starts_with("loss.") ||
         path.find(".columns.") != std::string::npos;
}

TEST(JobFormat, GivesExamplesThatAreRight) {
  for (const JobKind kind : kKinds) {
    int tried = 0;
    walk(job_format(kind), "", [&](const std::string& path, const FormatField& field) {
      if (field.types.empty() || path == "kind") return;
      EXPECT_FALSE(field.meaning.empty()) << path;
      if (field.example.empty() || is_one_of_many(path)) return;
      ++tried;
      const auto errors = read_with(kind, path, field.example);
      EXPECT_TRUE(errors.empty()) << to_string(kind) << " " << path << "=" << field.example << "\n"
                                  << told(errors);
    });
    EXPECT_GT(tried, 15) << to_string(kind);
  }
}

TEST(JobFormat, SaysTheDefaultsThatCount) {
  for (const JobKind kind : kKinds) {
    int tried = 0;
    walk(job_format(kind), "", [&](const std::string& path, const FormatField& field) {
      if (field.otherwise.empty() || is_one_of_many(path) || path == "model") return;
      const auto context = context_of(kind, path);
      auto with = context, without = context;
      with.push_back(path + "=" + field.otherwise);
      without.push_back(path + "=null");
      const auto given = parse_job_file(smallest(kind), "/data", with);
      const auto left_out = parse_job_file(smallest(kind), "/data", without);
      if (!std::holds_alternative<OverriddenJob>(left_out)) return;  // it may not be left out there
      ASSERT_TRUE(std::holds_alternative<OverriddenJob>(given)) << path << told(std::get<Errors>(given));
      EXPECT_EQ(std::get<OverriddenJob>(given).job.spec, std::get<OverriddenJob>(left_out).job.spec)
          << to_string(kind) << " " << path << ": " << field.otherwise;
      ++tried;
    });
    EXPECT_GT(tried, 8) << to_string(kind);
  }
}

TEST(JobFormat, SaysTheRangesThatCount) {
  int tried = 0;
  for (const JobKind kind : kKinds) {
    walk(job_format(kind), "", [&](const std::string& path, const FormatField& field) {
      if (field.types.size() != 1 || is_one_of_many(path)) return;
      const FormatType& type = field.types.front();
      const bool is_whole = type.kind == Kind::whole;
      if (!is_whole && type.kind != Kind::real) return;
      const auto text = [&](double value) {
        return is_whole ? std::to_string(static_cast<std::int64_t>(value)) : json(value).dump();
      };
      const auto takes = [&](double value) { return !blames(read_with(kind, path, text(value)), path); };
      const auto& range = type.range;
      if (range.high < 1e15) {
        // Rules between fields may be stricter than the range: what is beyond it is refused in any case.
        EXPECT_FALSE(takes(range.high + 1)) << path;
        ++tried;
      }
      const bool ends_below = range.low > 0 || (is_whole && range.low == 0);
      EXPECT_FALSE(ends_below && takes(range.low - 1)) << path;
      EXPECT_FALSE(range.low_open && takes(range.low)) << path;
    });
  }
  EXPECT_GT(tried, 20);
}

TEST(JobFormat, RefusesWordsThatAreNone) {
  int tried = 0;
  for (const JobKind kind : kKinds) {
    walk(job_format(kind), "", [&](const std::string& path, const FormatField& field) {
      const bool is_choice = field.types.size() == 1 && field.types.front().kind == Kind::choice;
      if (!is_choice || is_one_of_many(path)) return;
      EXPECT_TRUE(blames(read_with(kind, path, "nonsense"), path)) << path;
      for (const Known& word : field.types.front().words) {
        if (word.support == Known::Support::not_yet) continue;
        const auto errors = read_with(kind, path, std::string(word.name));
        const bool is_known = std::ranges::none_of(errors, [&](const SpecError& error) {
          return error.field == path && error.message.starts_with("expected one of");
        });
        EXPECT_TRUE(is_known) << path << " " << word.name;
      }
      ++tried;
    });
  }
  EXPECT_GT(tried, 8);
}

TEST(JobFormat, MayNotLackAFieldNorHaveOneTooMany) {
  const Known keys[] = {{"one"}, {"two"}, {"three", Known::Support::not_yet}};
  const auto one = [] { return FormatField{.name = "one", .types = {format::flag()}}; };
  const auto two = [] { return FormatField{.name = "two", .types = {format::flag()}}; };
  EXPECT_THROW(format::mapping(keys, {one()}), std::logic_error);
  EXPECT_THROW(format::mapping(keys, {one(), two(), FormatField{.name = "four"}}), std::logic_error);
  const auto mapping = format::mapping(keys, {two(), one()});
  ASSERT_EQ(mapping.fields.size(), 3U);
  EXPECT_EQ(mapping.fields[0].name, "one");
  EXPECT_TRUE(mapping.fields[2].types.empty()) << "not supported yet";
}

TEST(JobFormat, ListsFieldsWithTheKindsThatHaveThem) {
  const json fields = job_fields();
  const auto forms = [&](const std::string& path) {
    json found = json::array();
    for (const auto& one : fields) {
      if (one.at("field") == path) found.push_back(one);
    }
    return found;
  };
  ASSERT_EQ(forms("optimizer.lr").size(), 1U);
  EXPECT_EQ(forms("optimizer.lr").at(0).at("kinds"), json{"train"});
  EXPECT_EQ(forms("optimizer.lr").at(0).at("type"), "a number above 0");
  EXPECT_EQ(forms("optimizer.lr").at(0).at("default"), "1e-3");
  EXPECT_EQ(forms("workers.max").at(0).at("kinds"), (json{"train", "command"}));
  EXPECT_EQ(forms("queue").size(), 2U) << "of a serve job it may be about requests";
  EXPECT_EQ(forms("data.transforms.tokenize.vocabulary").size(), 1U);
  EXPECT_EQ(forms("secrets").at(0).at("supported"), false);
  EXPECT_NE(forms("model.width").at(0).at("meaning").get<std::string>().find("text_classifier (128)"),
            std::string::npos);
}

}  // namespace
}  // namespace ds::scheduler

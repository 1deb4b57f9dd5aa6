#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/spec/job_file.hpp"
#include "scheduler/spec/utf8.hpp"
#include "tests/unit/scheduler/example_job.hpp"

namespace ds::scheduler {
namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t bound) {
  return bound == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, bound - 1)(random);
}

/// One edit: a piece dropped, doubled, moved, or replaced by something that means much to YAML or to number
/// parsers.
void mutate(std::string& text, Random& random) {
  constexpr auto kPieces = std::to_array<std::string_view>(
      {"[",     "]",    "{",       "}",        ":",    "- ",   "\n",           "\n  ",
       "\t",    "\"",   "'",       "|",        ">",    "&a",   "*a",           "!t",
       "#",     "?",    "%YAML 9", "---",      "...",  "~",    "null",         "-1",
       "1e999", "0x1F", "nan",     "yes",      ",",    "@",    "\\x",          "\"\\é",
       "\r",    "\xFF", "é",       "\x04",     "<<",   "seed", "kind",         "0010",
       "9e9",   ".inf", "min: 9",  "{a: {b: ", "[[[[", "? ",   "\xEF\xBB\xBF", "\\ud800"});
  const std::size_t at = below(random, text.size() + 1);
  const std::size_t length = below(random, std::min<std::size_t>(12, text.size() - at) + 1);
  switch (below(random, 5)) {
    case 0:
      text.erase(at, length);
      break;
    case 1:
      text.insert(at, text.substr(at, length));
      break;
    case 2:
      text.insert(below(random, text.size() + 1), std::string(text, at, length));
      break;
    case 3:
      text.replace(at, length, kPieces[below(random, kPieces.size())]);
      break;
    default:
      if (at < text.size()) text[at] = static_cast<char>(below(random, 256));
      break;
  }
}

/// The mark is unknown, or inside the text or right behind a line's end.
void expect_inside(const Mark& mark, const std::string& text) {
  if (mark == Mark{}) return;
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  ASSERT_GE(mark.line, 1U);
  ASSERT_LE(mark.line, lines);
  std::size_t start = 0;
  for (std::size_t line = 1; line < mark.line; ++line) start = text.find('\n', start) + 1;
  const std::size_t length = std::min(text.find('\n', start), text.size()) - start;
  ASSERT_GE(mark.column, 1U);
  ASSERT_LE(mark.column, length + 1);
}

void expect_sane(const std::string& text, int& accepted) {
  const auto parsed = parse_job_file(text, "/jobs");
  if (const auto* job = std::get_if<ParsedJob>(&parsed)) {
    ++accepted;
    EXPECT_LE(job->spec.workers.min, job->spec.workers.max);
    EXPECT_GE(job->spec.batch.global, job->spec.workers.max);
    EXPECT_GT(job->spec.optimizer.lr, 0);
    EXPECT_NE(job->spec.until.epochs.has_value(), job->spec.until.steps.has_value());
    for (const std::string& path : job->spec.data.train.paths) EXPECT_TRUE(path.starts_with("/"));
    EXPECT_FALSE(job->spec.data.train.paths.empty());
    EXPECT_FALSE(job->spec.loss.empty());
    EXPECT_NE(job->spec.model.zoo.empty(), job->spec.model.torchscript.empty());
    EXPECT_FALSE(job->spec.data.train.format.empty());
    for (const auto& [field, mark] : job->marks) expect_inside(mark, text);
    return;
  }
  const auto& errors = std::get<std::vector<SpecError>>(parsed);
  ASSERT_FALSE(errors.empty());
  ASSERT_LE(errors.size(), 50U);
  for (const SpecError& error : errors) {
    EXPECT_FALSE(error.message.empty());
    expect_inside(error.mark, text);
    const std::string shown = format_spec_error(error, "job.yaml");
    EXPECT_FALSE(has_control_character(shown, true)) << shown;
    EXPECT_EQ(find_invalid_utf8(shown), std::nullopt) << shown;
  }
}

TEST(JobFileMutation, LeadsToAJobOrToErrorsInsideTheFile) {
  int accepted = 0;
  for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
    Random random(seed);
    std::string text(testing::kExampleJob);
    for (std::size_t edits = 1 + below(random, 4); edits > 0; --edits) mutate(text, random);
    expect_sane(text, accepted);
    if (HasFailure()) FAIL() << "seed " << seed << ", file:\n" << text;
  }
  EXPECT_GT(accepted, 100) << "the mutations are too wild to reach beyond the syntax";
  EXPECT_LT(accepted, 9'000) << "the mutations are too tame";
}

TEST(JobFileMutation, OfARichFileLeadsToAJobOrToErrorsInsideIt) {
  int accepted = 0;
  for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
    Random random(seed);
    std::string text(testing::kRichJob);
    for (std::size_t edits = below(random, 4); edits > 0; --edits) mutate(text, random);
    expect_sane(text, accepted);
    if (HasFailure()) FAIL() << "seed " << seed << ", file:\n" << text;
  }
  EXPECT_GT(accepted, 2'500) << "a quarter of the files is not changed at all";
  EXPECT_LT(accepted, 9'000) << "the mutations are too tame";
}

TEST(JobFileMutation, CutAnywhereLeadsToErrorsInsideTheFile) {
  int accepted = 0;
  for (std::size_t size = 0; size < testing::kExampleJob.size(); ++size) {
    const std::string text(testing::kExampleJob.substr(0, size));
    expect_sane(text, accepted);
    if (HasFailure()) FAIL() << "cut after " << size << " bytes";
  }
  EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace ds::scheduler

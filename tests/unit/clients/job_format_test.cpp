#include "clients/job_format.hpp"

#include <gtest/gtest.h>

#include "clients/failure.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

json field(const char* path, json kinds, const char* meaning, json otherwise = nullptr) {
  return {{"field", path},
          {"kinds", std::move(kinds)},
          {"type", "a number"},
          {"required", false},
          {"supported", true},
          {"meaning", meaning},
          {"default", std::move(otherwise)},
          {"example", "2"}};
}

json fields() {
  json all{field("queue", {"train", "command"}, "Of the tenant.", "default"),
           field("optimizer", {"train"}, "How it learns."),
           field("optimizer.lr", {"train"}, "The rate.", "1e-3"),
           field("optimizer.name", {"train"}, "Which."),
           field("secrets", {"train"}, ""),
           field("queue", {"serve"}, "Or of requests.", "default"),
           field("queue.max_depth", {"serve"}, "How many wait.", "1000"),
           field("data.transforms.crop", {"train"}, "Takes a part.")};
  all[1]["required"] = true;
  all[4]["supported"] = false;
  return all;
}

/// Hint of the refusal.
std::string refusal_of(const std::string& path) {
  try {
    explain_field(fields(), path);
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.exit_code, ExitCode::not_found);
    return failure.hint;
  }
  return "explained";
}

TEST(Explanation, OfAFieldSaysItsTypeDefaultAndExample) {
  EXPECT_EQ(format_explanation(explain_field(fields(), "optimizer.lr")),
            "FIELD    optimizer.lr\n"
            "KINDS    train\n"
            "TYPE     a number\n"
            "DEFAULT  1e-3\n"
            "MEANING  The rate.\n"
            "EXAMPLE  lr: 2\n");
}

TEST(Explanation, OfAMappingListsWhatIsInIt) {
  const auto text = format_explanation(explain_field(fields(), "optimizer"));
  EXPECT_NE(text.find("DEFAULT  none: it must be given\n"), std::string::npos) << text;
  EXPECT_NE(text.find("FIELD  KINDS  DEFAULT  MEANING\n"
                      "lr     train  1e-3     The rate.\n"
                      "name   train           Which.\n"),
            std::string::npos)
      << text;
}

TEST(Explanation, IsThereForEachKindOfJobThatHasAnother) {
  const auto explanation = explain_field(fields(), "queue");
  EXPECT_EQ(explanation.at("forms").size(), 2U);
  EXPECT_EQ(explanation.at("fields").size(), 1U);
  EXPECT_NE(format_explanation(explanation).find("\n\nKINDS    serve\n"), std::string::npos);
}

TEST(Explanation, WithoutAFieldListsTheRoot) {
  const auto root = explain_field(fields(), "");
  EXPECT_EQ(root.at("fields").size(), 4U);
  const auto text = format_explanation(root);
  EXPECT_NE(text.find("optimizer*"), std::string::npos) << text;
  EXPECT_EQ(text.find("secrets"), std::string::npos) << "nobody may use it";
  EXPECT_NE(format_explanation(explain_field(fields(), "secrets")).find("not supported by this version yet"),
            std::string::npos);
}

TEST(Explanation, TakesPathsAsErrorsHaveThemAndSuggestsTheNearest) {
  EXPECT_EQ(explain_field(fields(), "data.transforms[0].crop").at("field"), "data.transforms.crop");
  EXPECT_EQ(refusal_of("optimzer.lr"), "did you mean optimizer.lr?");
  EXPECT_EQ(refusal_of("lr"), "did you mean optimizer.lr?");
  EXPECT_EQ(refusal_of("zzzzzzzzz"), "ds-submit explain lists the fields");
}

}  // namespace
}  // namespace ds::clients

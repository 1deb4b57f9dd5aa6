#include "scheduler/spec/tenant_choice.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {
namespace {

JobSpec spec_of(const std::string& text) {
  auto parsed = parse_job_file(text, "/data");
  EXPECT_TRUE(std::holds_alternative<ParsedJob>(parsed)) << text;
  return std::holds_alternative<ParsedJob>(parsed) ? std::get<ParsedJob>(parsed).spec : JobSpec{};
}

TEST(TenantChoice, StandsInTheTextWhateverItsStyle) {
  const std::vector<std::string> texts{
      "version: 1\nkind: command\nname: a\nrun: [./x]\n",
      "\xEF\xBB\xBFversion: 1\nkind: command\nname: a\nrun: [./x]",
      "# first\n---\nversion: 1\r\nkind: command\r\nname: a\r\nrun: [./x]\r\n",
      "  version: 1\n  kind: command\n  name: a\n  run: [./x]\n",
      "\"version\": 1\nkind: command\nname: a\nrun: |\n  ./x\n  ./y\n\n",
      R"({"kind":"command","name":"a","run":["./x"],"version":1})",
      "# é {\n{ version: 1, kind: command,\n  name: a, run: [./x] }\n",
      "version: 1\ndescription: é\ntenant: nlp  # theirs\nkind: command\nname: a\nrun: [./x]\n",
      "{description: é, tenant: nlp, version: 1, kind: command, name: a, run: [./x]}",
      "version: 1\ntenant: 'nlp'\nkind: command\nname: a\nrun: [./x]\n",
      "version: 1\ntenant: \"n\\x6cp\"\nkind: command\nname: a\nrun: [./x]\n",
      "version: 1\ntenant:\n  nlp\nkind: command\nname: a\nrun: [./x]\n",
  };
  for (const auto& text : texts) {
    const auto changed = name_tenant(text, "vision");
    ASSERT_TRUE(changed) << text;
    JobSpec wanted = spec_of(text);
    wanted.tenant = "vision";
    EXPECT_EQ(spec_of(*changed), wanted) << *changed;
  }
}

TEST(TenantChoice, LeavesOtherLinesAsTheyWere) {
  EXPECT_EQ(name_tenant("version: 1\nkind: command # k\nrun: [./x]\n", "nlp"),
            "tenant: nlp\nversion: 1\nkind: command # k\nrun: [./x]\n");
  EXPECT_EQ(name_tenant("kind: command\ntenant: 'vision' # theirs\n", "nlp"),
            "kind: command\ntenant: nlp # theirs\n");
}

TEST(TenantChoice, IsNoneWhereTheTextHasNoPlaceForIt) {
  for (const char* text : {"", "[1]", "text", "kind: [", "tenant: [a]\n", "? kind\n: command\n"})
    EXPECT_EQ(name_tenant(text, "nlp"), std::nullopt) << text;
}

}  // namespace
}  // namespace ds::scheduler

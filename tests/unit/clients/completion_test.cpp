#include "clients/completion.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

const std::vector<CompletedCommand> kCommands{
    {"list", "list the jobs", {"--output", "-o"}, {}},
    {"init", "what's needed", {}, {"train", "serve"}},
};

TEST(Completion, OffersCommandsThenTheirOptionsAndWords) {
  const auto script = completion_script("bash", kCommands);
  for (const char* part :
       {"'') words='list init --head", "        list) words='--output -o' ;;\n",
        "        init) words='train serve' ;;\n", "complete -o default -F _ds_submit ds-submit\n"})
    EXPECT_NE(script.find(part), std::string::npos) << part << script;
  EXPECT_TRUE(completion_script("zsh", kCommands).ends_with(script));
}

TEST(Completion, QuotesDescriptionsForFish) {
  const auto script = completion_script("fish", kCommands);
  for (const char* part :
       {"-f -a init -d 'what'\\''s needed'\n", "'__fish_seen_subcommand_from list' -l output\n",
        "'__fish_seen_subcommand_from list' -s o\n",
        "'__fish_seen_subcommand_from init' -f -a 'train serve'\n"})
    EXPECT_NE(script.find(part), std::string::npos) << part << script;
}

TEST(Completion, IsEmptyForAnotherShell) {
  EXPECT_EQ(completion_script("tcsh", kCommands), "");
}

}  // namespace
}  // namespace ds::clients

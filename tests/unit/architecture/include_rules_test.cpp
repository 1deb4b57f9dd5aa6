#include "tests/unit/architecture/include_rules.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace ds::architecture {
namespace {

std::vector<std::string> check(std::string path, std::string text) {
  std::vector<std::string> lines;
  for (const Violation& violation : check_file({std::move(path), std::move(text)}))
    lines.push_back(violation.to_string());
  return lines;
}

bool allows(const std::string& path, const std::string& include) {
  return check(path, "#include " + include + "\n").empty();
}

TEST(IncludeRules, NameTheFileTheLineAndTheRule) {
  EXPECT_EQ(
      check("storage/a.cpp", "#include <string>\n\n#include \"actors/fabric/fabric.hpp\"\n"),
      std::vector<std::string>{"storage/a.cpp:3: storage/ may not include actors/, of ours it uses kernels"});
  EXPECT_EQ(check("kernels/a.cpp", "#include \"storage/result.hpp\"\n"),
            std::vector<std::string>{
                "kernels/a.cpp:1: kernels/ may not include storage/, of ours it uses nothing"});
  EXPECT_EQ(check("actors/train/a.cpp", "\n#include <caf/all.hpp>\n"),
            std::vector<std::string>{
                "actors/train/a.cpp:2: CAF is included only in actors/ and there not in "
                "actors/gateway/, actors/train/, actors/infer/, actors/serving/, actors/collective/, "
                "actors/parameters/"});
}

TEST(IncludeRules, LetFoldersUseOnlyThoseBelowThem) {
  const std::vector<std::string> folders{"kernels", "storage", "scheduler", "actors", "clients", "tests"};
  const std::vector<std::pair<std::string, std::vector<std::string>>> allowed{
      {"kernels", {"kernels"}},     {"storage", {"storage", "kernels"}},
      {"scheduler", {"scheduler"}}, {"actors", {"actors", "scheduler", "storage", "kernels"}},
      {"clients", {"clients"}},     {"tests", folders},
  };
  for (const auto& [from, targets] : allowed) {
    for (const std::string& to : folders) {
      const bool may = std::find(targets.begin(), targets.end(), to) != targets.end();
      EXPECT_EQ(allows(from + "/part/a.cpp", "\"" + to + "/part/b.hpp\""), may) << from << " to " << to;
      EXPECT_EQ(allows(from + "/part/a.cpp", "<" + to + "/part/b.hpp>"), may) << from << " to <" << to << ">";
    }
  }
}

TEST(IncludeRules, KeepEachLibraryInItsFolder) {
  const std::vector<std::pair<std::string, std::string>> places{
      {"<rocksdb/db.h>", "storage/state/"},
      {"<ucp/api/ucp.h>", "actors/fabric/"},
      {"<ucs/type/status.h>", "actors/fabric/"},
      {"<torch/torch.h>", "actors/train/"},
      {"<boost/asio/post.hpp>", "actors/gateway/"},
      {"<boost/beast/http.hpp>", "actors/gateway/"},
      {"<yaml-cpp/yaml.h>", "scheduler/spec/"},
      {"<httplib.h>", "clients/"},
      {"\"httplib.h\"", "clients/"},
      {"<cuda_runtime.h>", "kernels/"},
      {"<nccl.h>", "kernels/"},
      {"<cublas_v2.h>", "kernels/"},
  };
  const std::vector<std::string> folders{"kernels/",          "storage/state/", "scheduler/spec/",
                                         "scheduler/policy/", "actors/fabric/", "actors/gateway/",
                                         "actors/train/",     "actors/roles/",  "clients/"};
  for (const auto& [include, place] : places) {
    for (const std::string& folder : folders) {
      EXPECT_EQ(allows(folder + "a.cpp", include), folder == place) << include << " in " << folder;
    }
    EXPECT_TRUE(allows("tests/unit/x/a.cpp", include)) << include;
  }
}

TEST(IncludeRules, KeepCafOutOfTheFoldersOfOtherHeavyLibraries) {
  for (const std::string folder : {"actors/fabric/", "actors/roles/", "actors/"}) {
    EXPECT_TRUE(allows(folder + "a.cpp", "<caf/all.hpp>")) << folder;
  }
  for (const std::string folder : {"actors/gateway/", "actors/train/", "actors/collective/",
                                   "actors/parameters/", "storage/", "clients/"}) {
    EXPECT_FALSE(allows(folder + "a.cpp", "<caf/all.hpp>")) << folder;
  }
}

TEST(IncludeRules, WantPathsFromTheRoot) {
  EXPECT_EQ(
      check("storage/a.cpp", "#include \"result.hpp\"\n"),
      std::vector<std::string>{"storage/a.cpp:1: files of ours are included by their path from the root"});
  EXPECT_FALSE(allows("storage/a.cpp", "\"../actors/fabric/fabric.hpp\""));
  EXPECT_TRUE(allows("storage/a.cpp", "<boost/crc.hpp>"));
}

TEST(IncludeRules, SeeUnusualSpellingsAndNoComments) {
  EXPECT_FALSE(allows("storage/a.cpp", "  <torch/torch.h>  // why"));
  EXPECT_EQ(check("storage/a.cpp", "  #  include<torch/torch.h>\r\n").size(), 1U);
  EXPECT_EQ(check("storage/a.cpp", "/* x */ #include <torch/torch.h>\n").size(), 1U);
  EXPECT_TRUE(check("storage/a.cpp", "// #include <torch/torch.h>\n").empty());
  EXPECT_TRUE(check("storage/a.cpp", "/*\n#include <torch/torch.h>\n*/\n").empty());
  EXPECT_TRUE(check("storage/a.cpp", "auto s = R\"(\n#include <torch/torch.h>\n)\";\n").empty());
  EXPECT_EQ(
      check("storage/a.cpp", "auto s = \"/*\"; char c = '\"'; int n = 1'000;\n#include <torch/torch.h>\n")
          .size(),
      1U);
}

TEST(IncludeRules, WantPragmaOnceInEveryHeader) {
  const std::vector<std::string> missing{"tests/x.hpp:1: a header without #pragma once"};
  EXPECT_EQ(check("tests/x.hpp", "int a;\n"), missing);
  EXPECT_EQ(check("tests/x.hpp", "// #pragma once\n"), missing);
  EXPECT_TRUE(check("tests/x.hpp", "// about\n#pragma once\n").empty());
  EXPECT_TRUE(check("tests/x.cpp", "int a;\n").empty());
}

TEST(IncludeRules, WantNoUsingNamespaceInHeaders) {
  EXPECT_EQ(check("actors/x.hpp", "#pragma once\nvoid f() { using  namespace std; }\n"),
            std::vector<std::string>{"actors/x.hpp:2: `using namespace` in a header"});
  EXPECT_TRUE(check("actors/x.hpp", "#pragma once\n// using namespace std\nusing std::string;\n").empty());
  EXPECT_TRUE(check("actors/x.cpp", "using namespace std::literals;\n").empty());
}

TEST(IncludeRules, AreAboutTheSourcesInOurFolders) {
  EXPECT_TRUE(is_source("kernels/cuda/sum.cu"));
  EXPECT_TRUE(is_source("tests/unit/x.cpp"));
  EXPECT_FALSE(is_source("build/debug/x.cpp"));
  EXPECT_FALSE(is_source("storage/README.md"));
  EXPECT_FALSE(is_source("x.cpp"));
}

}  // namespace
}  // namespace ds::architecture

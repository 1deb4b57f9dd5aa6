#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/architecture/include_rules.hpp"

namespace ds::architecture {
namespace {

std::vector<SourceFile> read_sources() {
  const std::filesystem::path root = DS_SOURCE_DIR;
  std::vector<SourceFile> files;
  for (const auto& top : std::filesystem::directory_iterator(root)) {
    if (!top.is_directory()) continue;
    const std::string folder = top.path().filename().generic_string();
    if (!is_source(folder + "/x.cpp")) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(top.path())) {
      const std::string path = std::filesystem::relative(entry.path(), root).generic_string();
      if (!entry.is_regular_file() || !is_source(path)) continue;
      std::ifstream stream(entry.path(), std::ios::binary);
      files.push_back({path, {std::istreambuf_iterator<char>(stream), {}}});
    }
  }
  return files;
}

TEST(Architecture, IncludesPointOneWayAndEachLibraryLivesInOneFolder) {
  for (const SourceFile& file : read_sources()) {
    for (const Violation& violation : check_file(file)) ADD_FAILURE() << violation.to_string();
  }
}

TEST(Architecture, IsCheckedOverAllFolders) {
  std::set<std::string> folders;
  for (const SourceFile& file : read_sources()) folders.insert(file.path.substr(0, file.path.find('/')));
  for (const std::string folder : {"actors", "scheduler", "storage", "tests"})
    EXPECT_TRUE(folders.contains(folder)) << folder;
}

}  // namespace
}  // namespace ds::architecture

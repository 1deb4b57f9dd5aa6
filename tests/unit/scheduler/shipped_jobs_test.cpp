#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {
namespace {

const std::filesystem::path kJobs = std::filesystem::path(DS_SOURCE_DIR) / "deploy" / "jobs";

std::vector<std::filesystem::path> list_shipped_jobs() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(kJobs))
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

TEST(ShippedJobs, HaveNoError) {
  const auto files = list_shipped_jobs();
  ASSERT_FALSE(files.empty()) << "no job file in " << kJobs;
  for (const auto& file : files) {
    std::ifstream stream(file);
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    const auto parsed = parse_job_file(text, kJobs.string());
    if (const auto* errors = std::get_if<std::vector<SpecError>>(&parsed)) {
      for (const SpecError& error : *errors) ADD_FAILURE() << format_spec_error(error, file.string());
      continue;
    }
    // A job is asked for by its name, and the quick start knows no more of it than its file's.
    EXPECT_EQ(std::get<ParsedJob>(parsed).spec.name, file.stem().string());
  }
}

}  // namespace
}  // namespace ds::scheduler

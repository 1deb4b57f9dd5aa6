// The job files of deploy/jobs train on real data to what the data's README says that a plain baseline
// reaches. Takes many minutes, so it is asked for: DS_BASELINES=1, with the data in ../shared/data or in
// DS_TEST_DATA.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <ostream>

#include "tests/integration/cluster.hpp"

namespace ds::tests {
namespace {

struct ShippedJob {
  std::string name;    ///< of the job file
  std::string data;    ///< its folder, whose README tells the plain baseline
  std::string metric;  ///< of the validation set, at the job's end
  double plain = 0;    ///< what the plain baseline reaches
  double must = 0;     ///< what is asked for: the same, or less where the job file says that it falls short
};

void PrintTo(const ShippedJob& job, std::ostream* out) {
  *out << job.name;
}

std::string name_of(const testing::TestParamInfo<ShippedJob>& info) {
  return info.param.name;
}

constexpr std::chrono::seconds kLongest = std::chrono::minutes(50);

std::filesystem::path data_folder() {
  const char* folder = std::getenv("DS_TEST_DATA");
  return folder != nullptr ? folder : DS_SOURCE_DIR "/../shared/data";
}

/// The shipped file, with the data where it lies here.
std::filesystem::path write_job_file(const std::string& name, const std::filesystem::path& folder) {
  static const std::string kShipped = "../../../shared/data";
  std::ifstream stream(std::filesystem::path(DS_SOURCE_DIR "/deploy/jobs") / (name + ".yaml"));
  std::string text(std::istreambuf_iterator<char>(stream), {});
  const std::string here = std::filesystem::canonical(data_folder()).string();
  for (auto at = text.find(kShipped); at != std::string::npos; at = text.find(kShipped, at + here.size()))
    text.replace(at, kShipped.size(), here);
  const auto file = folder / (name + ".yaml");
  std::ofstream(file) << text;
  return file;
}

class ShippedJobs : public testing::TestWithParam<ShippedJob> {};

// Words and pairs of words for text. Reuters' 97.6 % are not reached: its job file says 97 %. The prior of
// the hippocampus' two parts has 0.676 and 0.634, of which this is the mean.
INSTANTIATE_TEST_SUITE_P(All, ShippedJobs,
                         testing::Values(ShippedJob{"intents", "banking77", "accuracy", 0.8938, 0.8938},
                                         ShippedJob{"digits", "mnist", "accuracy", 0.9260, 0.9260},
                                         ShippedJob{"reviews", "text-mr", "accuracy", 0.7591, 0.7591},
                                         ShippedJob{"news", "text-r8", "accuracy", 0.9762, 0.9650},
                                         ShippedJob{"hippocampus", "hippocampus3d", "dice", 0.655, 0.655}),
                         name_of);

TEST_P(ShippedJobs, ReachThePlainBaselineOfTheirData) {
  if (std::getenv("DS_BASELINES") == nullptr) GTEST_SKIP() << "takes minutes; DS_BASELINES=1 runs it";
  const ShippedJob& shipped = GetParam();
  if (!std::filesystem::exists(data_folder() / shipped.data)) {
    GTEST_SKIP() << data_folder() / shipped.data << " is not here; DS_TEST_DATA names the folder that holds "
                 << shipped.data;
  }
  Cluster cluster;
  cluster.start_head();
  cluster.start_node("node-1", 2);
  const auto begin = std::chrono::steady_clock::now();
  const auto job = cluster.submit_job(write_job_file(shipped.name, cluster.path()));
  nlohmann::json now;
  ASSERT_TRUE(wait_until(
      [&] {
        now = cluster.status(job);
        return now.is_object() && (now.at("state") == "SUCCEEDED" || now.at("state") == "FAILED");
      },
      kLongest))
      << now;
  ASSERT_EQ(now.at("state"), "SUCCEEDED") << now << cluster.submit({"logs", job}).out;
  EXPECT_EQ(now.at("step"), now.at("total_steps"));
  ASSERT_TRUE(now.at("metrics").contains(shipped.metric)) << now;
  const double reached = now.at("metrics").at(shipped.metric);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::cout << shipped.name << ": " << shipped.metric << ' ' << reached << " after " << now.at("step")
            << " steps, " << took.count() << " s; the plain baseline has " << shipped.plain
            << (reached < shipped.plain ? ", WHICH IT DOES NOT REACH" : "") << '\n';
  EXPECT_GE(reached, shipped.must) << now.at("metrics");
}

}  // namespace
}  // namespace ds::tests

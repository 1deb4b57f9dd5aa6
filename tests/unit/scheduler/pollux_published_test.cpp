#include <cctype>
#include <ostream>

#include "tests/unit/scheduler/pollux_traces.hpp"

namespace ds::simulator {
namespace {

struct Published {
  std::string policy;
  std::string workload;
  double average_jct_s;
};

void PrintTo(const Published& published, std::ostream* out) {
  *out << published.policy << " on " << published.workload;
}

/// `published_results.csv` of the traces: the authors' own simulations.
class PolluxPublished : public ::testing::TestWithParam<Published> {};

TEST_P(PolluxPublished, AverageJobCompletionTimeIsOursToTheLastDigit) {
  NEEDS_PUBLISHED_TRACES(kPolluxTraces);
  const Published& published = GetParam();
  const auto report = run_pollux(published.policy, published.workload);
  EXPECT_NEAR(report.at("average_jct_s").get<double>(), published.average_jct_s, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(TiresiasAndOptimus, PolluxPublished,
                         ::testing::Values(Published{"tiresias", "load-1.0/workload-1", 2473.65},
                                           Published{"tiresias", "load-1.0/workload-2", 5144.9625},
                                           Published{"tiresias", "load-1.0/workload-3", 3876.25625},
                                           Published{"tiresias", "load-1.0/workload-6", 3469.69375},
                                           Published{"tiresias", "load-1.5/workload-2", 6333.770833},
                                           Published{"tiresias", "load-2.0/workload-6", 10254.66875},
                                           Published{"optimus", "load-1.0/workload-1", 4087.0625},
                                           Published{"optimus", "load-1.0/workload-2", 6913.875},
                                           Published{"optimus", "load-1.0/workload-3", 3944.00625},
                                           Published{"optimus", "load-1.0/workload-6", 5301.875},
                                           Published{"optimus", "load-0.5/workload-2", 3124.5625},
                                           Published{"optimus", "load-2.0/workload-1", 10806.596875}),
                         [](const auto& test) {
                           std::string name = test.param.policy + "_" + test.param.workload;
                           for (char& letter : name) {
                             if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace ds::simulator

#include "actors/infer/quantization_report.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace ds::infer {
namespace {

QuantizationReport report() {
  QuantizationReport made;
  made.linear_layers = 3;
  made.lstm_layers = 1;
  made.bytes_before = 8 << 20;
  made.bytes_after = 2 << 20;
  made.batch_rows = 32;
  made.one_ms_before = 2;
  made.one_ms_after = 0.5;
  made.batch_ms_before = 30;
  made.batch_ms_after = 10;
  made.compared_on = "170 rows of test.csv";
  made.rows = 170;
  made.relative_error = 0.012;
  made.agreement = 0.99;
  made.accuracy_before = 0.8;
  made.accuracy_after = 0.795;
  return made;
}

TEST(QuantizationReports, SayInALineWhatWasWonAndLost) {
  EXPECT_EQ(to_text(report()),
            "int8: 3 linear layers and 1 LSTM layer in 2 instead of 8 MiB; 0.5 instead of 2 ms for a row, 10 "
            "instead of 30 for 32; accuracy 79.5 % instead of 80.0 % (170 rows of test.csv)");
  auto unlabelled = report();
  unlabelled.lstm_layers = 0;
  unlabelled.accuracy_before.reset();
  EXPECT_NE(to_text(unlabelled).find("outputs are 1.2 % off, 99.0 % of answers are the same"),
            std::string::npos)
      << to_text(unlabelled);
}

TEST(QuantizationReports, AreReadAsTheyWereWritten) {
  const auto read = report_from_json(to_json(report()));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, report());
  EXPECT_FALSE(report_from_json("{}"));
  EXPECT_FALSE(report_from_json("no"));
}

TEST(QuantizationReports, AreAcceptedByTheLossOfAccuracyWhereThereAreLabels) {
  auto one = report();
  one.relative_error = 0.5;  // says nothing then
  EXPECT_TRUE(check_quantization(one, {.max_loss = 0.006, .max_error = 0.01}));
  const auto refused = check_quantization(one, {.max_loss = 0.004, .max_error = 1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "quantize: int8 loses 0.5 % of accuracy, 79.5 % instead of 80.0 % on 170 rows of test.csv, and "
            "quantize.max_loss is 0.004");
  one.accuracy_after = 0.9;
  EXPECT_TRUE(check_quantization(one, {.max_loss = 0, .max_error = 0})) << "better is no loss";
}

TEST(QuantizationReports, AreAcceptedByTheOutputsWhereThereAreNone) {
  auto one = report();
  one.accuracy_before.reset();
  EXPECT_TRUE(check_quantization(one, {.max_loss = 0, .max_error = 0.013}));
  EXPECT_FALSE(check_quantization(one, {.max_loss = 1, .max_error = 0.011}));
}

TEST(QuantizationReports, RefuseOutputsThatAreNoNumbersWhateverTheBounds) {
  auto one = report();
  for (const double broken :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
    one.relative_error = broken;
    EXPECT_FALSE(check_quantization(one, {.max_loss = 1, .max_error = broken}));
  }
}

}  // namespace
}  // namespace ds::infer

#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>

#include "scheduler/ledger/ledger.hpp"

namespace ds::scheduler::testing {

inline constexpr const char* kJobText = R"(
version: 1
kind: train
name: intents
workers: {min: 1, max: 4}
model: {zoo: text_classifier}
data:
  train: {source: train.csv, format: csv, columns: {text: utterance, label: intent}}
until: {epochs: 2}
)";

inline Event event(Event::Body body, std::int64_t at_ms = 1) {
  return {at_ms, "test", "because", std::move(body)};
}

inline JobSubmitted submitted(const std::string& job, const std::string& key = {}) {
  return {job, key, "job.yaml", "/data", kJobText};
}

inline Ledger with_job(const std::string& job = "intents-1") {
  Ledger ledger;
  EXPECT_TRUE(ledger.apply(event(submitted(job, "key-" + job), 1000)));
  return ledger;
}

}  // namespace ds::scheduler::testing

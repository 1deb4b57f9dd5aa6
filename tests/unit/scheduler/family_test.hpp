#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "scheduler/simulator/command.hpp"
#include "tests/unit/scheduler/published_traces.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::simulator {

/// What `ds-sim --json` prints.
inline nlohmann::json report_of(const Command& command) {
  const auto text = run(command);
  if (!text) {
    ADD_FAILURE() << text.error().text;
    return {};
  }
  return nlohmann::json::parse(*text);
}

/// Runs `ds-sim` for a family of traces on small files of the test's own.
class FamilyTest : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(at(name)) << text; }
  nlohmann::json report() const { return report_of(command_); }
  std::string refusal() const {
    const auto text = run(command_);
    return text ? "accepted: " + *text : text.error().text;
  }

  TemporaryFolder folder_;
  Command command_;
};

}  // namespace ds::simulator

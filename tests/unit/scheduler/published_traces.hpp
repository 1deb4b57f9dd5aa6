#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace ds::simulator {

/// A folder of published traces, beside the project; it may not be there.
inline std::filesystem::path published_traces(const std::string& folder) {
  return std::filesystem::path(DS_SOURCE_DIR) / "../shared/traces" / folder;
}

}  // namespace ds::simulator

/// Skips a test where the traces are not there.
#define NEEDS_PUBLISHED_TRACES(folder)                                   \
  if (!std::filesystem::exists(ds::simulator::published_traces(folder))) \
  GTEST_SKIP() << "../shared/traces/" << (folder) << " is not on this machine"

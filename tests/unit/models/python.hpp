#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "actors/train/model.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::train {

/// A temporary folder in which Debian's python3-torch makes and reads files; without it a test is skipped.
class WithPython : public ::testing::Test {
 protected:
  static bool python_has_torch() {
    static const bool kHas = std::system("/usr/bin/python3 -c 'import torch' >/dev/null 2>&1") == 0;
    return kHas;
  }

  /// Runs a script in the folder; its exit status.
  int python(const std::string& script) const {
    std::ofstream(folder_ / "script.py") << script;
    return std::system(("cd '" + folder_.string() + "' && /usr/bin/python3 script.py").c_str());
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  void write(const std::string& name, std::string_view bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  std::string read(const std::string& name) const {
    std::ifstream stream(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  /// The fields of a batch as `NAME.bin`, for `load` in a script.
  void write(const data::Batch& batch) const {
    for (const auto& [name, tensor] : batch.fields) write(name + ".bin", tensor.bytes.text());
  }

  const TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
};

/// What scripts begin with.
inline constexpr const char* kPrelude = R"(import torch, sys
import torch.nn as nn
import torch.nn.functional as F
torch.set_num_threads(1)
def load(name, shape, dtype=torch.float32):
    return torch.frombuffer(bytearray(open(name + ".bin", "rb").read()), dtype=dtype).reshape(shape).clone()
def near(a, b, tolerance=1e-4):
    difference = float((a.detach() - b.detach()).abs().max())
    if not difference <= tolerance:
        sys.exit("differs by %g" % difference)
)";

}  // namespace ds::train

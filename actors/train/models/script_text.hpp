#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ds::train {

/// How a parameter begins, drawn from the job's seed.
struct Initial {
  enum class Kind : std::uint8_t { constant, uniform, normal };
  Kind kind = Kind::constant;
  double value = 0;             ///< constant: itself; uniform: the bound, in ± value; normal: the deviation
  bool first_row_zero = false;  ///< an embedding whose row 0 is the padding token's

  static Initial constant(double value) { return {Kind::constant, value, false}; }
  static Initial uniform(double bound) { return {Kind::uniform, bound, false}; }
  static Initial embedding() { return {Kind::normal, 1, true}; }
};

/// A model as text: what it holds and the TorchScript source of its `forward`. It knows no torch, so models
/// can be written, and read, without it.
///
/// Names are those of PyTorch's state_dict; everything before the last dot becomes submodules. In `source` a
/// name with a number between dots is reached with `member()`.
struct ScriptText {
  struct Parameter {
    std::string name;
    std::vector<std::int64_t> shape;
    Initial initial;
  };
  struct Buffer {
    std::string name;
    std::vector<std::int64_t> shape;
    float value = 0;  ///< all elements begin as this
  };

  std::string name;  ///< of the class: an identifier
  std::vector<Parameter> parameters;
  std::vector<Buffer> buffers;
  std::vector<std::string> counters;  ///< buffers that are one int64, beginning at 0
  std::string source;                 ///< `def forward(self, …): …`
};

/// How TorchScript reaches a member: `layer1.0.weight` is `getattr(self.layer1, "0").weight`. Pure.
std::string member(const std::string& name);

}  // namespace ds::train

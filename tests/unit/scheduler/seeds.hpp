#pragma once

#include <cstdint>
#include <cstdlib>
#include <ranges>

namespace ds::scheduler::testing {

/// The seeds that a property is tried with: `count` of them, from 0 on. DS_SEED=N tries that one alone,
/// DS_SEED=N with DS_SEEDS=M so many from there on.
class Seeds {
 public:
  explicit Seeds(std::uint64_t count) : are_chosen_(std::getenv("DS_SEED") != nullptr) {
    const std::uint64_t from = number_of("DS_SEED", 0);
    all_ = {from, from + number_of("DS_SEEDS", are_chosen_ ? 1 : count)};
  }

  auto begin() const { return all_.begin(); }
  auto end() const { return all_.end(); }
  /// By whoever runs the test: then what was seen of rare cases is not to be counted.
  bool are_chosen() const { return are_chosen_; }

 private:
  static std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
    const char* text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
  }

  bool are_chosen_;
  std::ranges::iota_view<std::uint64_t, std::uint64_t> all_;
};

}  // namespace ds::scheduler::testing

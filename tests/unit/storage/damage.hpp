#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

/// One thing done to one file of a closed store.
struct Damage {
  enum class Kind { remove, truncate, flip };
  std::filesystem::path file;  ///< relative to the store's directory
  Kind kind = Kind::remove;
  std::uint64_t position = 0;  ///< the new size, or the byte whose lowest bit is flipped

  std::string describe() const;
  void apply_to(const std::filesystem::path& directory) const;
};

/// Every file of the store: removed, truncated to several sizes, flipped at `flips` places spread over it.
std::vector<Damage> list_damages(const std::filesystem::path& directory, std::uint64_t flips);

/// Lets the probe judge a copy of `original` after each damage, and expects every verdict to be "correct" or
/// a `data_loss` refusal that names the directory.
void expect_no_silent_damage(const std::filesystem::path& original, const std::string& probe_command,
                             const std::vector<Damage>& damages);

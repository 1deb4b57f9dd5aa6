#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace ds::clients {

/// Where the local cluster keeps its things: `head/` is the head's data directory, `run/` lasts from `up` to
/// `down`.
struct LocalHome {
  std::filesystem::path root;  ///< absolute

  std::filesystem::path head_dir() const { return root / "head"; }
  std::filesystem::path run_dir() const { return root / "run"; }
  /// Where workers keep what data folders that can't be written can't keep.
  std::filesystem::path index_dir() const { return root / "index"; }
  std::filesystem::path address_file() const {
    return run_dir() / "address";
  }  ///< HOST:PORT, kept when the head dies
  /// How many nodes and of what: kept until a purge.
  std::filesystem::path shape_file() const { return root / "shape"; }
  std::filesystem::path pid_file(const std::string& member) const { return run_dir() / (member + ".pid"); }
  std::filesystem::path log_file(const std::string& member) const { return run_dir() / (member + ".log"); }
  std::filesystem::path lock_file() const { return root / "lock"; }
  std::filesystem::path tenants_file() const {
    return root / "tenants.yaml";
  }  ///< what the head was last told of tenants; none: nothing
};

/// DS_HOME, else XDG_STATE_HOME/ds, else HOME/.local/state/ds. Throws `Failure` when none of the three is
/// set.
LocalHome find_local_home();

/// A file's text without its last newline; none when it cannot be read or is larger than 64 KiB.
std::optional<std::string> read_small_file(const std::filesystem::path& file);

/// Replaces a file as a whole. Throws `Failure`.
void write_small_file(const std::filesystem::path& file, const std::string& text);

}  // namespace ds::clients

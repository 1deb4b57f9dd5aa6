#pragma once

#include <map>
#include <string>
#include <vector>

namespace ds::scheduler {

/// What a `command` job runs: any program, once on every worker.
struct CommandSpec {
  std::string script;                  ///< `run` given as a text: for /bin/sh
  std::vector<std::string> arguments;  ///< `run` given as a list: a program and its arguments
  std::string setup;                   ///< for /bin/sh, before `run`; may be empty
  std::map<std::string, std::string> env;
  bool operator==(const CommandSpec&) const = default;
};

/// The program to start and its arguments. What `setup` exports, and where it goes by `cd`, is what `run`
/// finds; when `setup` fails, `run` is not begun and its exit code is that of `setup`. Pure.
std::vector<std::string> to_arguments(const CommandSpec& command);

}  // namespace ds::scheduler

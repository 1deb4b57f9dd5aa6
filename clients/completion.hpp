#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ds::clients {

/// A command as a shell completes it.
struct CompletedCommand {
  std::string name, description;
  std::vector<std::string> options;  ///< `--file`, `-f`, …
  std::vector<std::string> words;    ///< what may follow by itself: shells, kinds of jobs, …
};

/// What `source <(ds-submit completion SHELL)` needs in `bash`, `zsh` or `fish`; empty for another shell.
/// Pure.
std::string completion_script(std::string_view shell, std::span<const CompletedCommand> commands);

}  // namespace ds::clients

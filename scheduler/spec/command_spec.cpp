#include "scheduler/spec/command_spec.hpp"

namespace ds::scheduler {

std::vector<std::string> to_arguments(const CommandSpec& command) {
  if (command.setup.empty() && !command.arguments.empty()) return command.arguments;
  // In one shell, so that what `setup` defines is there; what fails in it ends the program.
  if (command.arguments.empty()) {
    const std::string first = command.setup.empty() ? "" : command.setup + "\n[ $? = 0 ] || exit 1\n";
    return {"/bin/sh", "-c", first + command.script};
  }
  std::vector<std::string> all{"/bin/sh", "-c", R"(eval "$1"; [ $? = 0 ] || exit 1; shift; exec "$@")", "sh",
                               command.setup};
  all.insert(all.end(), command.arguments.begin(), command.arguments.end());
  return all;
}

}  // namespace ds::scheduler

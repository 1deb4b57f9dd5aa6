#include "scheduler/spec/command_spec.hpp"

namespace ds::scheduler {

std::vector<std::string> to_arguments(const CommandSpec& command) {
  const std::vector<std::string> script{"/bin/sh", "-c", command.script};
  const auto& run = command.arguments.empty() ? script : command.arguments;
  if (command.setup.empty()) return run;
  std::vector<std::string> all{"/bin/sh", "-c", R"(eval "$1" || exit; shift; exec "$@")", "sh",
                               command.setup};
  all.insert(all.end(), run.begin(), run.end());
  return all;
}

}  // namespace ds::scheduler

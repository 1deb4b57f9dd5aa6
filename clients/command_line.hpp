#pragma once

namespace ds::clients {

/// Parses the command line, runs the command, shows what went wrong. Returns the exit code.
int run_command_line(int argc, char** argv);

}  // namespace ds::clients

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace ds::node {

/// Under ThreadSanitizer every process has a thread of its own.
#ifdef __SANITIZE_THREAD__
inline constexpr bool kHasForkServers = false;
#else
inline constexpr bool kHasForkServers = true;
#endif

/// What a program is given, as its first argument, to be a fork server. A blank text follows, in whose place
/// its forks show their arguments.
inline constexpr const char* kForkServerOption = "--fork-server";
inline constexpr std::size_t kShownArguments = 2048;

/// Where it finds its spawner's socket.
inline constexpr int kForkServerSocket = 3;

/// What it says there once: it takes orders, or can take none.
inline constexpr char kForkServerReady = 'r', kForkServerRefusal = 'n';

/// An order: the arguments, each with a zero byte at its end, and two descriptors: where the process writes
/// its output, and a socket on which it says its process id and waits for a byte before it goes on.
inline constexpr std::size_t kMostOrderBytes = 80 << 10;

bool is_fork_server(int argc, char** argv);

/// Serves orders until the spawner closes the socket or is gone, then returns nothing. Returns a second time
/// in each process that was ordered, with the arguments of the program that this is to be.
///
/// Such a process is a child of the spawner, as if that had started it, in a group of its own, and ends with
/// it. It has what the fork server had loaded and initialised when this was called: call it first in `main`.
/// Where libraries leave threads behind that don't end at a fork, or open files, it refuses orders, and says
/// so on standard error.
std::optional<std::vector<std::string>> serve_forks(int argc, char** argv);

}  // namespace ds::node

#pragma once

#include <filesystem>
#include <string>

#include "storage/result.hpp"

namespace ds::programs {

/// True for 127.0.0.0/8, ::1 and `localhost`.
bool is_loopback(const std::string& host);

/// Refuses an address that others can reach, saying why, unless it was asked for as an insecure one. A
/// wildcard address is refused always: others must be able to connect to it.
Result<void> check_listen_address(const std::string& host, bool insecure);

/// Reads the cluster's secret; makes one (mode 0600) when `create` is set and there is none.
Result<std::string> load_secret(const std::filesystem::path& file, bool create);

/// Reads the cluster's id; makes a random one when there is none.
Result<std::string> load_cluster_id(const std::filesystem::path& file);

/// Logs to standard error; the level comes from `DS_LOG_LEVEL` (info when it is not set).
void set_up_logging(const std::string& program);

/// Blocks SIGINT, SIGTERM and SIGHUP for this thread and all later ones, so that `wait_for_signal` gets them.
void block_end_signals();
/// Waits for one of them, or for `request_end`.
void wait_for_signal();
void request_end();

/// Prints `program: message` and the hint to standard error; returns the exit code.
int report_failure(const std::string& program, const Error& error);

}  // namespace ds::programs

#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ds::clients {

/// A process that we started earlier. The number alone may belong to a stranger by now; with the moment it
/// started (clock ticks since boot) it does not.
struct MemberRecord {
  pid_t pid = 0;
  std::uint64_t start_ticks = 0;
  bool operator==(const MemberRecord&) const = default;
};

/// What a pid file holds: `PID START\n`.
std::string format_member_record(const MemberRecord& record);
std::optional<MemberRecord> parse_member_record(const std::string& text);

/// State letter and start of a process from the text of `/proc/PID/stat`, whatever its name holds.
struct ProcessStat {
  char state = '?';
  std::uint64_t start_ticks = 0;
};
std::optional<ProcessStat> parse_process_stat(const std::string& text);

/// Starts `program` apart from us: own session, nothing on standard input, output appended to `log` (emptied
/// first when larger than 8 MiB), default signals, no descriptor of ours, working directory `folder`. Throws
/// `Failure`.
MemberRecord start_member(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                          const std::filesystem::path& log, const std::filesystem::path& folder);

/// True while it runs; a zombie does not.
bool is_alive(const MemberRecord& record);

/// Whether it is alive and held by a signal (SIGSTOP, a debugger), so that it does nothing.
bool is_stopped(const MemberRecord& record);

/// Sends a signal if it is alive and the same process as then.
void signal_member(const MemberRecord& record, int signal_number);

/// How our own child ended, `status 1` or `signal 9`; empty when it has not, or is not our child.
std::string describe_end(const MemberRecord& record);

/// The last `count` lines of a file, reading at most 64 KiB of it.
std::string read_last_lines(const std::filesystem::path& file, std::size_t count);

}  // namespace ds::clients

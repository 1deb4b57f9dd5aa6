#include "clients/member_process.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>

#include "clients/failure.hpp"
#include "clients/local_home.hpp"

namespace ds::clients {
namespace {

constexpr std::uintmax_t kMaxLogBytes = 8 << 20;
constexpr std::streamoff kTailBytes = 64 << 10;

std::optional<ProcessStat> read_process_stat(pid_t pid) {
  const auto text = read_small_file("/proc/" + std::to_string(pid) + "/stat");
  return text ? parse_process_stat(*text) : std::nullopt;
}

void truncate_large_log(const std::filesystem::path& log) {
  std::error_code error;
  const auto size = std::filesystem::file_size(log, error);
  if (!error && size > kMaxLogBytes) std::filesystem::resize_file(log, 0, error);
}

/// Owns the two structures of `posix_spawn`.
class SpawnSettings {
 public:
  SpawnSettings(const std::filesystem::path& log, const std::filesystem::path& folder) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                       0600);
    ::posix_spawn_file_actions_adddup2(&actions_, STDOUT_FILENO, STDERR_FILENO);
    // A pipe of the caller's shell that stayed open in a daemon would keep the shell waiting for its end.
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    ::posix_spawn_file_actions_addchdir_np(&actions_, folder.c_str());
    ::posix_spawnattr_init(&attributes_);
    ::posix_spawnattr_setflags(&attributes_,
                               POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    sigset_t signals;
    sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

}  // namespace

std::string format_member_record(const MemberRecord& record) {
  return std::to_string(record.pid) + " " + std::to_string(record.start_ticks) + "\n";
}

std::optional<MemberRecord> parse_member_record(const std::string& text) {
  std::istringstream in(text);
  MemberRecord record;
  std::string rest;
  if (!(in >> record.pid >> record.start_ticks) || in >> rest || record.pid <= 1) return std::nullopt;
  return record;
}

std::optional<ProcessStat> parse_process_stat(const std::string& text) {
  const auto name_end = text.rfind(')');  // the name stands in brackets and may hold some itself
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream in(text.substr(name_end + 1));
  ProcessStat stat;
  if (!(in >> stat.state)) return std::nullopt;
  std::string skipped;
  for (int field = 4; field < 22; ++field) in >> skipped;
  if (!(in >> stat.start_ticks)) return std::nullopt;
  return stat;
}

MemberRecord start_member(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                          const std::filesystem::path& log, const std::filesystem::path& folder) {
  truncate_large_log(log);
  std::string name = program.string();
  std::vector<std::string> texts = arguments;
  std::vector<char*> argv{name.data()};
  for (auto& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  const SpawnSettings settings(log, folder);
  pid_t pid = 0;
  const int error =
      ::posix_spawn(&pid, name.c_str(), settings.actions(), settings.attributes(), argv.data(), environ);
  if (error != 0) {
    throw Failure(ExitCode::unexpected, "local", "cannot start " + name + ": " + std::strerror(error),
                  "its output would go to " + log.string());
  }
  const auto stat = read_process_stat(pid);  // there until we wait for it, dead or alive
  return {pid, stat ? stat->start_ticks : 0};
}

bool is_alive(const MemberRecord& record) {
  const auto stat = read_process_stat(record.pid);
  return stat && stat->start_ticks == record.start_ticks && stat->state != 'Z' && stat->state != 'X';
}

bool is_stopped(const MemberRecord& record) {
  const auto stat = read_process_stat(record.pid);
  return stat && stat->start_ticks == record.start_ticks && (stat->state == 'T' || stat->state == 't');
}

void signal_member(const MemberRecord& record, int signal_number) {
  if (is_alive(record)) ::kill(record.pid, signal_number);
}

std::string describe_end(const MemberRecord& record) {
  int status = 0;
  if (::waitpid(record.pid, &status, WNOHANG) != record.pid) return {};
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "status " + std::to_string(WEXITSTATUS(status));
}

std::string read_last_lines(const std::filesystem::path& file, std::size_t count) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return {};
  in.seekg(0, std::ios::end);
  const std::streamoff size = in.tellg();
  in.seekg(std::max<std::streamoff>(0, size - kTailBytes));
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::size_t begin = text.size();
  if (text.ends_with('\n')) --begin;
  for (; count > 0 && begin != std::string::npos && begin > 0; --count) {
    begin = text.rfind('\n', begin - 1);
  }
  return begin == std::string::npos || begin == 0 ? text : text.substr(begin + 1);
}

}  // namespace ds::clients

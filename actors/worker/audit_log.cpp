#include "actors/worker/audit_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <span>
#include <system_error>

namespace ds::worker {
namespace {

tl::unexpected<Error> cannot_write(const std::string& path, const std::string& why) {
  return fail(ErrorCode::resource_exhausted, fmt::format("audit: cannot write {}: {}", path, why),
              "give every node a folder of the job file where workers can write, or remove audit");
}

std::string to_ranges(std::span<const std::uint64_t> samples) {
  if (samples.empty()) return "-";
  std::string text;
  for (std::size_t i = 0; i < samples.size();) {
    std::size_t end = i + 1;
    while (end < samples.size() && samples[end] == samples[end - 1] + 1) ++end;
    if (i > 0) text += ',';
    fmt::format_to(std::back_inserter(text), "{}", samples[i]);
    if (end - i > 1) fmt::format_to(std::back_inserter(text), "-{}", samples[end - 1]);
    i = end;
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<AuditLog>> AuditLog::open(const std::string& folder, const std::string& job,
                                                 std::uint64_t worker, const train::TakenShare& first) {
  const std::string path = fmt::format("{}/worker-{}.log", folder, worker);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return cannot_write(path, error.message());
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file < 0) return cannot_write(path, std::generic_category().message(errno));
  struct stat known {};
  if (::fstat(file, &known) != 0) {
    const int why = errno;
    ::close(file);
    return cannot_write(path, std::generic_category().message(why));
  }
  std::unique_ptr<AuditLog> log(new AuditLog(file, path, known.st_size));
  const auto begun = log->write_line(
      fmt::format("ds-audit 1 job={} worker={} samples={} steps_per_epoch={} logical_ranks={}\n", job, worker,
                  first.epoch_samples, first.epoch_steps, first.logical_ranks));
  if (!begun) return tl::unexpected(begun.error());
  return log;
}

AuditLog::~AuditLog() {
  ::close(file_);
}

Result<void> AuditLog::took(std::uint64_t generation, const train::TakenShare& share) {
  taken_ = share.step;
  return write_line(fmt::format("took {} {} {} {} {}\n", generation, share.step, share.epoch + 1,
                                share.logical_rank, to_ranges(share.samples)));
}

Result<void> AuditLog::done(std::uint64_t generation, std::uint64_t step) {
  done_ = step;
  return write_line(fmt::format("done {} {}\n", generation, step));
}

Result<void> AuditLog::write_line(const std::string& line) {
  const std::string text = unfinished_ ? "\n" + line : line;
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t written = ::write(file_, text.data() + at, text.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int why = errno;
      if (at > 0 && ::ftruncate(file_, size_) != 0) {
        size_ += static_cast<std::int64_t>(at);
        unfinished_ = true;
      }
      return cannot_write(path_, std::generic_category().message(why));
    }
    at += static_cast<std::size_t>(written);
  }
  size_ += static_cast<std::int64_t>(text.size());
  unfinished_ = false;
  return {};
}

}  // namespace ds::worker

#include "storage/log/log_store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <list>
#include <mutex>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "storage/files/whole_file.hpp"
#include "storage/identifier.hpp"
#include "storage/log/segments.hpp"
#include "storage/text/utf8.hpp"

namespace ds::storage {

namespace {

/// The segment that a job's log grows in.
class Tail {
 public:
  Tail(std::filesystem::path file, int descriptor, std::uint64_t first, std::uint64_t bytes)
      : file_(std::move(file)), descriptor_(descriptor), first_(first), bytes_(bytes) {}
  Tail(const Tail&) = delete;
  Tail& operator=(const Tail&) = delete;
  ~Tail() { ::close(descriptor_); }

  std::uint64_t end() const { return first_ + bytes_; }
  std::uint64_t room() const { return LogStore::kSegmentBytes - std::min(bytes_, LogStore::kSegmentBytes); }

  Result<void> append(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(descriptor_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return fail_with_errno(errno, "cannot write", file_);
      bytes_ += static_cast<std::uint64_t>(written);
      text.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
  }

 private:
  std::filesystem::path file_;
  int descriptor_;
  std::uint64_t first_;
  std::uint64_t bytes_;
};

Result<std::shared_ptr<Tail>> open_tail(const std::filesystem::path& folder, std::uint64_t first,
                                        std::uint64_t bytes) {
  const std::filesystem::path file = to_segment_file(folder, first);
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor < 0) return fail_with_errno(errno, "cannot open", file);
  return std::make_shared<Tail>(file, descriptor, first, bytes);
}

Result<void> drop_oldest_segments(const std::filesystem::path& folder) {
  const auto segments = list_segments(folder);
  if (!segments) return tl::unexpected<Error>(segments.error());
  for (std::size_t i = 0; i + LogStore::kSegments < segments->size(); ++i) {
    if (::unlink((*segments)[i].file.c_str()) != 0 && errno != ENOENT)
      return fail_with_errno(errno, "cannot delete", (*segments)[i].file);
  }
  return {};
}

/// As much of `text` as fits, in whole characters.
std::string_view take_front(std::string_view text, std::uint64_t room) {
  return text.size() <= room ? text : text.substr(0, complete_utf8_prefix(text.substr(0, room)));
}

}  // namespace

/// The tails used last, so that a chatty job costs one `write` a line and a thousand jobs cost no thousand
/// descriptors.
class LogStore::OpenSegments {
 public:
  static constexpr std::size_t kMaxOpen = 32;

  std::mutex mutex;  // held through an append or a remove

  Result<std::shared_ptr<Tail>> tail_of(const std::string& job, const std::filesystem::path& folder) {
    const auto known = tails_.find(job);
    if (known != tails_.end()) {
      order_.splice(order_.begin(), order_, known->second);
      return order_.front().second;
    }
    auto made = make_directory(folder);
    if (!made) return tl::unexpected<Error>(made.error());
    const auto segments = list_segments(folder);
    if (!segments) return tl::unexpected<Error>(segments.error());
    const Segment last = segments->empty() ? Segment{} : segments->back();
    return keep(job, open_tail(folder, last.first, last.bytes));
  }

  Result<std::shared_ptr<Tail>> begin_segment(const std::string& job, const std::filesystem::path& folder,
                                              std::uint64_t first) {
    forget(job);
    auto tail = keep(job, open_tail(folder, first, 0));
    auto dropped = drop_oldest_segments(folder);
    if (!dropped) return tl::unexpected<Error>(dropped.error());
    return tail;
  }

  void forget(const std::string& job) {
    const auto known = tails_.find(job);
    if (known == tails_.end()) return;
    order_.erase(known->second);
    tails_.erase(known);
  }

 private:
  using Entry = std::pair<std::string, std::shared_ptr<Tail>>;

  Result<std::shared_ptr<Tail>> keep(const std::string& job, Result<std::shared_ptr<Tail>> tail) {
    if (!tail) return tail;
    if (order_.size() >= kMaxOpen) {
      tails_.erase(order_.back().first);
      order_.pop_back();
    }
    order_.emplace_front(job, *tail);
    tails_[job] = order_.begin();
    return tail;
  }

  std::list<Entry> order_;  // used last in front
  std::unordered_map<std::string, std::list<Entry>::iterator> tails_;
};

LogStore::LogStore(std::filesystem::path directory)
    : directory_(std::move(directory)), open_(std::make_unique<OpenSegments>()) {}
LogStore::LogStore(LogStore&&) noexcept = default;
LogStore& LogStore::operator=(LogStore&&) noexcept = default;
LogStore::~LogStore() = default;

Result<void> LogStore::append(std::string_view job, std::string_view text) {
  auto valid = require_job_id(job);
  if (!valid || text.empty()) return valid;
  const std::string stored = escape_control_characters(text);
  const std::string name(job);
  const std::filesystem::path folder = directory_ / name;
  const std::lock_guard guard(open_->mutex);
  auto tail = open_->tail_of(name, folder);
  for (std::string_view rest = stored; tail && !rest.empty();) {
    const std::string_view part = take_front(rest, (*tail)->room());
    auto written = (*tail)->append(part);
    if (!written) {
      open_->forget(name);  // how much was written is read from the file next time
      return written;
    }
    rest.remove_prefix(part.size());
    if (!rest.empty()) tail = open_->begin_segment(name, folder, (*tail)->end());
  }
  if (!tail) return tl::unexpected<Error>(tail.error());
  return {};
}

Result<void> LogStore::remove(std::string_view job) {
  auto valid = require_job_id(job);
  if (!valid) return valid;
  const std::lock_guard guard(open_->mutex);
  open_->forget(std::string(job));
  std::error_code error;
  std::filesystem::remove_all(directory_ / std::string(job), error);
  if (error) return fail_with_errno(error.value(), "cannot delete", directory_ / std::string(job));
  return {};
}

}  // namespace ds::storage

#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace ds::chaos {

/// What a process writes down as it happens, one `write` each, so that a kill loses none that was seen.
enum class Event : std::uint8_t {
  raw_received = 1,  ///< a frame of the raw channel: peer, sequence, sent_ns
  raw_total,         ///< at the end: the last sequence sent to peer
  lost,              ///< the transport reported peer lost; `sequence` is the last that was sent to it
  actor_received,    ///< peer, stream, epoch, sequence, sent_ns
  actor_total,       ///< at the end: stream to peer, epoch, the last sequence sent
  actor_down,        ///< the handle of (peer, stream, epoch) is down
  watch,             ///< a monitor was set: peer, sequence is its number
  watch_down,        ///< and it fired
  ask,               ///< a request was sent: peer, sequence is its number
  answered,          ///< the answer is as it must be
  failed,            ///< an error came instead
  damaged,           ///< what arrived has wrong bytes: peer, stream, sequence
};

struct Record {
  std::int64_t time_ns = 0;  ///< of the host's monotonic clock, as all times here
  std::uint64_t peer = 0;    ///< the other process's id
  std::uint64_t sequence = 0;
  std::int64_t sent_ns = 0;
  std::uint32_t epoch = 0;  ///< counts the handles that a sending actor has had for one receiving actor
  std::uint16_t stream = 0;
  Event event{};
  std::uint8_t unused = 0;
};

inline std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

/// Thread-safe.
class Journal {
 public:
  explicit Journal(const char* path) : fd_(::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
    if (fd_ < 0) std::abort();
  }
  ~Journal() { ::close(fd_); }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void write(Record record) {
    record.time_ns = now_ns();
    if (::write(fd_, &record, sizeof(record)) != sizeof(record)) std::abort();
  }

 private:
  int fd_;
};

/// Where a process's journal lies: memory that its starter owns, because a disk may hold up who writes to it.
class JournalMemory {
 public:
  JournalMemory() {
    const int low = ::memfd_create("journal", MFD_CLOEXEC);
    fd_ = ::fcntl(low, F_DUPFD_CLOEXEC, 10);  // out of the way of what a child gets
    if (fd_ < 0) std::abort();
    ::close(low);
  }
  ~JournalMemory() {
    if (fd_ >= 0) ::close(fd_);
  }
  JournalMemory(JournalMemory&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  JournalMemory& operator=(JournalMemory&&) = delete;

  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

}  // namespace ds::chaos

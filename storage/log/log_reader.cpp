#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "storage/files/whole_file.hpp"
#include "storage/identifier.hpp"
#include "storage/log/log_store.hpp"
#include "storage/log/segments.hpp"
#include "storage/text/utf8.hpp"

// Readers take no lock: segments only grow, and one that is deleted under a reader counts as dropped before
// it came.

namespace ds::storage {

namespace {

constexpr std::size_t kMaxCharacterBytes = 4;

/// Appends up to `limit` bytes of `segment`, from its byte `from` on. False when the segment is gone.
Result<bool> read_segment(const Segment& segment, std::uint64_t from, std::size_t limit, std::string& out) {
  const int descriptor = ::open(segment.file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return false;
    return fail_with_errno(errno, "cannot open", segment.file);
  }
  const std::size_t start = out.size();
  out.resize(start + limit);
  std::size_t size = 0;
  int error_number = 0;
  while (size < limit) {
    const ssize_t part =
        ::pread(descriptor, out.data() + start + size, limit - size, static_cast<off_t>(from + size));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) error_number = errno;
    if (part <= 0) break;
    size += static_cast<std::size_t>(part);
  }
  ::close(descriptor);
  out.resize(start + size);
  if (error_number != 0) return fail_with_errno(error_number, "cannot read", segment.file);
  return true;
}

/// Cuts what is not whole characters off both ends; `part.next` says where to go on.
void trim_to_characters(LogPart& part, std::size_t limit) {
  std::size_t front = 0;
  while (front < part.text.size() && front < kMaxCharacterBytes - 1 && (part.text[front] & 0xC0) == 0x80)
    ++front;
  part.text.erase(0, front);
  part.offset += front;
  std::size_t size = complete_utf8_prefix(std::string_view(part.text).substr(0, limit));
  if (size == 0) size = utf8_character_size(part.text);  // the limit is smaller than the first character
  part.text.resize(size);
  part.next = part.offset + size;
}

}  // namespace

Result<LogPart> LogStore::read(std::string_view job, std::uint64_t offset, std::size_t limit) const {
  auto valid = require_job_id(job);
  if (!valid) return tl::unexpected<Error>(valid.error());
  const auto segments = list_segments(directory_ / std::string(job));
  if (!segments) return tl::unexpected<Error>(segments.error());
  LogPart part;
  if (segments->empty()) return part;
  const std::uint64_t end = segments->back().first + segments->back().bytes;
  part.offset = std::clamp(offset, segments->front().first, end);
  const std::uint64_t wanted = std::min<std::uint64_t>(limit, end - part.offset) + kMaxCharacterBytes;
  for (const Segment& segment : *segments) {
    const std::uint64_t at = part.offset + part.text.size();
    if (segment.first + segment.bytes <= at) continue;
    if (part.text.size() >= wanted) break;
    if (segment.first > at) {  // those between are gone
      if (!part.text.empty()) break;
      part.offset = segment.first;
    }
    const std::uint64_t from = part.offset + part.text.size() - segment.first;
    const std::uint64_t size = std::min<std::uint64_t>(wanted - part.text.size(), segment.bytes - from);
    const auto read = read_segment(segment, from, static_cast<std::size_t>(size), part.text);
    if (!read) return tl::unexpected<Error>(read.error());
  }
  trim_to_characters(part, limit);
  return part;
}

}  // namespace ds::storage

#include "actors/collective/member_status.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>
#include <string_view>

namespace ds::collective {
namespace {

/// The fixed part on the wire, in the byte order of the machine: a gang runs on one kind of it. The texts
/// follow.
struct Header {
  std::uint64_t sequence = 0;
  std::uint64_t elements = 0;
  std::uint32_t element_size = 0;
  std::uint32_t failed = 0;
  std::uint32_t code = 0;
  std::uint32_t message_bytes = 0;
  std::uint32_t hint_bytes = 0;
  std::uint32_t magic = 0x64735354;
};

constexpr std::size_t kLongestText = 16 << 10;  // an error for people; a longer one is cut

}  // namespace

Buffer to_buffer(const MemberStatus& status) {
  const Error failure = status.failure.value_or(Error{});
  const std::string_view message = std::string_view(failure.message).substr(0, kLongestText);
  const std::string_view hint = std::string_view(failure.hint).substr(0, kLongestText);
  Header header;
  header.sequence = status.sequence;
  header.elements = status.elements;
  header.element_size = status.element_size;
  header.failed = status.failure ? 1 : 0;
  header.code = static_cast<std::uint32_t>(failure.code);
  header.message_bytes = static_cast<std::uint32_t>(message.size());
  header.hint_bytes = static_cast<std::uint32_t>(hint.size());
  return Buffer::make(sizeof header + message.size() + hint.size(), [&](std::span<std::byte> out) {
    std::memcpy(out.data(), &header, sizeof header);
    message.copy(reinterpret_cast<char*>(out.data()) + sizeof header, message.size());
    hint.copy(reinterpret_cast<char*>(out.data()) + sizeof header + message.size(), hint.size());
  });
}

Result<MemberStatus> to_member_status(const Buffer& bytes) {
  Header header;
  if (bytes.size() < sizeof header) return fail(ErrorCode::data_loss, "a member's status is too short");
  std::memcpy(&header, bytes.bytes().data(), sizeof header);
  const std::string_view texts = bytes.text().substr(sizeof header);
  const bool whole = header.magic == Header{}.magic && header.failed <= 1 &&
                     header.code <= static_cast<std::uint32_t>(ErrorCode::internal) &&
                     texts.size() == std::size_t{header.message_bytes} + header.hint_bytes;
  if (!whole) return fail(ErrorCode::data_loss, "a member's status is not one");
  MemberStatus status{header.sequence, header.elements, header.element_size, std::nullopt};
  if (header.failed == 1) {
    status.failure =
        Error{static_cast<ErrorCode>(header.code), std::string(texts.substr(0, header.message_bytes)),
              std::string(texts.substr(header.message_bytes))};
  }
  return status;
}

Result<void> check_agreement(const std::vector<MemberStatus>& statuses) {
  for (const MemberStatus& status : statuses) {
    if (status.failure) return tl::unexpected(*status.failure);
  }
  for (std::size_t rank = 1; rank < statuses.size(); ++rank) {
    const MemberStatus& first = statuses.front();
    const MemberStatus& other = statuses[rank];
    if (other == first) continue;
    return fail(
        ErrorCode::internal,
        fmt::format(
            "all_reduce: the members do not agree: rank 0 called operation {} with {} elements of {} bytes, "
            "rank {} operation {} with {} elements of {} bytes",
            first.sequence, first.elements, first.element_size, rank, other.sequence, other.elements,
            other.element_size),
        "every member must run the same program on the same job");
  }
  return {};
}

}  // namespace ds::collective

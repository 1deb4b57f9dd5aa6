#include "actors/collective/agreement.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstring>
#include <string_view>

namespace ds::collective {
namespace {

/// The fixed part on the wire, in the byte order of the machine: a gang runs on one kind of it. The texts
/// follow.
struct Header {
  std::uint64_t elements = 0;
  std::uint32_t magic = 0x64735355;
  std::uint32_t rank = 0;
  std::uint32_t root = 0;
  std::uint32_t code = 0;
  std::uint32_t message_bytes = 0;
  std::uint32_t hint_bytes = 0;
  std::uint8_t kind = 0;
  std::uint8_t op = 0;
  std::uint8_t type = 0;
  std::uint8_t failed = 0;
  std::uint32_t unused = 0;
};

constexpr std::size_t kLongestText = 16 << 10;  // an error for people; a longer one is cut

bool is_whole(const Header& header, std::size_t text_bytes) {
  return header.magic == Header{}.magic && header.kind < kKinds && header.op < kernels::kReduceOperators &&
         header.type < kernels::kElementTypes && header.failed <= 1 &&
         header.code <= static_cast<std::uint32_t>(ErrorCode::internal) &&
         text_bytes == std::size_t{header.message_bytes} + header.hint_bytes;
}

}  // namespace

Buffer to_buffer(const MemberStatus& status) {
  const Error failure = status.failure.value_or(Error{});
  const std::string_view message = std::string_view(failure.message).substr(0, kLongestText);
  const std::string_view hint = std::string_view(failure.hint).substr(0, kLongestText);
  Header header;
  header.elements = status.signature.elements;
  header.rank = status.rank;
  header.root = status.signature.root;
  header.code = static_cast<std::uint32_t>(failure.code);
  header.message_bytes = static_cast<std::uint32_t>(message.size());
  header.hint_bytes = static_cast<std::uint32_t>(hint.size());
  header.kind = static_cast<std::uint8_t>(status.signature.kind);
  header.op = static_cast<std::uint8_t>(status.signature.op);
  header.type = static_cast<std::uint8_t>(status.signature.type);
  header.failed = status.failure ? 1 : 0;
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
  if (!is_whole(header, texts.size())) return fail(ErrorCode::data_loss, "a member's status is not one");
  MemberStatus status;
  status.rank = header.rank;
  status.signature = {static_cast<Kind>(header.kind), static_cast<ReduceOperator>(header.op),
                      static_cast<ElementType>(header.type), header.root, header.elements};
  if (header.failed == 1) {
    status.failure =
        Error{static_cast<ErrorCode>(header.code), std::string(texts.substr(0, header.message_bytes)),
              std::string(texts.substr(header.message_bytes))};
  }
  return status;
}

std::string describe(const Signature& signature) {
  constexpr const char* kNames[kKinds] = {"all_reduce", "reduce_scatter", "all_gather", "broadcast",
                                          "barrier"};
  const char* kind = kNames[static_cast<std::size_t>(signature.kind)];
  if (signature.kind == Kind::barrier) return kind;
  std::string text =
      fmt::format("{} of {} elements of {}", kind, signature.elements, kernels::name_of(signature.type));
  if (reduces(signature.kind)) text += fmt::format(" ({})", kernels::name_of(signature.op));
  if (signature.kind == Kind::broadcast) text += fmt::format(" from rank {}", signature.root);
  return text;
}

Result<void> check_agreement(const std::vector<MemberStatus>& statuses) {
  for (const MemberStatus& status : statuses) {
    if (status.failure) return tl::unexpected(*status.failure);
  }
  for (const MemberStatus& other : statuses) {
    const MemberStatus& first = statuses.front();
    if (other.signature == first.signature) continue;
    return fail(ErrorCode::internal,
                fmt::format("the members do not agree: rank {} called {}, rank {} called {}", first.rank,
                            describe(first.signature), other.rank, describe(other.signature)),
                "every member must run the same program on the same job");
  }
  return {};
}

}  // namespace ds::collective

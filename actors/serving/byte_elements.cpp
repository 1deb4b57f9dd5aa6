#include "actors/serving/byte_elements.hpp"

#include <fmt/format.h>

#include <limits>

namespace ds::serving {
namespace {

constexpr std::size_t kLengthBytes = 4;

std::uint32_t read_length(std::span<const std::byte> bytes) {
  std::uint32_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;)
    length = length << 8 | std::to_integer<std::uint32_t>(bytes[i]);
  return length;
}

}  // namespace

std::optional<std::string_view> ByteElements::next() {
  if (rest_.size() < kLengthBytes) return std::nullopt;
  const std::uint32_t length = read_length(rest_);
  if (length > rest_.size() - kLengthBytes) return std::nullopt;
  const auto element = rest_.subspan(kLengthBytes, length);
  rest_ = rest_.subspan(kLengthBytes + length);
  return std::string_view(reinterpret_cast<const char*>(element.data()), element.size());
}

std::string find_fault_in_elements(std::span<const std::byte> bytes, std::uint64_t count) {
  ByteElements elements(bytes);
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto rest = elements.rest();
    if (elements.next()) continue;
    if (rest.size() < kLengthBytes)
      return fmt::format("its bytes end with element {} of {}, before that one's 4-byte length", i, count);
    return fmt::format("element {} of {} says that it has {} bytes, but {} are left", i, count,
                       read_length(rest), rest.size() - kLengthBytes);
  }
  const std::size_t left = elements.rest().size();
  return left == 0 ? std::string() : fmt::format("{} bytes are left after its {} elements", left, count);
}

bool append_byte_element(std::string& out, std::string_view element) {
  if (element.size() > std::numeric_limits<std::uint32_t>::max()) return false;
  for (std::size_t i = 0; i < kLengthBytes; ++i) out += static_cast<char>(element.size() >> 8 * i & 255);
  out += element;
  return true;
}

}  // namespace ds::serving

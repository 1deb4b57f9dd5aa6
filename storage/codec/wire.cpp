#include "storage/codec/wire.hpp"

#include <algorithm>

namespace ds::storage {

ByteWriter& ByteWriter::u8(std::uint8_t value) {
  bytes_.push_back(static_cast<char>(value));
  return *this;
}

ByteWriter& ByteWriter::u32(std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) u8(static_cast<std::uint8_t>(value >> shift));
  return *this;
}

ByteWriter& ByteWriter::u64(std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) u8(static_cast<std::uint8_t>(value >> shift));
  return *this;
}

ByteWriter& ByteWriter::text(std::string_view value) {
  u32(static_cast<std::uint32_t>(value.size()));
  return raw(value);
}

ByteWriter& ByteWriter::raw(std::string_view bytes) {
  bytes_.append(bytes);
  return *this;
}

std::uint64_t ByteReader::little_endian(std::size_t size) {
  const std::string_view bytes = raw(size);
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  return value;
}

std::uint8_t ByteReader::u8() {
  return static_cast<std::uint8_t>(little_endian(1));
}
std::uint32_t ByteReader::u32() {
  return static_cast<std::uint32_t>(little_endian(4));
}
std::uint64_t ByteReader::u64() {
  return little_endian(8);
}
std::string_view ByteReader::text() {
  return raw(u32());
}

std::string_view ByteReader::raw(std::size_t size) {
  if (!ok_ || size > rest_.size()) {
    ok_ = false;
    return {};
  }
  const std::string_view bytes = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return bytes;
}

Sha256 ByteReader::sha256() {
  Sha256 sum{};
  const std::string_view bytes = raw(sum.size());
  std::copy(bytes.begin(), bytes.end(), sum.begin());
  return sum;
}

std::string to_big_endian(std::uint64_t value) {
  std::string bytes(8, '\0');
  for (std::size_t i = 8; i-- > 0; value >>= 8) bytes[i] = static_cast<char>(value & 255U);
  return bytes;
}

std::uint64_t from_big_endian(std::string_view eight_bytes) {
  std::uint64_t value = 0;
  for (const char byte : eight_bytes) value = value << 8 | static_cast<std::uint8_t>(byte);
  return value;
}

std::string seal(std::string_view key, std::string body) {
  const Sha256 sum = Sha256Hasher().add(key).add(body).finish();
  body.append(to_view(sum));
  return body;
}

bool unseal(std::string_view key, std::string_view value, std::string_view* body) {
  constexpr std::size_t kSumBytes = sizeof(Sha256);
  if (value.size() < kSumBytes) return false;
  *body = value.substr(0, value.size() - kSumBytes);
  const Sha256 sum = Sha256Hasher().add(key).add(*body).finish();
  return value.substr(body->size()) == to_view(sum);
}

}  // namespace ds::storage

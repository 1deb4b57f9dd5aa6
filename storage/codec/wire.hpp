#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "storage/codec/sha256.hpp"

namespace ds::storage {

/// Builds the byte strings of our on-disk formats: integers little-endian, texts with a 32-bit length before
/// them.
class ByteWriter {
 public:
  ByteWriter& u8(std::uint8_t value);
  ByteWriter& u32(std::uint32_t value);
  ByteWriter& u64(std::uint64_t value);
  ByteWriter& text(std::string_view value);  ///< at most 4 GiB - 1
  ByteWriter& raw(std::string_view bytes);

  std::string_view bytes() const { return bytes_; }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

/// Reads them back. After the first read past the end every read gives zeros and `ok()` is false, so a whole
/// record is read first and checked once.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  std::uint8_t u8();
  std::uint32_t u32();
  std::uint64_t u64();
  std::string_view text();
  std::string_view raw(std::size_t size);
  Sha256 sha256();

  bool ok() const { return ok_; }
  bool at_end() const { return ok_ && rest_.empty(); }
  std::size_t left() const { return rest_.size(); }

 private:
  std::uint64_t little_endian(std::size_t size);

  std::string_view rest_;
  bool ok_ = true;
};

/// Eight bytes that sort as the number does: the form of a sequence number or step in a database key.
std::string to_big_endian(std::uint64_t value);
std::uint64_t from_big_endian(std::string_view eight_bytes);

/// Puts SHA-256 over (`key`, `body`) behind `body`. The key is part of it, so that a value that turns up
/// under another key does not pass.
std::string seal(std::string_view key, std::string body);

/// The body of a sealed value, or nothing when the sum does not match.
bool unseal(std::string_view key, std::string_view value, std::string_view* body);

}  // namespace ds::storage

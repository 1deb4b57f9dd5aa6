#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "actors/fabric/buffer.hpp"
#include "storage/result.hpp"

namespace ds::serving {

/// How a body is coded (RFC 9110, 8.4.1). `deflate` is the zlib format (RFC 1950), not a bare deflate stream.
enum class ContentCoding : std::uint8_t { identity, gzip, deflate };

/// As in `Content-Encoding`: `gzip`; empty for `identity`.
std::string_view to_string(ContentCoding coding);

/// Of a request's `Content-Encoding`; empty: identity. Errors: `unsupported` (another coding, or several; for
/// 415).
Result<ContentCoding> parse_content_encoding(std::string_view header);

/// The coding that a response should have: the one that `Accept-Encoding` gives the highest q, gzip before
/// deflate before identity where they are equal. Empty or unreadable entries: identity. Pure.
ContentCoding choose_coding(std::string_view accept_encoding);

/// Stops at `max_bytes`, and takes no more memory than twice what comes out, a start of 64 KiB aside.
///
/// Errors: `resource_exhausted` (more than `max_bytes` would come out; for 413), `invalid_argument` (damaged,
/// not complete, or something after the end). gzip may have several members.
Result<Buffer> decompress(std::string_view body, ContentCoding coding, std::size_t max_bytes);

/// The same, piece by piece: other work can come between, and it can be given up. The body must outlive it.
class Decompressor {
 public:
  /// Of gzip or deflate. Throws `std::bad_alloc`.
  Decompressor(std::string_view body, ContentCoding coding, std::size_t max_bytes);
  ~Decompressor();
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  /// Goes on until so many bytes have come out in all. True: that is the whole body. Errors: as of
  /// `decompress`; then, and after the whole, not to be called again.
  Result<bool> go_on_to(std::size_t bytes);
  /// How much the whole is likely to be, by what has come; no more than the bound.
  std::size_t expected_bytes() const;
  std::size_t bytes() const { return size_; }  ///< that have come
  Buffer take();                               ///< what has come

 private:
  class Inflater;

  const std::unique_ptr<Inflater> inflater_;
  const ContentCoding coding_;
  const std::size_t body_bytes_, max_bytes_;
  std::shared_ptr<std::string> text_;
  std::size_t size_ = 0;
};

/// At zlib's fastest level: answers are compressed while somebody waits. Throws `std::bad_alloc`.
std::string compress(std::string_view body, ContentCoding coding);

}  // namespace ds::serving

#include "actors/serving/compression.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

namespace ds::serving {
namespace {

constexpr int kWindowBits = 15;

int window_bits(ContentCoding coding) {
  return coding == ContentCoding::gzip ? kWindowBits + 16 : kWindowBits;
}

uInt as_step(std::size_t bytes) {
  return static_cast<uInt>(std::min<std::size_t>(bytes, std::numeric_limits<uInt>::max()));
}

Bytef* as_bytes(const char* text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text));
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
    return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
  });
}

/// `0.5` as 500; none of that form: 0, so that it is not chosen.
int read_quality(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return 0;
  int quality = (text[0] - '0') * 1000;
  if (text.size() > 1 && text[1] != '.') return 0;
  int weight = 100;
  for (std::size_t i = 2; i < text.size(); ++i, weight /= 10) {
    if (text[i] < '0' || text[i] > '9') return 0;
    quality += (text[i] - '0') * weight;
  }
  return std::min(quality, 1000);
}

/// What an entry like `gzip;q=0.5` gives.
int quality_of(std::string_view parameters) {
  for (; !parameters.empty();) {
    const std::size_t end = std::min(parameters.find(';'), parameters.size());
    const std::string_view one = trim(parameters.substr(0, end));
    if (one.size() > 2 && (one[0] == 'q' || one[0] == 'Q') && one[1] == '=')
      return read_quality(one.substr(2));
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
  }
  return 1000;
}

Error too_large(std::size_t max_bytes) {
  return {ErrorCode::resource_exhausted,
          fmt::format("the body has more than {} bytes when it is decompressed", max_bytes),
          "send less at once"};
}

}  // namespace

/// A stream of zlib's that ends with its owner.
class Decompressor::Inflater {
 public:
  Inflater(std::string_view body, ContentCoding coding) : rest_(body) {
    if (inflateInit2(&stream_, window_bits(coding)) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Writes up to `room` bytes to `out`; how many. `status()` tells what happened.
  std::size_t step(char* out, std::size_t room) {
    stream_.next_in = as_bytes(rest_.data());
    stream_.avail_in = as_step(rest_.size());
    stream_.next_out = as_bytes(out);
    stream_.avail_out = as_step(room);
    const uInt had = stream_.avail_in;
    const uInt gave = stream_.avail_out;
    status_ = inflate(&stream_, Z_NO_FLUSH);
    rest_.remove_prefix(had - stream_.avail_in);
    return gave - stream_.avail_out;
  }

  int status() const { return status_; }
  const char* message() const { return stream_.msg == nullptr ? "it is not complete" : stream_.msg; }
  std::size_t left() const { return rest_.size(); }
  void begin_next_member() { inflateReset(&stream_); }

 private:
  std::string_view rest_;
  z_stream stream_{};
  int status_ = Z_OK;
};

std::string_view to_string(ContentCoding coding) {
  if (coding == ContentCoding::identity) return {};
  return coding == ContentCoding::gzip ? "gzip" : "deflate";
}

Result<ContentCoding> parse_content_encoding(std::string_view header) {
  const std::string_view name = trim(header);
  if (name.empty() || equals_ignoring_case(name, "identity")) return ContentCoding::identity;
  if (equals_ignoring_case(name, "gzip") || equals_ignoring_case(name, "x-gzip")) return ContentCoding::gzip;
  if (equals_ignoring_case(name, "deflate")) return ContentCoding::deflate;
  return fail(ErrorCode::unsupported,
              fmt::format("Content-Encoding '{}' is not supported", name.substr(0, 64)),
              "send the body as gzip, deflate or as it is");
}

ContentCoding choose_coding(std::string_view accept_encoding) {
  int gzip = -1;
  int deflate = -1;
  int identity = -1;
  int others = -1;
  while (!accept_encoding.empty()) {
    const std::size_t end = std::min(accept_encoding.find(','), accept_encoding.size());
    const std::string_view entry = accept_encoding.substr(0, end);
    accept_encoding.remove_prefix(std::min(end + 1, accept_encoding.size()));
    const std::size_t semicolon = std::min(entry.find(';'), entry.size());
    const std::string_view name = trim(entry.substr(0, semicolon));
    const int quality = quality_of(entry.substr(std::min(semicolon + 1, entry.size())));
    if (equals_ignoring_case(name, "gzip") || equals_ignoring_case(name, "x-gzip")) gzip = quality;
    if (equals_ignoring_case(name, "deflate")) deflate = quality;
    if (equals_ignoring_case(name, "identity")) identity = quality;
    if (name == "*") others = quality;
  }
  if (gzip < 0) gzip = std::max(others, 0);
  if (deflate < 0) deflate = std::max(others, 0);
  const int best = std::max(gzip, deflate);
  if (best <= 0 || identity > best) return ContentCoding::identity;
  return gzip == best ? ContentCoding::gzip : ContentCoding::deflate;
}

Decompressor::Decompressor(std::string_view body, ContentCoding coding, std::size_t max_bytes)
    : inflater_(std::make_unique<Inflater>(body, coding)),
      coding_(coding),
      body_bytes_(body.size()),
      max_bytes_(max_bytes),
      text_(std::make_shared<std::string>()) {}

Decompressor::~Decompressor() = default;

Result<bool> Decompressor::go_on_to(std::size_t bytes) {
  constexpr std::size_t kStart = 64 << 10;
  bytes = std::min(bytes, max_bytes_ + 1);  // a byte beyond the bound shows whether there is more
  while (size_ < bytes) {
    if (size_ == text_->size()) text_->resize(std::min(std::max(kStart, size_ * 2), max_bytes_ + 1));
    const std::size_t before = inflater_->left();
    const std::size_t came = inflater_->step(text_->data() + size_, std::min(text_->size(), bytes) - size_);
    size_ += came;
    if (size_ > max_bytes_) return tl::unexpected(too_large(max_bytes_));
    if (inflater_->status() == Z_STREAM_END) {
      if (inflater_->left() == 0) return true;
      if (coding_ != ContentCoding::gzip)
        return fail(ErrorCode::invalid_argument, "something stands after the end of the compressed body");
      inflater_->begin_next_member();
    } else if (inflater_->status() != Z_OK || (came == 0 && before == inflater_->left())) {
      return fail(ErrorCode::invalid_argument, fmt::format("the body cannot be decompressed as {}: {}",
                                                           to_string(coding_), inflater_->message()));
    }
  }
  return false;
}

std::size_t Decompressor::expected_bytes() const {
  const std::size_t read = body_bytes_ - inflater_->left();
  if (read == 0) return max_bytes_;
  const double ratio = static_cast<double>(size_) / static_cast<double>(read);
  const double whole = ratio * static_cast<double>(body_bytes_);
  return whole < static_cast<double>(max_bytes_) ? static_cast<std::size_t>(whole) : max_bytes_;
}

Buffer Decompressor::take() {
  text_->resize(size_);
  const std::shared_ptr<const std::string> text = std::move(text_);
  return Buffer(text, std::as_bytes(std::span(*text)));
}

Result<Buffer> decompress(std::string_view body, ContentCoding coding, std::size_t max_bytes) {
  if (coding == ContentCoding::identity) {
    if (body.size() > max_bytes) return tl::unexpected(too_large(max_bytes));
    return Buffer::copy_of(body);
  }
  Decompressor decompressor(body, coding, max_bytes);
  // As one byte too many is an error, what is none is the whole.
  if (const auto done = decompressor.go_on_to(max_bytes + 1); !done) return tl::unexpected(done.error());
  return decompressor.take();
}

std::string compress(std::string_view body, ContentCoding coding) {
  if (coding == ContentCoding::identity) return std::string(body);
  z_stream stream{};
  constexpr int kMemoryLevel = 8;  // zlib's default
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, window_bits(coding), kMemoryLevel,
                   Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, deflateEnd);
  std::string out(deflateBound(&stream, body.size()), '\0');
  std::size_t read = 0;
  std::size_t written = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    const uInt in = as_step(body.size() - read);
    const uInt room = as_step(out.size() - written);
    stream.next_in = as_bytes(body.data() + read);
    stream.avail_in = in;
    stream.next_out = as_bytes(out.data() + written);
    stream.avail_out = room;
    status = ::deflate(&stream, in == body.size() - read ? Z_FINISH : Z_NO_FLUSH);
    read += in - stream.avail_in;
    written += room - stream.avail_out;
  }
  out.resize(written);
  return out;
}

}  // namespace ds::serving

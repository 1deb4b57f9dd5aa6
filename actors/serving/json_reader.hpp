#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/result.hpp"

namespace ds::serving {

/// Reads JSON (RFC 8259) front to back without making a tree of it; the caller asks for what it expects.
///
/// It is ours because a tensor's data must be read with the exact text of each number (−0, 2^64, floats
/// without a detour over double), at memory speed, and may stand before the datatype that says how to read
/// it: `skip_value` gives the text of a value to read again. Refused, besides what is no JSON: more than
/// `kMaxDepth` levels, a key twice in an object, more than `kMaxMembers` in one. Allowed beyond JSON, as
/// Triton and its clients do: the numbers `NaN`, `Infinity` and `-Infinity`.
///
/// Members return false after a failure, which `error()` then describes; the first one stays.
class JsonReader {
 public:
  static constexpr std::size_t kMaxDepth = 32;
  static constexpr std::size_t kMaxMembers = 64;
  enum class Kind : std::uint8_t { object, array, string, number, boolean, null, nothing };

  /// `text` must outlive the reader. `depth` levels around it are taken as open already, `offset` bytes as
  /// read (for messages).
  explicit JsonReader(std::string_view text, std::size_t depth = 0, std::size_t offset = 0)
      : text_(text), outside_(depth), offset_(offset) {
    frames_.reserve(kUsual);
    keys_.reserve(kUsual);
  }

  Kind peek();  ///< of the value that comes next; `nothing`: none does

  bool begin_object();
  /// Goes to the next member's value. False: the object is over (and left), or a failure.
  /// `key` holds until the next call of a member.
  bool next_member(std::string_view& key);
  bool begin_array();
  bool next_element();  ///< false: the array is over (and left), or a failure

  /// Valid until the next call of a member.
  bool read_string(std::string_view& out);
  /// The number as it is written.
  bool read_number(std::string_view& out);
  bool read_boolean(bool& out);
  /// Skips a value, and gives its text where wanted.
  bool skip_value(std::string_view* text = nullptr);
  /// Nothing but space may be left.
  bool expect_end();

  bool failed() const { return failed_; }
  const Error& error() const { return error_; }
  /// Records a failure at the present place; false, to be returned.
  bool fail_here(std::string_view what);
  /// Records a failure of what was read: false, to be returned.
  bool fail_with(Error error);

  std::size_t depth() const { return outside_ + frames_.size(); }
  std::size_t offset() const { return offset_ + at_; }
  std::size_t bytes_left() const { return text_.size() - at_; }

 private:
  static constexpr std::size_t kUsual = 8;  ///< levels of a request, and members of those that are open
  struct Frame {
    bool is_object = false;
    bool is_first = true;
    std::size_t first_key = 0;  ///< in `keys_`
  };

  // In the header because a tensor's data calls it between all of its values.
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  bool open(char bracket, bool is_object);
  bool next(char bracket, bool& is_over);
  bool read_escape();
  bool read_hex4(std::uint32_t& out);
  bool read_literal(std::string_view literal);
  bool skip_number();
  bool skip_digits();

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t outside_;
  std::size_t offset_;
  std::vector<Frame> frames_;
  std::vector<std::string> keys_;  ///< of the objects that are open
  std::string unescaped_;
  bool failed_ = false;
  Error error_;
};

}  // namespace ds::serving

#include "actors/train/models/pickle_names.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <optional>

namespace ds::train {
namespace {

constexpr const char* kEndsEarly = "it ends in the middle of an instruction";

/// Takes a pickle apart, front to back.
class Reader {
 public:
  explicit Reader(std::string_view rest) : rest_(rest) {}

  std::optional<std::string_view> take(std::uint64_t count) {
    if (count > rest_.size()) return std::nullopt;
    const auto taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  std::optional<std::string_view> take_line() {
    const auto end = rest_.find('\n');
    if (end == std::string_view::npos) return std::nullopt;
    const auto line = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return line;
  }
  /// Skips what is behind its length, a little-endian number of so many bytes.
  bool skip_counted(std::size_t width) {
    const auto bytes = take(width);
    if (!bytes) return false;
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < width; ++i)
      length |= std::uint64_t{static_cast<unsigned char>((*bytes)[i])} << (8 * i);
    return take(length).has_value();
  }

 private:
  std::string_view rest_;
};

/// How many bytes follow an instruction, where that is fixed.
std::optional<std::size_t> length_of(unsigned char instruction) {
  switch (instruction) {
    case '(':
    case ')':
    case ']':
    case '}':  // mark; empty tuple, list, dictionary
    case 't':
    case 0x85:
    case 0x86:
    case 0x87:  // tuples
    case 'e':
    case 'a':
    case 's':
    case 'u':  // what goes into lists and dictionaries
    case 'N':
    case 0x88:
    case 0x89:  // none, true, false
    case 'b':
    case 'R':
    case 'Q':
    case 0x81:  // build, call, persistent id, new object
      return 0;
    case 0x80:
    case 'K':
    case 'h':
    case 'q':  // protocol; a byte; from and to the memo
      return 1;
    case 'M':
      return 2;
    case 'J':
    case 'j':
    case 'r':
      return 4;
    case 'G':
      return 8;
    default:
      return std::nullopt;
  }
}

}  // namespace

Result<std::vector<std::string>> names_in_pickle(std::string_view pickle) {
  std::vector<std::string> names;
  Reader reader(pickle);
  while (const auto next = reader.take(1)) {
    const auto instruction = static_cast<unsigned char>(next->front());
    bool is_whole = true;
    if (instruction == '.') return names;
    if (const auto length = length_of(instruction)) {
      is_whole = reader.take(*length).has_value();
    } else if (instruction == 'X' || instruction == 0x8a) {  // a text, a large number
      is_whole = reader.skip_counted(instruction == 'X' ? 4 : 1);
    } else if (instruction == 'c') {
      const auto module = reader.take_line();
      const auto name = module ? reader.take_line() : std::nullopt;
      if (name) names.push_back(fmt::format("{}.{}", *module, *name));
      is_whole = name.has_value();
    } else {
      return fail(
          ErrorCode::invalid_argument,
          fmt::format("it has the instruction 0x{:02x}, which TorchScript does not write", instruction));
    }
    if (!is_whole) return fail(ErrorCode::invalid_argument, kEndsEarly);
  }
  return fail(ErrorCode::invalid_argument, kEndsEarly);
}

}  // namespace ds::train

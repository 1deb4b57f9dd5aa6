#include "storage/dataset/array_file.hpp"

#include <fmt/format.h>

#include <cctype>
#include <charconv>

namespace ds::storage {
namespace {

constexpr std::size_t kMaxHeaderBytes = 64U << 10;
constexpr std::size_t kMaxRank = 8;

/// A header whose data is all there passes.
Result<ArrayLayout> check_size(const DataFile& file, ArrayLayout layout) {
  const auto count = count_of(layout.shape);
  const std::uint64_t have = file.size() - layout.data_offset;
  if (!count || *count > have / bytes_of(layout.number))
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: the header tells of more data than the file's {} bytes hold", file.name(),
                            file.size()),
                "The file is cut off or damaged; fetch it again.");
  return layout;
}

tl::unexpected<Error> fail_npy(const DataFile& file, std::string_view what, std::string hint = {}) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", file.name(), what), std::move(hint));
}

/// What stands behind `'key':` in the Python dictionary of a .npy header.
std::optional<std::string_view> value_of(std::string_view header, std::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const std::string quoted = quote + std::string(key) + quote;
    std::size_t at = header.find(quoted);
    if (at == std::string_view::npos) continue;
    at = header.find_first_not_of(" :", at + quoted.size());
    if (at != std::string_view::npos) return header.substr(at);
  }
  return std::nullopt;
}

/// `'<f4'` and the like.
bool read_descr(std::string_view text, ArrayLayout& layout) {
  if (text.size() < 5 || (text[0] != '\'' && text[0] != '"')) return false;
  const std::size_t end = text.find(text[0], 1);
  if (end == std::string_view::npos) return false;
  const std::string_view type = text.substr(1, end - 1);
  struct Type {
    std::string_view name;
    Number number;
  };
  constexpr Type kTypes[] = {{"u1", Number::uint8},   {"i1", Number::int8},   {"u2", Number::uint16},
                             {"i2", Number::int16},   {"u4", Number::uint32}, {"i4", Number::int32},
                             {"u8", Number::uint64},  {"i8", Number::int64},  {"f4", Number::float32},
                             {"f8", Number::float64}, {"b1", Number::boolean}};
  if (type.empty() || std::string_view("<>|=").find(type[0]) == std::string_view::npos) return false;
  layout.big_endian = type[0] == '>';
  for (const Type& known : kTypes) {
    if (type.substr(1) != known.name) continue;
    layout.number = known.number;
    return true;
  }
  return false;
}

bool read_shape(std::string_view text, std::vector<std::uint64_t>& shape) {
  if (!text.starts_with('(')) return false;
  const std::size_t end = text.find(')');
  if (end == std::string_view::npos) return false;
  std::string_view rest = text.substr(1, end - 1);
  while (!rest.empty()) {
    if (rest[0] == ' ' || rest[0] == ',') {
      rest.remove_prefix(1);
      continue;
    }
    std::uint64_t extent = 0;
    const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), extent);
    if (parsed.ec != std::errc() || shape.size() == kMaxRank) return false;
    shape.push_back(extent);
    rest.remove_prefix(static_cast<std::size_t>(parsed.ptr - rest.data()));
  }
  return true;
}

std::uint32_t little_endian(std::string_view bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  return value;
}

}  // namespace

Result<ArrayLayout> read_idx_layout(const DataFile& file) {
  const auto refuse = [&] {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is no IDX file: it does not begin with 0, 0, a type and a rank", file.name()),
                "Was it packed with something else than gzip or zstd?");
  };
  char head[4] = {};
  if (file.size() < sizeof(head)) return refuse();
  auto taken = file.read(0, head);
  if (!taken) return tl::unexpected(taken.error());
  const auto rank = static_cast<unsigned char>(head[3]);
  if (head[0] != 0 || head[1] != 0 || rank == 0 || rank > kMaxRank) return refuse();
  ArrayLayout layout;
  layout.big_endian = true;
  switch (head[2]) {
    case 0x08:
      layout.number = Number::uint8;
      break;
    case 0x09:
      layout.number = Number::int8;
      break;
    case 0x0B:
      layout.number = Number::int16;
      break;
    case 0x0C:
      layout.number = Number::int32;
      break;
    case 0x0D:
      layout.number = Number::float32;
      break;
    case 0x0E:
      layout.number = Number::float64;
      break;
    default:
      return refuse();
  }
  layout.data_offset = 4 + std::uint64_t{4} * rank;
  std::string extents(std::size_t{4} * rank, '\0');
  taken = file.read(4, extents);
  if (!taken) return tl::unexpected(taken.error());
  for (std::size_t i = 0; i < rank; ++i) {
    std::uint64_t extent = 0;
    for (std::size_t k = 0; k < 4; ++k) extent = extent << 8 | static_cast<unsigned char>(extents[4 * i + k]);
    layout.shape.push_back(extent);
  }
  return check_size(file, std::move(layout));
}

Result<ArrayLayout> read_npy_layout(const DataFile& file) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  std::string head(12, '\0');
  if (file.size() < head.size()) return fail_npy(file, "no .npy file: it is too short");
  auto taken = file.read(0, head);
  if (!taken) return tl::unexpected(taken.error());
  if (!std::string_view(head).starts_with(kMagic))
    return fail_npy(file, "no .npy file: it does not begin with \\x93NUMPY");
  const int version = head[6];
  if (version < 1 || version > 3) return fail_npy(file, "a .npy version that is not known");
  const std::size_t prefix = version == 1 ? 10 : 12;
  const std::size_t length = little_endian(std::string_view(head).substr(8, version == 1 ? 2 : 4));
  if (length > kMaxHeaderBytes || prefix + length > file.size())
    return fail_npy(file, "the .npy header is cut off or damaged");
  std::string header(length, '\0');
  taken = file.read(prefix, header);
  if (!taken) return tl::unexpected(taken.error());
  ArrayLayout layout;
  layout.data_offset = prefix + length;
  const auto descr = value_of(header, "descr");
  const auto order = value_of(header, "fortran_order");
  const auto shape = value_of(header, "shape");
  if (!descr || !order || !shape) return fail_npy(file, "the .npy header is damaged");
  if (!read_descr(*descr, layout))
    return fail_npy(file,
                    fmt::format("elements of the type {} are not supported",
                                descr->substr(0, std::min<std::size_t>(descr->find(','), 24))),
                    "Save it as an integer or float array, for example with .astype(numpy.float32).");
  if (!read_shape(*shape, layout.shape)) return fail_npy(file, "the .npy header's shape is damaged");
  if (order->starts_with("True") && layout.shape.size() > 1)
    return fail_npy(file, "the array is in Fortran order", "Save numpy.ascontiguousarray(array).");
  if (layout.shape.empty()) return fail_npy(file, "the array has no dimension that counts samples");
  return check_size(file, std::move(layout));
}

}  // namespace ds::storage

#include "storage/dataset/csv.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <optional>
#include <utility>

#include "storage/codec/sha256.hpp"
#include "storage/dataset/csv_parser.hpp"
#include "storage/dataset/nearest_name.hpp"
#include "storage/files/whole_file.hpp"
#include "storage/log/log_store.hpp"

namespace ds::storage {

namespace {

constexpr std::size_t kPieceBytes = 64U << 10;

/// Turns rows into texts and labels.
class LabelledTextReader {
 public:
  LabelledTextReader(std::string name, std::string text_column, std::string label_column)
      : text_column_(std::move(text_column)),
        label_column_(std::move(label_column)),
        parser_(std::move(name), [this](auto& fields, TextPosition end) { return take_row(fields, end); }) {}

  Result<void> feed(std::string_view bytes) {
    saw_bytes_ = saw_bytes_ || !bytes.empty();
    return parser_.feed(bytes);
  }

  Result<void> finish() {
    auto finished = parser_.finish();
    if (!finished) return finished;
    if (!saw_bytes_) return parser_.fail_at({1, 1}, "the file is empty", expected_header());
    if (!has_header_)
      return parser_.fail_at({1, 1}, "the file holds nothing but blank lines", expected_header());
    if (out_.texts.empty()) return parser_.fail_at({header_line_ + 1, 1}, "no row after the header");
    return {};
  }

  bool has_header() const { return has_header_; }
  bool has_row() const { return !out_.texts.empty(); }
  LabelledText take() { return std::move(out_); }
  tl::unexpected<Error> fail_at(TextPosition at, std::string_view message) const {
    return parser_.fail_at(at, message);
  }

 private:
  std::string expected_header() const {
    return fmt::format("The first line names the columns, \"{}\" and \"{}\" among them.", text_column_,
                       label_column_);
  }

  Result<void> take_row(std::vector<CsvField>& fields, TextPosition end) {
    if (!has_header_) return take_header(fields, end);
    if (fields.size() != columns_) {
      const TextPosition at = fields.size() > columns_ ? fields[columns_].at : end;
      return parser_.fail_at(
          at, fmt::format("expected {} fields as in the header, got {}", columns_, fields.size()),
          "A field that holds a comma or a newline must be in quotes.");
    }
    if (fields[label_index_].text.empty())
      return parser_.fail_at(fields[label_index_].at,
                             fmt::format("the label (column \"{}\") is empty", label_column_));
    out_.labels.push_back(fields[label_index_].text);
    out_.texts.push_back(std::move(fields[text_index_].text));
    return {};
  }

  Result<void> take_header(const std::vector<CsvField>& fields, TextPosition end) {
    has_header_ = true;
    header_line_ = end.line;
    columns_ = fields.size();
    for (const auto& [column, index] :
         {std::pair(&text_column_, &text_index_), std::pair(&label_column_, &label_index_)}) {
      const auto found = find_column(fields, *column);
      if (!found) return tl::unexpected<Error>(found.error());
      *index = *found;
    }
    return {};
  }

  Result<std::size_t> find_column(const std::vector<CsvField>& fields, const std::string& column) const {
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].text != column) continue;
      if (found)
        return parser_.fail_at(fields[i].at, fmt::format("the header has the column \"{}\" twice", column));
      found = i;
    }
    if (found) return *found;
    return parser_.fail_at(fields.front().at, fmt::format("the header has no column \"{}\"", column),
                           describe_columns(fields, column));
  }

  static std::string describe_columns(const std::vector<CsvField>& fields, const std::string& column) {
    constexpr std::size_t kMaxShown = 20;
    std::vector<std::string> names;
    names.reserve(fields.size());
    for (const CsvField& field : fields) names.push_back(escape_control_characters(field.text));
    const std::optional<std::string> nearest = find_nearest_name(column, names);
    const std::size_t shown = std::min(names.size(), kMaxShown);
    std::string hint = nearest ? fmt::format("Did you mean \"{}\"? ", *nearest) : "";
    hint += fmt::format("The columns are: {}{}",
                        fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                        shown < names.size() ? ", …" : "");
    return hint;
  }

  std::string text_column_;
  std::string label_column_;
  CsvParser parser_;
  bool saw_bytes_ = false;
  bool has_header_ = false;
  std::uint64_t header_line_ = 1;
  std::size_t columns_ = 0;
  std::size_t text_index_ = 0;
  std::size_t label_index_ = 0;
  LabelledText out_;
};

/// A file open for reading, in pieces.
class PieceReader {
 public:
  static Result<PieceReader> open(const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0) return fail_with_errno(errno, "cannot open", file);
    PieceReader reader(file, descriptor);
    struct stat status = {};
    if (::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode))
      return fail(ErrorCode::invalid_argument, fmt::format("{} is a directory, not a file", file.string()));
    return reader;
  }
  PieceReader(PieceReader&& other) noexcept
      : file_(std::move(other.file_)), descriptor_(std::exchange(other.descriptor_, -1)) {}
  PieceReader& operator=(PieceReader&&) = delete;
  ~PieceReader() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  /// Empty at the end.
  Result<std::string_view> next() {
    buffer_.resize(kPieceBytes);
    for (;;) {
      const ssize_t size = ::read(descriptor_, buffer_.data(), buffer_.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return fail_with_errno(errno, "cannot read", file_);
      return std::string_view(buffer_.data(), static_cast<std::size_t>(size));
    }
  }

 private:
  PieceReader(std::filesystem::path file, int descriptor) : file_(std::move(file)), descriptor_(descriptor) {}

  std::filesystem::path file_;
  int descriptor_;
  std::string buffer_;
};

}  // namespace

Result<LabelledText> read_labelled_text(const std::filesystem::path& file, const std::string& text_column,
                                        const std::string& label_column) {
  auto pieces = PieceReader::open(file);
  if (!pieces) return tl::unexpected<Error>(pieces.error());
  LabelledTextReader reader(file.string(), text_column, label_column);
  Sha256Hasher hasher;
  for (;;) {
    const auto piece = pieces->next();
    if (!piece) return tl::unexpected<Error>(piece.error());
    if (piece->empty()) break;
    hasher.add(*piece);
    auto fed = reader.feed(*piece);
    if (!fed) return tl::unexpected<Error>(fed.error());
  }
  auto finished = reader.finish();
  if (!finished) return tl::unexpected<Error>(finished.error());
  LabelledText table = reader.take();
  table.sha256 = to_hex(hasher.finish());
  return table;
}

Result<void> check_labelled_text(const std::filesystem::path& file, const std::string& text_column,
                                 const std::string& label_column) {
  auto pieces = PieceReader::open(file);
  if (!pieces) return tl::unexpected<Error>(pieces.error());
  const auto piece = pieces->next();
  if (!piece) return tl::unexpected<Error>(piece.error());
  LabelledTextReader reader(file.string(), text_column, label_column);
  // Line by line, so that what stands behind the first row is not looked at.
  for (std::string_view rest = *piece; !rest.empty() && !reader.has_row();) {
    const std::size_t line = std::min(rest.find('\n'), rest.size() - 1) + 1;
    auto fed = reader.feed(rest.substr(0, line));
    if (!fed) return fed;
    rest.remove_prefix(line);
  }
  if (reader.has_row()) return {};
  if (piece->size() < kPieceBytes) return reader.finish();
  if (!reader.has_header())
    return reader.fail_at({1, 1}, fmt::format("the header does not end within {} KiB", kPieceBytes >> 10));
  return {};  // a first row longer than this look is for the reader of the whole file to judge
}

}  // namespace ds::storage

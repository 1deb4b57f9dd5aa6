#include "storage/dataset/csv_first_look.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>
#include <vector>

#include "storage/dataset/csv_parser.hpp"
#include "storage/dataset/nearest_name.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::storage {
namespace {

constexpr std::size_t kLookBytes = std::size_t{64} << 10;

/// Judges a header and the first row.
class FirstRows {
 public:
  FirstRows(std::string name, std::string text_column, std::string label_column)
      : text_column_(std::move(text_column)),
        label_column_(std::move(label_column)),
        parser_(std::move(name), [this](auto& fields, TextPosition end) { return take_row(fields, end); }) {}

  Result<void> feed(std::string_view bytes) { return parser_.feed(bytes); }

  /// No more bytes come; `is_empty`: none ever came.
  Result<void> finish(bool is_empty) {
    auto finished = parser_.finish();
    if (!finished) return finished;
    const std::string expected = fmt::format(
        "The first line names the columns, \"{}\" and \"{}\" among them.", text_column_, label_column_);
    if (is_empty) return parser_.fail_at({1, 1}, "the file is empty", expected);
    if (!has_header_) return parser_.fail_at({1, 1}, "the file holds nothing but blank lines", expected);
    if (!has_row_) return parser_.fail_at({header_line_ + 1, 1}, "no row after the header");
    return {};
  }

  bool has_header() const { return has_header_; }
  bool has_row() const { return has_row_; }
  tl::unexpected<Error> fail_at(TextPosition at, std::string_view message) const {
    return parser_.fail_at(at, message);
  }

 private:
  Result<void> take_row(std::vector<CsvField>& fields, TextPosition end) {
    if (!has_header_) return take_header(fields, end);
    has_row_ = true;
    if (fields.size() != columns_) {
      const TextPosition at = fields.size() > columns_ ? fields[columns_].at : end;
      return parser_.fail_at(
          at, fmt::format("expected {} fields as in the header, got {}", columns_, fields.size()),
          "A field that holds a comma or a newline must be in quotes.");
    }
    if (fields[label_index_].text.empty())
      return parser_.fail_at(fields[label_index_].at,
                             fmt::format("the label (column \"{}\") is empty", label_column_));
    return {};
  }

  Result<void> take_header(const std::vector<CsvField>& fields, TextPosition end) {
    has_header_ = true;
    header_line_ = end.line;
    columns_ = fields.size();
    const auto text = find_column(fields, text_column_);
    if (!text) return tl::unexpected(text.error());
    const auto label = find_column(fields, label_column_);
    if (!label) return tl::unexpected(label.error());
    label_index_ = *label;
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
    std::vector<std::string_view> names;
    for (const CsvField& field : fields) names.push_back(field.text);
    return parser_.fail_at(fields.front().at, fmt::format("the header has no column \"{}\"", column),
                           describe_columns(column, names));
  }

  std::string text_column_;
  std::string label_column_;
  CsvParser parser_;
  bool has_header_ = false;
  bool has_row_ = false;
  std::uint64_t header_line_ = 1;
  std::size_t columns_ = 0;
  std::size_t label_index_ = 0;
};

/// The beginning of a file.
Result<std::string> read_beginning(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (descriptor < 0) return fail_with_errno(errno, "cannot open", file);
  struct stat status = {};
  const bool is_directory = ::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode);
  std::string bytes(kLookBytes, '\0');
  std::size_t size = 0;
  int failed = 0;
  while (!is_directory && size < bytes.size()) {
    const ssize_t got = ::read(descriptor, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) failed = errno;
    if (got <= 0) break;
    size += static_cast<std::size_t>(got);
  }
  ::close(descriptor);
  if (is_directory)
    return fail(ErrorCode::invalid_argument, fmt::format("{} is a directory, not a file", file.string()));
  if (failed != 0) return fail_with_errno(failed, "cannot read", file);
  bytes.resize(size);
  return bytes;
}

}  // namespace

Result<void> check_labelled_text(const std::filesystem::path& file, const std::string& text_column,
                                 const std::string& label_column) {
  const auto beginning = read_beginning(file);
  if (!beginning) return tl::unexpected(beginning.error());
  FirstRows rows(file.string(), text_column, label_column);
  // Line by line, so that what stands behind the first row is not looked at.
  for (std::string_view rest = *beginning; !rest.empty() && !rows.has_row();) {
    const std::size_t line = std::min(rest.find('\n'), rest.size() - 1) + 1;
    auto fed = rows.feed(rest.substr(0, line));
    if (!fed) return fed;
    rest.remove_prefix(line);
  }
  if (rows.has_row()) return {};
  if (beginning->size() < kLookBytes) return rows.finish(beginning->empty());
  if (!rows.has_header())
    return rows.fail_at({1, 1}, fmt::format("the header does not end within {} KiB", kLookBytes >> 10));
  return {};  // a first row longer than this look is for the reader of the whole file to judge
}

}  // namespace ds::storage

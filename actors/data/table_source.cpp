#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <optional>
#include <utility>

#include "actors/data/source.hpp"
#include "actors/data/table_columns.hpp"
#include "actors/data/text_parts.hpp"
#include "storage/dataset/csv_record.hpp"
#include "storage/dataset/nearest_name.hpp"
#include "storage/log/log_store.hpp"

namespace ds::data {

// json_source.cpp
Result<std::unique_ptr<Source>> open_json_source(std::vector<TableField> fields, TextParts parts);

namespace {

tl::unexpected<Error> fail_at(const std::string& file, storage::TextPosition at, std::string_view what,
                              std::string hint = {}) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}:{}:{}: {}", file, at.line, at.column, what),
              std::move(hint));
}

/// Which of a file's columns make the fields.
class ColumnFinder {
 public:
  ColumnFinder(const std::string& file, bool has_header, const storage::CsvRow& first)
      : file_(file), has_header_(has_header), first_(first) {}

  Result<std::size_t> find(const std::string& column) const {
    return has_header_ ? find_by_name(column) : find_by_number(column);
  }

 private:
  Result<std::size_t> find_by_name(const std::string& column) const {
    std::optional<std::size_t> found;
    for (std::size_t i = 0; i < first_.fields.size(); ++i) {
      if (first_.fields[i] != column) continue;
      if (found)
        return fail_at(file_, first_.slow[i].at,
                       fmt::format("the header has the column \"{}\" twice", column));
      found = i;
    }
    if (found) return *found;
    return fail_at(file_, first_.slow.front().at, fmt::format("the header has no column \"{}\"", column),
                   storage::describe_columns(column, first_.fields));
  }

  Result<std::size_t> find_by_number(const std::string& column) const {
    std::size_t number = 0;
    const auto parsed = std::from_chars(column.data(), column.data() + column.size(), number);
    const bool is_number = parsed.ec == std::errc() && parsed.ptr == column.data() + column.size();
    if (is_number && number >= 1 && number <= first_.fields.size()) return number - 1;
    return fail_at(file_, {1, 1}, fmt::format("there is no column \"{}\"", column),
                   fmt::format("Without a header the columns are 1 to {}.", first_.fields.size()));
  }

  const std::string& file_;
  bool has_header_;
  const storage::CsvRow& first_;
};

/// CSV and TSV.
class TableSource final : public Source {
 public:
  TableSource(std::vector<TableField> fields, TextParts parts, char separator, bool has_header)
      : fields_(std::move(fields)), parts_(std::move(parts)), separator_(separator), has_header_(has_header) {
    for (const TableField& field : fields_) {
      const bool is_text = field.form == Form::text;
      plans_.push_back({field.name, field.form,
                        is_text
                            ? std::vector<std::int64_t>{}
                            : std::vector<std::int64_t>{static_cast<std::int64_t>(field.columns.size())}});
    }
  }

  /// Reads the headers.
  Result<void> prepare() {
    for (TextParts::Part& part : parts_.parts()) {
      auto prepared = prepare_part(part);
      if (!prepared) return prepared;
    }
    parts_.number_records();
    content_ = parts_.content();
    return {};
  }

  std::uint64_t size() const override { return parts_.size(); }
  const std::vector<FieldPlan>& fields() const override { return plans_; }
  std::string place_of(std::uint64_t record) const override { return parts_.place_of(record); }
  const storage::Sha256& content() const override { return content_; }
  Result<void> check_unchanged(std::span<const std::uint64_t> records) const override {
    return parts_.check_unchanged(records);
  }

  Result<void> read(std::uint64_t record, Sample& sample) const override {
    const TextParts::Place place = parts_.place(record);
    const Columns& columns = columns_[static_cast<std::size_t>(&place.part - parts_.parts().data())];
    const auto bytes = parts_.view(place, sample.pin);
    if (!bytes) return tl::unexpected(bytes.error());
    const auto start = [&] { return storage::TextPosition{TextParts::line_of(place), 1}; };
    auto split = storage::read_csv_row(*bytes, separator_, place.part.file->name(), start, sample.row);
    if (!split) return split;
    if (sample.row.fields.size() != columns.count)
      return fail_ragged(place, *bytes, columns.count, sample.row);
    sample.fields.resize(fields_.size());
    const std::size_t* column = columns.of_fields.data();
    for (std::size_t f = 0; f < fields_.size(); ++f) {
      Value& value = sample.fields[f];
      value.form = fields_[f].form;
      value.shape = plans_[f].shape;
      if (value.form == Form::text) {
        value.text = sample.row.fields[*column];
        if (fields_[f].is_label && value.text.empty())
          return fail_field(place, *bytes, *column, sample.row,
                            fmt::format("the label (column \"{}\") is empty", fields_[f].columns.front()));
        ++column;
        continue;
      }
      value.numbers.resize(fields_[f].columns.size());
      for (std::size_t i = 0; i < value.numbers.size(); ++i, ++column) {
        if (read_number(sample.row.fields[*column], value.numbers[i])) continue;
        return fail_field(place, *bytes, *column, sample.row,
                          fmt::format("expected a number in column \"{}\"", fields_[f].columns[i]));
      }
    }
    return {};
  }

 private:
  struct Columns {
    std::size_t count = 0;
    std::vector<std::size_t> of_fields;  // one field's behind the other's
  };

  Result<void> prepare_part(TextParts::Part& part) {
    const std::string& file = part.file->name();
    const std::string names = fmt::format("\"{}\"", fmt::join(fields_.front().columns, "\", \""));
    const std::string expected =
        has_header_ ? fmt::format("The first line names the columns, {} among them.", names) : "";
    if (part.file->size() == 0) return fail_at(file, {1, 1}, "the file is empty", expected);
    if (part.index.size() == 0)
      return fail_at(file, {1, 1}, "the file holds nothing but blank lines", expected);
    const TextParts::Place place{part, 0};
    storage::FilePin pin;
    const auto bytes = parts_.view(place, pin);
    if (!bytes) return tl::unexpected(bytes.error());
    storage::CsvRow first;
    auto parsed = storage::parse_csv_row(*bytes, separator_, file, {TextParts::line_of(place), 1}, first);
    if (!parsed) return parsed;
    Columns columns;
    columns.count = first.fields.size();
    const ColumnFinder finder(file, has_header_, first);
    for (const TableField& field : fields_) {
      for (const std::string& name : field.columns) {
        const auto found = finder.find(name);
        if (!found) return tl::unexpected(found.error());
        columns.of_fields.push_back(*found);
      }
    }
    part.skipped = has_header_ ? 1 : 0;
    if (part.size() == 0) return fail_at(file, {first.end.line + 1, 1}, "no row after the header");
    columns_.push_back(std::move(columns));
    return {};
  }

  Result<void> fail_ragged(const TextParts::Place& place, std::string_view bytes, std::size_t count,
                           storage::CsvRow& row) const {
    const std::string& file = place.part.file->name();
    auto parsed = storage::parse_csv_row(bytes, separator_, file, {TextParts::line_of(place), 1}, row);
    if (!parsed) return parsed;
    const std::size_t got = row.fields.size();
    return fail_at(file, got > count ? row.slow[count].at : row.end,
                   fmt::format("expected {} fields as in the {}, got {}", count,
                               has_header_ ? "header" : "first row", got),
                   separator_ == ',' ? "A field that holds a comma or a newline must be in quotes."
                                     : "A field that holds a tab or a newline must be in quotes.");
  }

  Result<void> fail_field(const TextParts::Place& place, std::string_view bytes, std::size_t column,
                          storage::CsvRow& row, std::string what) const {
    const std::string& file = place.part.file->name();
    const std::string got(row.fields[column].substr(0, 40));
    auto parsed = storage::parse_csv_row(bytes, separator_, file, {TextParts::line_of(place), 1}, row);
    if (!parsed) return parsed;
    if (!got.empty()) what += fmt::format(", got \"{}\"", storage::escape_control_characters(got));
    return fail_at(file, row.slow[column].at, what);
  }

  std::vector<TableField> fields_;
  std::vector<FieldPlan> plans_;
  TextParts parts_;
  std::vector<Columns> columns_;  // of each part
  char separator_;
  bool has_header_;
  storage::Sha256 content_{};
};

}  // namespace

Result<std::unique_ptr<Source>> open_table_source(const scheduler::SourceSpec& spec,
                                                  std::span<const std::filesystem::path> files,
                                                  const SourceOptions& options) {
  auto fields = plan_table_fields(spec.columns, options.text_fields);
  if (!fields) return tl::unexpected(fields.error());
  using storage::RecordLayout;
  const RecordLayout layout = spec.format == "csv"   ? RecordLayout::csv
                              : spec.format == "tsv" ? RecordLayout::tsv
                                                     : RecordLayout::json_lines;
  auto parts = TextParts::open(files, layout, options.index_directory, options.threads);
  if (!parts) return tl::unexpected(parts.error());
  if (layout == RecordLayout::json_lines) return open_json_source(std::move(*fields), std::move(*parts));
  auto source = std::make_unique<TableSource>(std::move(*fields), std::move(*parts),
                                              layout == RecordLayout::tsv ? '\t' : ',', spec.header);
  auto prepared = source->prepare();
  if (!prepared) return tl::unexpected(prepared.error());
  return source;
}

}  // namespace ds::data

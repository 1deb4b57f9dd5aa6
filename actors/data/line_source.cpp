#include <fmt/format.h>

#include <optional>
#include <utility>

#include "actors/data/source.hpp"
#include "actors/data/text_parts.hpp"
#include "storage/dataset/csv_record.hpp"
#include "storage/text/utf8.hpp"

namespace ds::data {
namespace {

std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

/// A sample a line, its label on the same line of another file.
class LineSource final : public Source {
 public:
  LineSource(TextParts texts, std::optional<TextParts> labels)
      : texts_(std::move(texts)), labels_(std::move(labels)), fields_{{"text", Form::text, {}}} {
    storage::Sha256Hasher hasher;
    hasher.add(storage::to_view(texts_.content()));
    if (labels_) {
      hasher.add(storage::to_view(labels_->content()));
      fields_.push_back({"label", Form::text, {}});
    }
    content_ = hasher.finish();
  }

  std::uint64_t size() const override { return texts_.size(); }
  const std::vector<FieldPlan>& fields() const override { return fields_; }
  std::string place_of(std::uint64_t record) const override { return texts_.place_of(record); }
  const storage::Sha256& content() const override { return content_; }
  Result<void> check_unchanged(std::span<const std::uint64_t> records) const override {
    auto same = texts_.check_unchanged(records);
    return same && labels_ ? labels_->check_unchanged(records) : same;
  }

  Result<void> read(std::uint64_t record, Sample& sample) const override {
    sample.fields.resize(fields_.size());
    auto taken = take_line(texts_, record, sample.pin, sample.fields[0]);
    if (!taken || !labels_) return taken;
    taken = take_line(*labels_, record, sample.label_pin, sample.fields[1]);
    if (taken && sample.fields[1].text.empty())
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}:1: the label is empty", labels_->place_of(record)));
    return taken;
  }

 private:
  static Result<void> take_line(const TextParts& parts, std::uint64_t record, storage::FilePin& pin,
                                Value& value) {
    const TextParts::Place place = parts.place(record);
    const auto bytes = parts.view(place, pin);
    if (!bytes) return tl::unexpected(bytes.error());
    value.form = Form::text;
    value.shape.clear();
    value.text = without_line_end(*bytes);
    if (storage::is_utf8(value.text)) return {};
    std::size_t column = 1;
    for (std::string_view rest = value.text; !rest.empty(); ++column) {
      const std::size_t size = storage::utf8_character_size(rest);
      if (size == 0)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{}:{}:{}: byte 0x{:02X} is not UTF-8", place.part.file->name(),
                                TextParts::line_of(place), column, static_cast<unsigned char>(rest[0])),
                    "Save the file as UTF-8, for example with: iconv -f WINDOWS-1252 -t UTF-8");
      rest.remove_prefix(size);
    }
    return {};
  }

  TextParts texts_;
  std::optional<TextParts> labels_;
  std::vector<FieldPlan> fields_;
  storage::Sha256 content_{};
};

}  // namespace

Result<std::unique_ptr<Source>> open_line_source(std::span<const std::filesystem::path> files,
                                                 std::span<const std::filesystem::path> labels,
                                                 const SourceOptions& options) {
  const auto open = [&](std::span<const std::filesystem::path> paths) {
    return TextParts::open(paths, storage::RecordLayout::lines, options.index_directory, options.threads);
  };
  auto texts = open(files);
  if (!texts) return tl::unexpected(texts.error());
  std::optional<TextParts> beside;
  if (!labels.empty()) {
    auto opened = open(labels);
    if (!opened) return tl::unexpected(opened.error());
    if (opened->size() != texts->size())
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{} has {} lines, {} has {}: each text needs one label", files[0].string(),
                              texts->size(), labels[0].string(), opened->size()));
    beside = std::move(*opened);
  }
  return std::make_unique<LineSource>(std::move(*texts), std::move(beside));
}

}  // namespace ds::data

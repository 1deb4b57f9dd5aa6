#include <fmt/format.h>

#include <array>
#include <utility>

#include "actors/data/source.hpp"
#include "storage/dataset/source_files.hpp"

namespace ds::data {
namespace {

/// How a format's files end, first ones of the formats that others are told by.
struct Format {
  std::string_view name;
  std::array<std::string_view, 3> endings;
};

constexpr std::array<Format, 10> kFormats{{{"csv", {".csv"}},
                                           {"tsv", {".tsv", ".tab"}},
                                           {"jsonl", {".jsonl", ".ndjson"}},
                                           {"text", {".txt"}},
                                           {"idx", {"-ubyte", ".idx"}},
                                           {"image_folder", {".jpg", ".jpeg", ".png"}},
                                           {"npy", {".npy"}},
                                           {"npz", {".npz"}},
                                           {"nifti", {".nii"}},
                                           {"raw", {".raw"}}}};

const Format* find_format(const scheduler::SourceSpec& spec) {
  for (const Format& format : kFormats) {
    if (spec.format == format.name) return &format;
  }
  if (!spec.format.empty() || spec.paths.empty()) return nullptr;
  std::string_view path = spec.paths.front();
  for (const std::string_view packed : {".gz", ".zst"}) {
    if (path.ends_with(packed)) path.remove_suffix(packed.size());
  }
  for (const Format& format : kFormats) {
    for (const std::string_view ending : format.endings) {
      if (!ending.empty() && path.ends_with(ending)) return &format;
    }
  }
  std::error_code error;
  return std::filesystem::is_directory(spec.paths.front(), error) ? &kFormats[5] : nullptr;
}

/// A range of another source's records.
class RecordsOf final : public Source {
 public:
  RecordsOf(std::unique_ptr<Source> whole, std::uint64_t from, std::uint64_t to)
      : whole_(std::move(whole)), from_(from), size_(to - from) {}

  std::uint64_t size() const override { return size_; }
  const std::vector<FieldPlan>& fields() const override { return whole_->fields(); }
  Result<void> read(std::uint64_t record, Sample& sample) const override {
    return whole_->read(from_ + record, sample);
  }
  Result<void> read_label(std::uint64_t record, Sample& sample) const override {
    return whole_->read_label(from_ + record, sample);
  }
  std::string place_of(std::uint64_t record) const override { return whole_->place_of(from_ + record); }
  Result<void> check_unchanged(std::span<const std::uint64_t> records) const override {
    std::vector<std::uint64_t> moved(records.begin(), records.end());
    for (std::uint64_t& record : moved) record += from_;
    return whole_->check_unchanged(moved);
  }
  const storage::Sha256& content() const override { return whole_->content(); }
  void set_enough(storage::ImageSize size) override { whole_->set_enough(size); }

 private:
  std::unique_ptr<Source> whole_;
  std::uint64_t from_, size_;
};

Result<std::unique_ptr<Source>> open_whole(const scheduler::SourceSpec& spec, const std::string& name,
                                           const SourceOptions& options) {
  const Format* format = find_format(spec);
  if (format == nullptr)
    return fail(ErrorCode::invalid_argument,
                spec.format.empty() ? fmt::format("{}: the file's name does not tell its format", name)
                                    : fmt::format("{}.format: unknown format \"{}\"", name, spec.format),
                "Give format: csv, tsv, jsonl, text, idx, image_folder, npy, npz, nifti or raw.");
  std::vector<std::string_view> endings;
  for (const std::string_view ending : format->endings) {
    if (!ending.empty()) endings.push_back(ending);
  }
  const auto files = storage::find_source_files(spec.paths, endings);
  if (!files) return tl::unexpected(files.error());
  std::vector<std::filesystem::path> labels;
  if (!spec.labels.empty()) {
    auto found = storage::find_source_files(spec.labels, endings);
    if (!found) return tl::unexpected(found.error());
    labels = std::move(*found);
  }
  if (format->name == "csv" || format->name == "tsv" || format->name == "jsonl") {
    scheduler::SourceSpec table = spec;
    table.format = format->name;
    return open_table_source(table, *files, options);
  }
  if (format->name == "text") return open_line_source(*files, labels, options);
  if (format->name == "image_folder") return open_image_source(*files, options);
  if (format->name == "nifti") return open_volume_source(*files, labels, options);
  scheduler::SourceSpec arrays = spec;
  arrays.format = format->name;
  return open_array_source(arrays, *files, labels);
}

}  // namespace

Result<std::unique_ptr<Source>> open_source(const scheduler::SourceSpec& spec, const std::string& name,
                                            const SourceOptions& options) {
  auto whole = open_whole(spec, name, options);
  if (!whole) return whole;
  const std::uint64_t size = (*whole)->size();
  const std::uint64_t to = spec.records.to.value_or(size);
  if (spec.records.from >= to || to > size) {
    if (size == 0) return fail(ErrorCode::invalid_argument, fmt::format("{}: there is no record", name));
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}.records: {} to {} of the {} records that there are", name, spec.records.from,
                            to, size));
  }
  if (spec.records.from == 0 && to == size) return whole;
  return std::make_unique<RecordsOf>(std::move(*whole), spec.records.from, to);
}

}  // namespace ds::data

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "actors/data/array_field.hpp"
#include "actors/data/source.hpp"
#include "actors/data/text_parts.hpp"

namespace ds::data {
namespace {

constexpr std::size_t kArrayCacheBytes = std::size_t{64} << 20;

using Parts = std::vector<ArrayField::Part>;

/// Bytes without a header: as many samples as fit, and nothing behind them.
Result<storage::ArrayLayout> raw_layout(const storage::DataFile& file, const scheduler::SourceSpec& spec) {
  storage::ArrayLayout layout;
  const auto number = storage::number_of_name(spec.element);
  if (!number)
    return fail(ErrorCode::invalid_argument, fmt::format("element: unknown element \"{}\"", spec.element),
                "Such as uint8, int16 or float32; bytes are little-endian.");
  layout.number = *number;
  layout.shape = {1};
  for (const std::int64_t extent : spec.shape) {
    if (extent < 1) return fail(ErrorCode::invalid_argument, fmt::format("shape: the extent {}", extent));
    layout.shape.push_back(static_cast<std::uint64_t>(extent));
  }
  const auto count = storage::count_of(layout.shape);
  const std::uint64_t bytes = count.value_or(0) * storage::bytes_of(layout.number);
  if (bytes == 0 || file.size() == 0 || file.size() % bytes != 0)
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: its {} bytes are no whole number of samples of {} bytes", file.name(),
                            file.size(), bytes),
                "Do shape and element say what the file holds? Is the file cut off?");
  layout.shape[0] = file.size() / bytes;
  return layout;
}

Result<Parts> open_parts(std::span<const std::filesystem::path> files, const scheduler::SourceSpec& spec,
                         bool is_label, const std::shared_ptr<storage::PieceCache>& cache) {
  Parts parts;
  for (const std::filesystem::path& path : files) {
    auto file = storage::DataFile::open(path, cache);
    if (!file) return tl::unexpected(file.error());
    Result<storage::ArrayLayout> layout;
    if (spec.format == "idx")
      layout = storage::read_idx_layout(**file);
    else if (spec.format == "npy" || (is_label && path.extension() == ".npy"))
      layout = storage::read_npy_layout(**file);
    else
      layout = raw_layout(**file, spec);
    if (!layout) return tl::unexpected(layout.error());
    parts.push_back({std::move(*file), std::move(*layout)});
  }
  return parts;
}

/// Arrays of numbers: IDX, .npy, .npz and raw files.
class ArraySource final : public Source {
 public:
  explicit ArraySource(std::vector<ArrayField> fields) : fields_(std::move(fields)) {
    for (const ArrayField& field : fields_) plans_.push_back(field.plan());
  }

  Result<void> prepare() {
    storage::Sha256Hasher hasher;
    for (const ArrayField& field : fields_) {
      if (field.size() != fields_.front().size())
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{} has {} samples, {} has {}", fields_.front().parts().front().file->name(),
                                fields_.front().size(), field.parts().front().file->name(), field.size()));
      for (const ArrayField::Part& part : field.parts()) {
        const auto sum = part.file->sum();
        if (!sum) return tl::unexpected(sum.error());
        hasher.add(storage::to_view(*sum));
      }
    }
    content_ = hasher.finish();
    return {};
  }

  std::uint64_t size() const override { return fields_.front().size(); }
  const std::vector<FieldPlan>& fields() const override { return plans_; }
  const storage::Sha256& content() const override { return content_; }
  std::string place_of(std::uint64_t record) const override { return fields_.front().place_of(record); }

  Result<void> read(std::uint64_t record, Sample& sample) const override {
    sample.fields.resize(fields_.size());
    for (std::size_t f = 0; f < fields_.size(); ++f) {
      auto taken = fields_[f].read(record, f == 0 ? sample.pin : sample.label_pin, sample.fields[f]);
      if (!taken) return taken;
    }
    return {};
  }

  Result<void> read_label(std::uint64_t record, Sample& sample) const override {
    sample.fields.resize(fields_.size());
    return fields_.back().read(record, sample.label_pin, sample.fields.back());
  }

  Result<void> check_unchanged(std::span<const std::uint64_t> records) const override {
    for (const ArrayField& field : fields_) {
      auto same = check_each_part(
          records, [&](std::uint64_t record) { return field.part_of(record); },
          [&](std::size_t part) { return field.parts()[part].file->check_unchanged(); });
      if (!same) return same;
    }
    return {};
  }

 private:
  std::vector<ArrayField> fields_;
  std::vector<FieldPlan> plans_;
  storage::Sha256 content_{};
};

/// Each field is an array of the archive; several archives are one behind the other.
Result<std::vector<ArrayField>> open_npz_fields(const scheduler::SourceSpec& spec,
                                                std::span<const std::filesystem::path> files,
                                                const std::shared_ptr<storage::PieceCache>& cache) {
  std::vector<scheduler::FieldColumns> columns = spec.columns;
  std::stable_partition(columns.begin(), columns.end(),
                        [](const auto& column) { return column.field != "label"; });
  std::vector<std::string> names;
  for (const scheduler::FieldColumns& column : columns) {
    if (column.columns.size() != 1)
      return fail(ErrorCode::invalid_argument,
                  fmt::format("columns.{}: expected the name of one array", column.field));
    names.push_back(column.columns.front());
  }
  if (names.empty())
    return fail(ErrorCode::invalid_argument,
                "columns: a .npz source needs to know which arrays make the sample",
                "Such as columns: {image: x, label: y}.");
  std::vector<Parts> parts(names.size());
  for (const std::filesystem::path& file : files) {
    auto arrays = storage::open_npz(file, names, cache);
    if (!arrays) return tl::unexpected(arrays.error());
    for (std::size_t i = 0; i < names.size(); ++i) {
      auto layout = storage::read_npy_layout(*(*arrays)[i]);
      if (!layout) return tl::unexpected(layout.error());
      parts[i].push_back({std::move((*arrays)[i]), std::move(*layout)});
    }
  }
  std::vector<ArrayField> fields;
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto field = ArrayField::make(columns[i].field, std::move(parts[i]));
    if (!field) return tl::unexpected(field.error());
    fields.push_back(std::move(*field));
  }
  return fields;
}

Result<std::vector<ArrayField>> open_fields(const scheduler::SourceSpec& spec,
                                            std::span<const std::filesystem::path> files,
                                            std::span<const std::filesystem::path> labels,
                                            const std::shared_ptr<storage::PieceCache>& cache) {
  if (spec.format == "npz") return open_npz_fields(spec, files, cache);
  auto parts = open_parts(files, spec, false, cache);
  if (!parts) return tl::unexpected(parts.error());
  auto field = ArrayField::make("", std::move(*parts));
  if (!field) return tl::unexpected(field.error());
  std::vector<ArrayField> fields;
  fields.push_back(std::move(*field));
  if (labels.empty()) return fields;
  scheduler::SourceSpec label_spec = spec;
  if (spec.format == "raw") {
    // Masks of bytes, as large as the image without its channels.
    const std::vector<std::int64_t>& shape = fields.front().plan().shape;
    label_spec.shape.assign(shape.begin() + (shape.size() > 2 ? 1 : 0), shape.end());
    label_spec.element = "uint8";
  }
  auto label_parts = open_parts(labels, label_spec, true, cache);
  if (!label_parts) return tl::unexpected(label_parts.error());
  auto label = ArrayField::make("label", std::move(*label_parts));
  if (!label) return tl::unexpected(label.error());
  fields.push_back(std::move(*label));
  return fields;
}

}  // namespace

Result<std::unique_ptr<Source>> open_array_source(const scheduler::SourceSpec& spec,
                                                  std::span<const std::filesystem::path> files,
                                                  std::span<const std::filesystem::path> labels) {
  auto fields = open_fields(spec, files, labels, std::make_shared<storage::PieceCache>(kArrayCacheBytes));
  if (!fields) return tl::unexpected(fields.error());
  auto source = std::make_unique<ArraySource>(std::move(*fields));
  auto prepared = source->prepare();
  if (!prepared) return tl::unexpected(prepared.error());
  return source;
}

}  // namespace ds::data

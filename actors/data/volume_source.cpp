#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "actors/data/small_files.hpp"
#include "actors/data/source.hpp"
#include "storage/dataset/nifti.hpp"
#include "storage/dataset/unpack.hpp"

namespace ds::data {
namespace {

constexpr std::uint64_t kMaxVolumeBytes = std::uint64_t{2} << 30;

/// A NIfTI-1 volume a sample, its mask in a file of its own.
class VolumeSource final : public Source {
 public:
  VolumeSource(SmallFiles volumes, std::optional<SmallFiles> masks)
      : volumes_(std::move(volumes)), masks_(std::move(masks)) {}

  Result<void> prepare(std::uint32_t threads) {
    std::vector<std::int64_t> shape{1, 0, 0, 0};
    const auto content = look_at_headers(volumes_, threads, &shape);
    if (!content) return tl::unexpected(content.error());
    fields_ = {{"image", Form::numbers, shape}};
    storage::Sha256Hasher hasher;
    hasher.add(storage::to_view(*content));
    if (masks_) {
      const auto of_masks = look_at_headers(*masks_, threads, nullptr);
      if (!of_masks) return tl::unexpected(of_masks.error());
      hasher.add(storage::to_view(*of_masks));
      fields_.push_back({"label", Form::whole, {shape.begin() + 1, shape.end()}});
    }
    content_ = hasher.finish();
    return {};
  }

  std::uint64_t size() const override { return volumes_.size(); }
  const std::vector<FieldPlan>& fields() const override { return fields_; }
  std::string place_of(std::uint64_t record) const override { return volumes_.name(record); }
  const storage::Sha256& content() const override { return content_; }
  /// Each file is checked when it is read.
  Result<void> check_unchanged(std::span<const std::uint64_t>) const override { return {}; }

  Result<void> read(std::uint64_t record, Sample& sample) const override {
    sample.fields.resize(fields_.size());
    Value& image = sample.fields[0];
    image.form = Form::numbers;
    image.has_pixels = false;
    const auto layout = unpack(volumes_, record, sample);
    if (!layout) return tl::unexpected(layout.error());
    image.numbers.resize(layout->count());
    auto taken =
        storage::read_nifti_voxels(sample.unpacked, *layout, volumes_.name(record), std::span(image.numbers));
    if (!taken) return taken;
    image.shape.assign({1, static_cast<std::int64_t>(layout->depth),
                        static_cast<std::int64_t>(layout->height), static_cast<std::int64_t>(layout->width)});
    return masks_ ? read_label(record, sample) : Result<void>();
  }

  Result<void> read_label(std::uint64_t record, Sample& sample) const override {
    sample.fields.resize(fields_.size());
    if (!masks_) return {};
    Value& mask = sample.fields[1];
    mask.form = Form::whole;
    const auto layout = unpack(*masks_, record, sample);
    if (!layout) return tl::unexpected(layout.error());
    mask.whole.resize(layout->count());
    mask.shape.assign({static_cast<std::int64_t>(layout->depth), static_cast<std::int64_t>(layout->height),
                       static_cast<std::int64_t>(layout->width)});
    return storage::read_nifti_voxels(sample.unpacked, *layout, masks_->name(record), std::span(mask.whole));
  }

 private:
  /// One that is no volume, or a damaged one, is for the reader of its sample to judge.
  static Result<storage::Sha256> look_at_headers(const SmallFiles& files, std::uint32_t threads,
                                                 std::vector<std::int64_t>* shape) {
    std::vector<std::optional<storage::NiftiLayout>> layouts(files.size());
    auto content = files.look_at_all(threads, [&](std::size_t i, std::string_view bytes) -> Result<void> {
      std::string front;
      auto unpacked =
          storage::unpack_bytes(bytes, files.name(i), kMaxVolumeBytes, storage::kNiftiHeaderBytes, front);
      if (!unpacked) return {};
      const auto layout = storage::read_nifti_layout(front, files.name(i));
      if (layout) layouts[i] = *layout;
      return {};
    });
    if (!content || shape == nullptr) return content;
    bool is_first = true;
    for (const auto& layout : layouts) {
      if (!layout) continue;
      const std::uint64_t extents[] = {layout->depth, layout->height, layout->width};
      for (std::size_t i = 0; i < 3; ++i) {
        std::int64_t& known = (*shape)[i + 1];
        if (is_first) known = static_cast<std::int64_t>(extents[i]);
        if (known != static_cast<std::int64_t>(extents[i])) known = kAnyExtent;
      }
      is_first = false;
    }
    if (is_first) std::fill(shape->begin() + 1, shape->end(), kAnyExtent);
    return content;
  }

  static Result<storage::NiftiLayout> unpack(const SmallFiles& files, std::uint64_t record, Sample& sample) {
    auto taken = storage::read_small_file(files[record], sample.file);
    if (!taken) return tl::unexpected(taken.error());
    const std::string name = files.name(record);
    auto unpacked = storage::unpack_bytes(sample.file, name, kMaxVolumeBytes, UINT64_MAX, sample.unpacked);
    if (!unpacked) return tl::unexpected(unpacked.error());
    auto layout = storage::read_nifti_layout(sample.unpacked, name);
    // Before anybody makes room for what the header promises.
    if (layout && layout->count() > sample.unpacked.size())
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{}: the file ends after {} bytes, its header tells of {} voxels", name,
                              sample.unpacked.size(), layout->count()),
                  "It is cut off or damaged; fetch it again.");
    return layout;
  }

  SmallFiles volumes_;
  std::optional<SmallFiles> masks_;
  std::vector<FieldPlan> fields_;
  storage::Sha256 content_{};
};

}  // namespace

Result<std::unique_ptr<Source>> open_volume_source(std::span<const std::filesystem::path> files,
                                                   std::span<const std::filesystem::path> labels,
                                                   const SourceOptions& options) {
  auto volumes = SmallFiles::open(files);
  if (!volumes) return tl::unexpected(volumes.error());
  std::optional<SmallFiles> masks;
  if (!labels.empty()) {
    auto opened = SmallFiles::open(labels);
    if (!opened) return tl::unexpected(opened.error());
    if (opened->size() != volumes->size())
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{} volumes and {} masks: each volume needs one, in the order of their names",
                              volumes->size(), opened->size()));
    masks = std::move(*opened);
  }
  auto source = std::make_unique<VolumeSource>(std::move(*volumes), std::move(masks));
  auto prepared = source->prepare(options.threads);
  if (!prepared) return tl::unexpected(prepared.error());
  return source;
}

}  // namespace ds::data

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "actors/data/small_files.hpp"
#include "actors/data/source.hpp"
#include "storage/dataset/image_file.hpp"

namespace ds::data {
namespace {

/// Images in folders that are called as their class.
class ImageSource final : public Source {
 public:
  explicit ImageSource(SmallFiles files) : files_(std::move(files)) {}

  /// Reads all headers: grey images only are given with one channel, else all with three.
  Result<void> prepare(std::uint32_t threads) {
    std::vector<storage::ImageSize> sizes(files_.size());
    const auto content =
        files_.look_at_all(threads, [&](std::size_t i, std::string_view bytes) -> Result<void> {
          const auto size = storage::read_image_size(bytes, files_.name(i));
          // A damaged one is for the reader of its sample to judge, as `on_bad_record` says.
          if (size) sizes[i] = *size;
          return {};
        });
    if (!content) return tl::unexpected(content.error());
    storage::Sha256Hasher hasher;
    hasher.add(storage::to_view(*content));
    for (std::size_t i = 0; i < files_.size(); ++i)
      hasher.add(class_of(i)).add("/").add(files_[i].path.filename().string()).add("/");
    content_ = hasher.finish();
    storage::ImageSize common;
    bool is_first = true;
    for (const storage::ImageSize& size : sizes) {
      if (size.channels == 0) continue;
      channels_ = std::max(channels_, size.channels);
      if (is_first) common = size;
      is_first = false;
      if (size.height != common.height) common.height = 0;
      if (size.width != common.width) common.width = 0;
    }
    const auto extent = [](std::uint32_t e) { return e == 0 ? kAnyExtent : std::int64_t{e}; };
    fields_ = {{"image", Form::numbers, {channels_, extent(common.height), extent(common.width)}},
               {"label", Form::text, {}}};
    return {};
  }

  std::uint64_t size() const override { return files_.size(); }
  const std::vector<FieldPlan>& fields() const override { return fields_; }
  std::string place_of(std::uint64_t record) const override { return files_.name(record); }
  const storage::Sha256& content() const override { return content_; }
  void set_enough(storage::ImageSize size) override { enough_ = size; }
  /// Each file is checked when it is read.
  Result<void> check_unchanged(std::span<const std::uint64_t>) const override { return {}; }

  Result<void> read(std::uint64_t record, Sample& sample) const override {
    auto labelled = read_label(record, sample);
    if (!labelled) return labelled;
    auto taken = storage::read_small_file(files_[record], sample.file);
    if (!taken) return taken;
    auto decoded =
        storage::decode_image(sample.file, files_.name(record), channels_, enough_, sample.decoded);
    if (!decoded) return decoded;
    Value& image = sample.fields[0];
    image.form = Form::numbers;
    image.pixels.swap(sample.decoded.bytes);
    image.has_pixels = true;
    image.shape.assign({std::int64_t{channels_}, std::int64_t{sample.decoded.size.height},
                        std::int64_t{sample.decoded.size.width}});
    return {};
  }

  Result<void> read_label(std::uint64_t record, Sample& sample) const override {
    sample.fields.resize(2);
    sample.texts.resize(1);
    sample.texts[0] = class_of(record);
    sample.fields[1].form = Form::text;
    sample.fields[1].shape.clear();
    sample.fields[1].text = sample.texts[0];
    return {};
  }

 private:
  std::string class_of(std::size_t number) const {
    return files_[number].path.parent_path().filename().string();
  }

  SmallFiles files_;
  std::vector<FieldPlan> fields_;
  std::uint32_t channels_ = 1;
  storage::ImageSize enough_;
  storage::Sha256 content_{};
};

}  // namespace

Result<std::unique_ptr<Source>> open_image_source(std::span<const std::filesystem::path> files,
                                                  const SourceOptions& options) {
  auto opened = SmallFiles::open(files);
  if (!opened) return tl::unexpected(opened.error());
  auto source = std::make_unique<ImageSource>(std::move(*opened));
  auto prepared = source->prepare(options.threads);
  if (!prepared) return tl::unexpected(prepared.error());
  return source;
}

}  // namespace ds::data

#include <gtest/gtest.h>

#include <random>

#include "array_files.hpp"
#include "files.hpp"
#include "packed_files.hpp"

namespace ds::data {
namespace {

using scheduler::DataSpec;

/// Opens and reads all there is; whatever comes out, nothing may crash and errors must say something.
void read_all(const DataSpec& spec) {
  const auto data = Dataset::open_training(spec, {});
  if (!data) {
    EXPECT_FALSE(data.error().message.empty());
    return;
  }
  const Draw draw{1, 2, 3, 4};
  for (std::uint64_t i = 0; i < std::min<std::uint64_t>((*data)->size(), 8); ++i) {
    const auto batch = (*data)->make_batch(std::vector<std::uint64_t>{i}, draw);
    EXPECT_TRUE(batch || !batch.error().message.empty());
    EXPECT_FALSE((*data)->place_of(i).empty());
  }
}

/// Flips, overwrites, cuts and doubles parts of the file, many times.
void damage(const DataFolder& folder, const std::string& name, const DataSpec& spec, int rounds = 300) {
  const std::string whole = read_bytes(folder / name);
  std::mt19937 random(static_cast<std::uint32_t>(whole.size()));
  constexpr unsigned char kNasty[] = {0, 1, 0x7F, 0x80, 0xFF, '"', ',', '\n', '{', '['};
  for (int round = 0; round < rounds; ++round) {
    std::string bytes = whole;
    for (std::uint32_t n = 1 + random() % 4; n > 0 && !bytes.empty(); --n) {
      const std::size_t at =
          random() % (random() % 2 == 0 ? bytes.size() : std::min<std::size_t>(bytes.size(), 64));
      switch (random() % 4) {
        case 0:
          bytes[at] = static_cast<char>(bytes[at] ^ (1U << random() % 8));
          break;
        case 1:
          bytes[at] = static_cast<char>(kNasty[random() % std::size(kNasty)]);
          break;
        case 2:
          bytes.resize(at);
          break;
        default:
          bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 64));
      }
    }
    folder.write(name, bytes);
    read_all(spec);
  }
  folder.write(name, whole);
}

TEST(DamagedFiles, OfTextNeverCrash) {
  const DataFolder folder;
  for (const auto& [name, content] : std::vector<std::pair<std::string, std::string>>{
           {"a.csv", "text,label\n\"a \"\"b\"\"\nc\",x\r\nd,y\n\ne f g,x\n"},
           {"a.tsv", "text\tlabel\n\"a\tb\"\tx\nd\ty\n"},
           {"a.jsonl", "{\"text\":\"a b\",\"label\":1}\n{\"text\":\"\\u00e4\",\"label\":\"x\"}\n"}}) {
    for (int packing = 0; packing < 3; ++packing) {
      folder.write(name, packing == 0 ? content : packing == 1 ? to_gzip(content) : to_zstd(content));
      DataSpec spec;
      spec.train = {.paths = {folder / name}, .columns = {{"text", {"text"}}, {"label", {"label"}}}};
      spec.transforms = {transform(scheduler::Tokenize{"byte_pair", 50}),
                         transform(scheduler::PadSequences{4})};
      spec.on_bad_record = {packing == 0, 3};
      damage(folder, name, spec);
    }
  }
}

TEST(DamagedFiles, OfArraysNeverCrash) {
  const DataFolder folder;
  DataSpec spec;
  folder.write("x.idx", make_idx({3, 2, 2}, "123456789012"));
  folder.write("y.idx", make_idx({3}, "123"));
  spec.train = {.paths = {folder / "x.idx"}, .labels = {folder / "y.idx"}};
  spec.transforms = {transform(scheduler::Resize{{3, 3}}), transform(scheduler::Rotate{})};
  damage(folder, "x.idx", spec);
  damage(folder, "y.idx", spec);

  spec = {};
  folder.write("x.npy", make_npy("<f4", "(2, 3, 4)", std::string(96, '\x11')));
  spec.train = {.paths = {folder / "x.npy"}};
  damage(folder, "x.npy", spec);

  spec.train = {.paths = {folder / "x.npz"}, .columns = {{"image", {"x"}}}};
  write_zip(folder / "x.npz", {{"x.npy", make_npy("<f4", "(2, 3, 4)", std::string(96, '\x11'))}});
  damage(folder, "x.npz", spec);
}

TEST(DamagedFiles, OfVolumesNeverCrash) {
  const DataFolder folder;
  DataSpec spec;
  folder.write("v/1.nii", make_nifti(3, 2, 2, 16, std::string(48, '\x40')));
  folder.write("m/1.nii", make_nifti(3, 2, 2, 2, std::string(12, '\x01')));
  spec.train = {.paths = {folder / "v"}, .format = "nifti", .labels = {folder / "m"}};
  spec.transforms = {transform(scheduler::Crop{{2, 2, 2}}), transform(scheduler::ElasticDeform{2, 1})};
  damage(folder, "v/1.nii", spec, 600);
  damage(folder, "m/1.nii", spec, 600);
  folder.write("v/1.nii", to_gzip(read_bytes(folder / "v/1.nii")));
  damage(folder, "v/1.nii", spec);
}

TEST(DamagedFiles, OfImagesNeverCrash) {
  const DataFolder folder;
  std::vector<std::uint8_t> pixels(24 * 20 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 31);
  DataSpec spec;
  spec.train = {.paths = {folder / "set"}, .format = "image_folder"};
  spec.transforms = {transform(scheduler::Resize{{8, 8}})};
  folder.write("set/a/1.png", to_png(24, 20, true, pixels));
  damage(folder, "set/a/1.png", spec, 600);
  folder.write("set/a/1.png", to_jpeg(24, 20, true, pixels));
  damage(folder, "set/a/1.png", spec, 600);
}

}  // namespace
}  // namespace ds::data

#include <gtest/gtest.h>

#include "array_files.hpp"
#include "files.hpp"
#include "packed_files.hpp"

namespace ds::data {
namespace {

using scheduler::DataSpec;

TEST(IdxSource, ScalesImagesAndNumbersClassesPackedOrNot) {
  const DataFolder folder;
  const std::string images =
      make_idx({3, 2, 2}, std::string("\x00\x33\xFF\x00\x01\x02\x03\x04\xFF\xFF\xFF\xFF", 12));
  const std::string labels = make_idx({3}, std::string("\x05\x00\x05", 3));
  for (const auto& pack : {to_gzip, to_zstd}) {
    DataSpec spec;
    spec.train = {.paths = {folder.write("x-ubyte.gz", pack(images))},
                  .labels = {folder.write("y-ubyte.gz", pack(labels))}};
    const auto data = open_or_fail(spec);
    ASSERT_NE(data, nullptr);
    const Batch batch = whole_batch(*data);
    EXPECT_EQ(batch.find("image")->shape, (std::vector<std::int64_t>{3, 1, 2, 2}));
    EXPECT_FLOAT_EQ(floats_of(batch, "image")[1], 0.2F);
    EXPECT_EQ(floats_of(batch, "image")[2], 1.0F);
    EXPECT_EQ(wholes_of(batch, "label"), (std::vector<std::int64_t>{1, 0, 1}));
    EXPECT_EQ(data->preprocessing().labels, (std::vector<std::string>{"0", "5"}));
    EXPECT_EQ(folder.plain(data->place_of(2)), "x-ubyte.gz record 2");
  }
}

TEST(IdxSource, SaysWhatIsWrongWithAFile) {
  const DataFolder folder;
  DataSpec spec;
  spec.train = {.paths = {folder / "x.idx"}};
  const auto error = [&](const std::string& bytes) {
    folder.write("x.idx", bytes);
    return folder.plain(error_of_opening(spec));
  };
  EXPECT_EQ(error("abc"), "x.idx is no IDX file: it does not begin with 0, 0, a type and a rank");
  EXPECT_EQ(error(make_idx({3, 2, 2}, "short")),
            "x.idx: the header tells of more data than the file's 21 bytes hold");
  const std::string whole = to_gzip(make_idx({1, 2, 2}, "1234"));
  EXPECT_EQ(error(whole.substr(0, whole.size() - 9)),
            "x.idx: the file ends in the midst of its packed bytes");
  EXPECT_EQ(error("\x1F\x8B\xFF\xFF\xFF\xFF"),
            "x.idx: the gzip stream is damaged (unknown compression method)");
  folder.write("x.idx", make_idx({2, 2, 2}, "12345678"));
  spec.train.labels = {folder.write("y.idx", make_idx({1}, "1"))};
  EXPECT_EQ(folder.plain(error_of_opening(spec)), "x.idx has 2 samples, y.idx has 1");
}

TEST(NpySource, ReadsFeaturesImagesVolumesAndMasks) {
  const DataFolder folder;
  DataSpec spec;
  spec.train = {
      .paths = {folder.write("x.npy", make_npy("<f8", "(2, 3)", raw_bytes<double>({1, 2, 3, 4, 5, 6})))},
      .labels = {folder.write("y.npy", make_npy("<i4", "(2,)", raw_bytes<std::int32_t>({7, 3})))}};
  auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(floats_of(whole_batch(*data), "features"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(wholes_of(whole_batch(*data), "label"), (std::vector<std::int64_t>{1, 0}));

  // Channels behind the pixels are moved in front.
  spec.train = {.paths = {folder.write("x.npy", make_npy("|u1", "(1, 5, 1, 3)", std::string(15, '\xFF')))}};
  data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->fields()[0], (FieldShape{"image", Element::float32, {3, 5, 1}}));
  EXPECT_EQ(floats_of(whole_batch(*data), "image"), std::vector<float>(15, 1.0F));

  spec.train = {.paths = {folder.write("x.npy", make_npy(">f4", "(1, 5, 1, 5)", std::string(100, '\0')))},
                .labels = {folder.write(
                    "y.npy", make_npy("<i8", "(1, 5, 1, 5)", raw_bytes(std::vector<std::int64_t>(25, 2))))}};
  data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->fields()[0], (FieldShape{"image", Element::float32, {1, 5, 1, 5}}));
  EXPECT_EQ(data->fields()[1], (FieldShape{"label", Element::int64, {5, 1, 5}}));
  EXPECT_EQ(data->class_counts(), (std::vector<std::uint64_t>{25}));
}

TEST(NpySource, RefusesWhatItCannotRead) {
  const DataFolder folder;
  DataSpec spec;
  spec.train = {.paths = {folder / "x.npy"}};
  const auto error = [&](const std::string& bytes) {
    folder.write("x.npy", bytes);
    return folder.plain(error_of_opening(spec));
  };
  EXPECT_EQ(error("nothing like it"), "x.npy: no .npy file: it does not begin with \\x93NUMPY");
  EXPECT_EQ(error(make_npy("|O", "(1,)", "x")), "x.npy: elements of the type '|O' are not supported");
  EXPECT_EQ(error(make_npy("<f4", "(2, 2)", std::string(16, 0), "True")),
            "x.npy: the array is in Fortran order");
  EXPECT_EQ(error(make_npy("<f4", "(2, 2)", std::string(15, 0))),
            "x.npy: the header tells of more data than the file's 143 bytes hold");
  EXPECT_EQ(error(make_npy("<f4", "(99999999999, 99999999999)", "")),
            "x.npy: the header tells of more data than the file's 128 bytes hold");
}

TEST(NpzSource, TakesFieldsFromTheArchivesArrays) {
  const DataFolder folder;
  write_zip(folder / "a.npz", {{"x.npy", make_npy("<f4", "(2, 1)", raw_bytes<float>({1, 2}))},
                               {"y.npy", make_npy("<i8", "(2,)", raw_bytes<std::int64_t>({1, 0}))}});
  DataSpec spec;
  spec.train = {.paths = {folder / "a.npz"}, .columns = {{"label", {"y"}}, {"features", {"x"}}}};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(floats_of(whole_batch(*data), "features"), (std::vector<float>{1, 2}));
  EXPECT_EQ(wholes_of(whole_batch(*data), "label"), (std::vector<std::int64_t>{1, 0}));
  spec.train.columns[1].columns = {"X"};
  EXPECT_EQ(folder.plain(error_of_opening(spec)), "a.npz: the archive has no array \"X\"");
  const std::string whole = read_bytes(folder / "a.npz");
  folder.write("a.npz", whole.substr(0, whole.size() / 2));
  EXPECT_EQ(folder.plain(error_of_opening(spec)).substr(0, 41), "a.npz: no .npz archive that can be read: ");
}

TEST(RawSource, CutsAFileIntoSamples) {
  const DataFolder folder;
  DataSpec spec;
  spec.train = {.paths = {folder.write("x.raw", raw_bytes<std::int16_t>({1, -2, 3, 4}))},
                .labels = {folder.write("y.raw", std::string("\x01\x00", 2))},
                .shape = {2},
                .element = "int16"};
  // Labels of features are bytes of the features' shape: two a sample.
  EXPECT_EQ(folder.plain(error_of_opening(spec)), "x.raw has 2 samples, y.raw has 1");
  spec.train.labels.clear();
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(floats_of(whole_batch(*data), "features"), (std::vector<float>{1, -2, 3, 4}));
  spec.train.shape = {3};
  EXPECT_EQ(folder.plain(error_of_opening(spec)),
            "x.raw: its 8 bytes are no whole number of samples of 6 bytes");
}

TEST(NiftiSource, ReadsVolumesWithMasksOfDifferentSizes) {
  const DataFolder folder;
  folder.write("v/1.nii", make_nifti(2, 1, 2, 2, std::string("\x01\x02\x03\x04", 4), 2, 1));
  folder.write("v/2.nii.gz", to_gzip(make_nifti(2, 1, 2, 16, raw_bytes<float>({5, 6, 7, 8}))));
  folder.write("m/1.nii", make_nifti(2, 1, 2, 2, std::string("\x00\x00\x00\x02", 4)));
  folder.write("m/2.nii.gz", to_gzip(make_nifti(2, 1, 2, 2, std::string("\x01\x00\x00\x00", 4))));
  DataSpec spec;
  spec.train = {.paths = {folder / "v"}, .format = "nifti", .labels = {folder / "m"}};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->fields()[0], (FieldShape{"image", Element::float32, {1, 2, 1, 2}}));
  const Batch batch = whole_batch(*data);
  EXPECT_EQ(floats_of(batch, "image"), (std::vector<float>{3, 5, 7, 9, 5, 6, 7, 8}));
  EXPECT_EQ(wholes_of(batch, "label"), (std::vector<std::int64_t>{0, 0, 0, 2, 1, 0, 0, 0}));
  EXPECT_EQ(data->class_counts(), (std::vector<std::uint64_t>{6, 1, 1}));
  EXPECT_EQ(folder.plain(data->place_of(1)), "v/2.nii.gz");

  folder.write("v/2.nii.gz", to_gzip(make_nifti(3, 1, 2, 16, raw_bytes<float>({5, 6, 7, 8, 9, 9}))));
  EXPECT_EQ(error_of_opening(spec), "the field \"image\" differs in size from sample to sample");
  spec.transforms = {transform(scheduler::Crop{{2, 2, 2}, 0, false})};
  const auto cropped = open_or_fail(spec);
  ASSERT_NE(cropped, nullptr);
  const auto bad = cropped->make_batch(std::vector<std::uint64_t>{1}, {});
  ASSERT_FALSE(bad);
  EXPECT_EQ(folder.plain(bad.error().message), "v/2.nii.gz: the image is 2x1x3 and its mask 2x1x2");
  // A smaller volume lies in the middle, with zeros around.
  const auto good = cropped->make_batch(std::vector<std::uint64_t>{0}, {});
  ASSERT_TRUE(good);
  EXPECT_EQ(floats_of(*good, "image"), (std::vector<float>{0, 0, 3, 5, 0, 0, 7, 9}));
}

TEST(NiftiSource, NamesAFileThatIsCutOff) {
  const DataFolder folder;
  folder.write("v/1.nii", make_nifti(2, 1, 2, 16, std::string(15, '\0')));
  DataSpec spec;
  spec.train = {.paths = {folder / "v"}, .format = "nifti"};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  const auto bad = data->make_batch(std::vector<std::uint64_t>{0}, {});
  ASSERT_FALSE(bad);
  EXPECT_EQ(folder.plain(bad.error().message),
            "v/1.nii: the file ends after 367 bytes, its header tells of 368");
}

TEST(ImageFolder, TakesTheFoldersNameForTheClass) {
  const DataFolder folder;
  folder.write("set/cat/2.png", to_png(2, 1, false, {0, 255}));
  folder.write("set/cat/1.PNG", to_png(2, 1, true, {255, 0, 0, 0, 0, 255}));
  folder.write("set/ant/9.jpg", to_jpeg(2, 1, false, {51, 51}));
  folder.write("set/readme.txt", "no image");
  DataSpec spec;
  spec.train = {.paths = {folder / "set"}};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->size(), 3U);
  EXPECT_EQ(data->preprocessing().labels, (std::vector<std::string>{"ant", "cat"}));
  EXPECT_EQ(data->fields()[0], (FieldShape{"image", Element::float32, {3, 1, 2}}));
  const Batch batch = whole_batch(*data);
  EXPECT_EQ(wholes_of(batch, "label"), (std::vector<std::int64_t>{0, 1, 1}));
  const std::vector<float> pixels = floats_of(batch, "image");
  EXPECT_NEAR(pixels[0], 0.2, 0.01);
  EXPECT_EQ((std::vector<float>(pixels.begin() + 6, pixels.begin() + 12)),
            (std::vector<float>{1, 0, 0, 0, 0, 1}));
  EXPECT_EQ((std::vector<float>(pixels.begin() + 12, pixels.end())), (std::vector<float>{0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(folder.plain(data->place_of(0)), "set/ant/9.jpg");
}

TEST(ImageFolder, NamesDamagedAndMissingImages) {
  const DataFolder folder;
  std::vector<std::uint8_t> noise(64 * 64);
  for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<std::uint8_t>(i * 37 % 251);
  const std::string jpeg = to_jpeg(64, 64, false, noise);
  folder.write("set/a/1.jpg", jpeg.substr(0, jpeg.size() / 2));
  folder.write("set/b/2.jpg", jpeg);
  DataSpec spec;
  spec.train = {.paths = {folder / "set"}};
  auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  const auto bad = data->make_batch(first_samples(2), {});
  ASSERT_FALSE(bad);
  EXPECT_EQ(folder.plain(bad.error().message).substr(0, 34), "set/a/1.jpg: a damaged JPEG file (");
  spec.on_bad_record = {true, 1};
  data = open_or_fail(spec);
  const auto skipped = data->make_batch(first_samples(2), {});
  ASSERT_TRUE(skipped);
  EXPECT_EQ(skipped->skipped, 1U);
  EXPECT_EQ(wholes_of(*skipped, "label"), (std::vector<std::int64_t>{1}));
  std::filesystem::create_directory(folder.path() / "empty");
  spec.train = {.paths = {folder / "empty"}, .format = "image_folder"};
  EXPECT_EQ(folder.plain(error_of_opening(spec)),
            "empty: the folder has no file that ends in .jpg, .jpeg, .png");
}

TEST(ImageFolder, DecodesLargeJpegsSmallerWhenTheyAreShrunkAnyway) {
  const DataFolder folder;
  std::vector<std::uint8_t> ramp(256 * 128);
  for (std::size_t i = 0; i < ramp.size(); ++i) ramp[i] = static_cast<std::uint8_t>(i % 256);
  folder.write("set/a/1.jpg", to_jpeg(256, 128, false, ramp));
  folder.write("set/a/1.png", to_png(256, 128, false, ramp));
  DataSpec spec;
  spec.train = {.paths = {folder / "set"}};
  spec.transforms = {transform(scheduler::Resize{{16, 32}})};
  const auto data = open_or_fail(spec);
  ASSERT_NE(data, nullptr);
  const std::vector<float> pixels = floats_of(whole_batch(*data), "image");
  ASSERT_EQ(pixels.size(), 2U * 16 * 32);
  for (std::size_t i = 0; i < 512; ++i) EXPECT_NEAR(pixels[i], pixels[512 + i], 0.02) << i;
}

}  // namespace
}  // namespace ds::data

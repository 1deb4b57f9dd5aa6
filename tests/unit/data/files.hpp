#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/data/dataset.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::data {

/// A folder of a test's own with data files in it, gone when the test ends.
class DataFolder {
 public:
  const std::filesystem::path& path() const { return folder_.path(); }
  std::string operator/(const std::string& name) const { return (path() / name).string(); }

  std::string write(const std::string& name, const std::string& bytes) const {
    const std::filesystem::path file = path() / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << bytes;
    return file.string();
  }

  /// A message without the folder's name.
  std::string plain(std::string message) const {
    const std::string prefix = path().string() + "/";
    for (std::size_t at = message.find(prefix); at != std::string::npos; at = message.find(prefix))
      message.erase(at, prefix.size());
    return message;
  }

 private:
  TemporaryFolder folder_;
};

inline std::string read_bytes(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

inline std::unique_ptr<Dataset> open_or_fail(const scheduler::DataSpec& spec,
                                             const DatasetOptions& options = {}) {
  auto dataset = Dataset::open_training(spec, options);
  if (!dataset) {
    ADD_FAILURE() << dataset.error().message;
    return nullptr;
  }
  return std::move(*dataset);
}

inline std::string error_of_opening(const scheduler::DataSpec& spec) {
  const auto dataset = Dataset::open_training(spec, {});
  return dataset ? "no error" : dataset.error().message;
}

inline std::vector<std::uint64_t> first_samples(std::uint64_t count) {
  std::vector<std::uint64_t> samples(count);
  std::iota(samples.begin(), samples.end(), 0);
  return samples;
}

template <class T>
std::vector<T> values_of(const Batch& batch, const std::string& field) {
  const HostTensor* tensor = batch.find(field);
  if (tensor == nullptr) {
    ADD_FAILURE() << "no field " << field;
    return {};
  }
  std::vector<T> values(tensor->bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), tensor->bytes.bytes().data(), values.size() * sizeof(T));
  return values;
}

/// All samples of a set in one batch.
inline Batch whole_batch(const Dataset& dataset, const std::optional<Draw>& draw = {}) {
  auto batch = dataset.make_batch(first_samples(dataset.size()), draw);
  if (!batch) {
    ADD_FAILURE() << batch.error().message;
    return {};
  }
  return std::move(*batch);
}

inline std::vector<float> floats_of(const Batch& batch, const std::string& field) {
  return values_of<float>(batch, field);
}
inline std::vector<std::int64_t> wholes_of(const Batch& batch, const std::string& field) {
  return values_of<std::int64_t>(batch, field);
}

inline scheduler::TransformSpec transform(auto what, std::string field = {}) {
  return {std::move(what), std::move(field)};
}

}  // namespace ds::data

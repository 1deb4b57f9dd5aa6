#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "actors/train/batch_maker.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::shard {

/// A job over a table whose only feature is the row's number, and what makes its batches.
class ShardJob {
 public:
  /// `columns`: features a row; `bad`: a row whose features are no numbers and that is skipped, 0 for none.
  explicit ShardJob(std::uint64_t rows = 100, std::uint32_t global = 16, std::uint32_t ranks = 4,
                    std::uint32_t columns = 1, std::uint64_t bad = 0) {
    std::ofstream file(path());
    for (std::uint32_t c = 0; c < columns; ++c) file << 'f' << c << ',';
    file << "label\n";
    for (std::uint64_t row = 0; row < rows; ++row) {
      for (std::uint32_t c = 0; c < columns; ++c) row + 1 == bad ? file << "x," : file << row + c << ',';
      file << row % 2 << '\n';
    }
    file.close();
    spec.workers = {1, ranks};
    spec.batch.global = global;
    spec.data.train.paths = {path().string()};
    spec.data.train.format = "csv";
    scheduler::FieldColumns features{"features", {}};
    for (std::uint32_t c = 0; c < columns; ++c) features.columns.push_back("f" + std::to_string(c));
    spec.data.train.columns = {features, {"label", {"label"}}};
    spec.until.steps = 1000;
    spec.seed = 3;
    spec.data.on_bad_record.skip = bad != 0;
    open();
  }

  /// After a change of `spec`.
  void open() {
    auto opened = data::Dataset::open_training(spec.data, {});
    if (!opened) throw std::runtime_error(opened.error().message);
    dataset = *std::move(opened);
    maker = std::make_unique<train::BatchMaker>(spec, *dataset);
  }

  /// From here on every batch is an error that says so.
  void change_file() const { std::ofstream(path(), std::ios::app) << "another row\n"; }

  std::filesystem::path path() const { return folder_.path() / "train.csv"; }

 private:
  const TemporaryFolder folder_;

 public:
  scheduler::JobSpec spec;
  std::unique_ptr<data::Dataset> dataset;
  std::unique_ptr<train::BatchMaker> maker;
};

inline bool same_batch(const data::Batch& a, const data::Batch& b) {
  bool same = a.rows == b.rows && a.skipped == b.skipped && a.samples == b.samples &&
              a.fields.size() == b.fields.size();
  for (std::size_t f = 0; same && f < a.fields.size(); ++f) {
    const auto& [name, tensor] = a.fields[f];
    same = name == b.fields[f].first && tensor.element == b.fields[f].second.element &&
           tensor.shape == b.fields[f].second.shape && tensor.bytes == b.fields[f].second.bytes;
  }
  return same;
}

/// Polls until it holds; false after a minute.
inline bool wait_until(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

}  // namespace ds::shard

#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "actors/collective/communicator.hpp"
#include "actors/train/session.hpp"
#include "tests/unit/collective/gang_of_threads.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::train {

/// A temporary folder, and training jobs on generated files in it.
class TrainingJob : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return (folder_ / name).string();
  }

  /// Sentences of common words with, somewhere, one word that tells the class: learnable, but not from the
  /// first word alone.
  static std::string sentences(std::size_t rows, std::uint32_t seed, std::size_t classes = 3) {
    std::mt19937 generator(seed);
    std::string csv = "id,text,label\n";
    for (std::size_t row = 0; row < rows; ++row) {
      const std::size_t label = generator() % 4 == 0 ? 0 : generator() % classes;
      const std::size_t length = 3 + generator() % 10, telling = generator() % length;
      csv += std::to_string(row) + ",\"";
      for (std::size_t i = 0; i < length; ++i) {
        if (i > 0) csv += i % 5 == 0 ? ", " : " ";
        csv += i == telling ? "Clue" + std::to_string(label) + "x" + std::to_string(generator() % 4)
                            : "word" + std::to_string(generator() % 60);
      }
      csv += "\",class " + std::to_string(label) + "\n";
    }
    return csv;
  }

  static scheduler::SourceSpec csv(const std::string& path, const std::string& label = "label") {
    scheduler::SourceSpec source;
    source.paths = {path};
    source.format = "csv";
    source.columns = {{"text", {"text"}}, {"label", {label}}};
    return source;
  }

  static std::vector<scheduler::TransformSpec> texts(std::uint32_t vocabulary, std::uint32_t length) {
    return {{scheduler::Tokenize{"word", vocabulary}, {}}, {scheduler::PadSequences{length}, {}}};
  }

  /// A small job with dropout and four logical ranks over `rows` sentences.
  scheduler::JobSpec job(std::size_t rows = 150) const {
    scheduler::JobSpec spec;
    spec.name = "small";
    spec.workers = {1, 4};
    spec.model.zoo = "text_classifier";
    spec.model.settings = {{"width", {16}}, {"dropout", {0.2}}};
    spec.data.train = csv(write("train.csv", sentences(rows, 1)));
    spec.data.validate = csv(write("validate.csv", sentences(90, 2)));
    spec.data.transforms = texts(8000, 12);
    spec.batch.global = 32;
    spec.optimizer.lr = 1e-2;
    spec.optimizer.weight_decay = 0.01;
    spec.until.steps = 1000;
    spec.seed = 7;
    return spec;
  }

  static std::unique_ptr<TrainingSession> open(const scheduler::JobSpec& spec) {
    auto session = TrainingSession::create(spec);
    if (!session) throw std::runtime_error(session.error().message);
    return *std::move(session);
  }

  /// Runs `steps` steps with `members` workers from `start` (none: from the seed), and gives the last
  /// worker's state. Fails the test when two workers end with different states.
  static StateImage train(const scheduler::JobSpec& spec, std::uint32_t members, std::uint64_t steps,
                          const StateImage* start = nullptr) {
    std::vector<StateImage> images(members);
    collective::run_gang(collective::assign_logical_ranks(spec.logical_ranks(), members),
                         [&](collective::Communicator& communicator) {
                           const auto session = open(spec);
                           if (start != nullptr) {
                             EXPECT_TRUE(session->restore(*start));
                           }
                           for (std::uint64_t i = 0; i < steps; ++i) {
                             const auto step = session->run_step(communicator);
                             ASSERT_TRUE(step) << step.error().message;
                           }
                           images[communicator.rank()] = session->image(true);
                         });
    for (const StateImage& image : images) EXPECT_EQ(image.tensors, images.back().tensors);
    return images.back();
  }

  static Buffer safetensors(const StateImage& image) {
    auto bytes = export_model(image, ExportFormat::safetensors);
    if (!bytes) throw std::runtime_error(bytes.error().message);
    return *std::move(bytes);
  }

  /// Samples by step and logical rank, of two epochs of so many steps: each of 150 once an epoch.
  static void expect_each_sample_once_an_epoch(
      const std::map<std::pair<std::uint64_t, std::uint32_t>, std::vector<std::uint64_t>>& shares,
      std::uint64_t steps_an_epoch) {
    for (const std::uint64_t epoch : {0U, 1U}) {
      std::vector<int> taken(150);
      for (const auto& [which, samples] : shares) {
        if ((which.first - 1) / steps_an_epoch != epoch) continue;
        for (const std::uint64_t sample : samples) ++taken.at(sample);
      }
      EXPECT_EQ(taken, std::vector<int>(150, 1));
    }
  }

  const TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
};

}  // namespace ds::train

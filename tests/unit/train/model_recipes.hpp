#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <regex>
#include <string>

#include "tests/small_images.hpp"
#include "tests/unit/train/training_job.hpp"

namespace ds::train {

/// A model, the data it is trained on, and how.
struct Recipe {
  std::string name;
  std::string precision = "fp32";
};

/// Jobs for each kind of model, on generated data.
class ModelRecipes : public TrainingJob {
 protected:
  /// Rows of five numbers whose class depends on two of them.
  static std::string table(std::size_t rows, std::uint32_t seed) {
    std::mt19937 generator(seed);
    const auto number = [&] { return static_cast<double>(generator() % 2001) / 1000 - 1; };
    std::string csv = "a,b,c,d,e,kind\n";
    for (std::size_t row = 0; row < rows; ++row) {
      double x[5];
      for (double& value : x) value = number();
      for (const double value : x) csv += std::to_string(value) + ",";
      csv += x[0] + x[1] > 0 ? "up\n" : "down\n";
    }
    return csv;
  }

  /// Images of the same kind with a mask each: the bar.
  scheduler::SourceSpec masks(const std::string& name, std::size_t rows, std::uint32_t seed) const {
    scheduler::SourceSpec source = idx(name, rows, seed);
    std::string bytes;
    std::ifstream file(source.labels[0], std::ios::binary);
    const std::string labels{std::istreambuf_iterator<char>(file), {}};
    std::ifstream pixels(source.paths[0], std::ios::binary);
    const std::string images{std::istreambuf_iterator<char>(pixels), {}};
    bytes = images.substr(0, 16);  // the same header: as many, of the same extents
    for (std::size_t row = 0; row < rows; ++row) {
      for (std::size_t i = 0; i < 144; ++i)
        bytes += static_cast<char>(i / 12 / 4 == static_cast<std::size_t>(labels[8 + row]) ? 1 : 0);
    }
    source.labels = {write(name + "-masks", bytes)};
    return source;
  }

  scheduler::SourceSpec idx(const std::string& name, std::size_t rows, std::uint32_t seed) const {
    const auto files = tests::bar_images(static_cast<std::uint32_t>(rows), seed);
    scheduler::SourceSpec source;
    source.paths = {write(name + "-images", files.images)};
    source.labels = {write(name + "-labels", files.labels)};
    source.format = "idx";
    return source;
  }

  scheduler::SourceSpec numbers(const std::string& name, std::size_t rows, std::uint32_t seed) const {
    scheduler::SourceSpec source;
    source.paths = {write(name, table(rows, seed))};
    source.format = "csv";
    source.columns = {{"features", {"a", "b", "c", "d", "e"}}, {"label", {"kind"}}};
    return source;
  }

  void use_images(scheduler::JobSpec& spec) const {
    spec.data.train = idx("train", 120, 1);
    spec.data.validate = idx("validate", 40, 2);
    spec.data.transforms = {{scheduler::Crop{{12, 12}, 1, true}, {}}, {scheduler::Flip{}, {}}};
  }

  /// A module that PyTorch exported, with batch norm and dropout; empty without PyTorch.
  std::string exported_module(const std::string& dropout = "Dropout(0.2)") const {
    const std::string path = folder_ / "module.pt";
    std::string text = tests::kExportModule;
    text = std::regex_replace(text, std::regex("Dropout\\(0.2\\)"), dropout);
    const std::string script = write("export.py", text);
    const std::string command = "/usr/bin/python3 '" + script + "' '" + path + "' 2>/dev/null";
    return std::system(command.c_str()) == 0 ? path : "";
  }

  /// Small, with dropout where the model has it; no model only where PyTorch is missing.
  scheduler::JobSpec job_for(const Recipe& recipe) const {
    scheduler::JobSpec spec = job(120);
    const std::string& name = recipe.name;
    spec.precision = recipe.precision;
    spec.optimizer.lr = 3e-3;
    spec.batch.global = 24;
    spec.batch.accumulate = 2;
    spec.model = {};
    if (name == "torchscript") {
      use_images(spec);
      spec.model.torchscript = exported_module();
      return spec;
    }
    spec.model.zoo = name;
    if (name == "mlp") {
      spec.data.train = numbers("train.csv", 120, 1);
      spec.data.validate = numbers("validate.csv", 40, 2);
      spec.data.transforms.clear();
      spec.model.settings = {{"hidden", {16, 8}}, {"dropout", {0.1}}};
    } else if (name == "unet") {
      spec.data.train = masks("train", 48, 1);
      spec.data.validate = masks("validate", 16, 2);
      spec.data.transforms = {{scheduler::Flip{}, {}}, {scheduler::Rotate{}, {}}};
      spec.model.settings = {{"width", {2}}, {"depth", {2}}};
      spec.loss.resize(2);  // cross_entropy beside
      spec.loss[0].name = "dice";
    } else if (name == "resnet") {
      use_images(spec);
      spec.model.settings = {{"blocks", {1, 1}}, {"width", {4}}};
    } else if (name == "transformer") {
      spec.model.settings = {
          {"layers", {1}}, {"width", {16}}, {"heads", {2}}, {"feed_forward", {32}}, {"dropout", {0.1}}};
    } else {
      spec.model.settings = {{"layers", {1}}, {"width", {12}}, {"dropout", {0.1}}, {"bidirectional", {1}}};
    }
    return spec;
  }
};

}  // namespace ds::train

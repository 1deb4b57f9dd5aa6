// Samples a second of ds::DataLoader: data_loading CASE FOLDER SECONDS THREADS. The folder holds what
// suites/data.py made.
#include <fmt/core.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "actors/data/data_loader.hpp"

using namespace ds;

namespace {

scheduler::SourceSpec source(std::string path, std::string format) {
  scheduler::SourceSpec spec;
  spec.paths = {std::move(path)};
  spec.format = std::move(format);
  return spec;
}

DataLoader::Options options_of(const std::string& name, const std::string& folder) {
  DataLoader::Options options;
  options.batch_size = 128;
  options.index_directory = folder;
  if (name == "data_csv") {
    options.source = source(folder + "/rows.csv", "csv");
    options.source.columns = {{"text", {"text"}}, {"label", {"label"}}};
    options.transforms = {{scheduler::Tokenize{"word", 8000}, ""}, {scheduler::PadSequences{32}, ""}};
  } else if (name == "data_mnist_augment") {
    options.source = source(folder + "/images-idx3-ubyte", "idx");
    options.source.labels = {folder + "/labels-idx1-ubyte"};
    options.transforms = {{scheduler::Flip{}, ""},
                          {scheduler::Crop{{28, 28}, 2, true}, ""},
                          {scheduler::Normalize{{0.1307}, {0.3081}, false}, ""}};
  } else {
    options.batch_size = 32;
    options.source = source(folder + "/jpeg", "image_folder");
    options.transforms = {{scheduler::Resize{{224, 224}}, ""},
                          {scheduler::Flip{}, ""},
                          {scheduler::Normalize{{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, false}, ""}};
  }
  return options;
}

/// From the first batch on, so that starting is nobody's burden.
double samples_a_second(const DataLoader& loader, double seconds) {
  using Clock = std::chrono::steady_clock;
  std::uint64_t samples = 0;
  bool is_first = true;
  Clock::time_point begin;
  for (std::uint64_t epoch = 0;; ++epoch) {
    for (const data::Batch& batch : loader.epoch(epoch)) {
      if (is_first)
        begin = Clock::now();
      else
        samples += batch.rows;
      is_first = false;
      const std::chrono::duration<double> passed = Clock::now() - begin;
      if (passed.count() >= seconds && samples > 0) return static_cast<double>(samples) / passed.count();
    }
  }
}

}  // namespace

int main(int count, char** words) {
  if (count != 5) {
    fmt::print(stderr, "usage: {} CASE FOLDER SECONDS THREADS\n", words[0]);
    return 2;
  }
  DataLoader::Options options = options_of(words[1], words[2]);
  options.threads = static_cast<std::uint32_t>(std::atoi(words[4]));
  const auto loader = DataLoader::open(std::move(options));
  if (!loader) {
    fmt::print(stderr, "{}\n", loader.error().message);
    return 1;
  }
  fmt::print("{{\"value\": {}}}\n", samples_a_second(*loader, std::atof(words[3])));
}

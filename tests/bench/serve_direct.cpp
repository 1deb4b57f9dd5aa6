// What libtorch does alone with a served model, on random input:
//
//     bench_serve_direct best FILE DATATYPE SHAPE THREADS SECONDS   rows a second with the best batch size
//     bench_serve_direct call FILE DATATYPE SHAPE THREADS SECONDS   how long one row takes, µs, the median
//
// SHAPE is that of a row: 32 or 1x28x28. Prints a JSON object.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::int64_t kLargestBatch = 128;
constexpr int kWarmUps = 5;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Direct {
 public:
  Direct(const std::string& file, std::string datatype, const std::string& shape)
      : module_(torch::jit::load(file)), datatype_(std::move(datatype)) {
    module_.eval();
    std::istringstream parts(shape);
    for (std::string size; std::getline(parts, size, 'x');) shape_.push_back(std::atoll(size.c_str()));
  }

  c10::IValue rows(std::int64_t count) const {
    std::vector<std::int64_t> shape{count};
    shape.insert(shape.end(), shape_.begin(), shape_.end());
    return datatype_ == "INT64" ? at::randint(0, 1000, shape, at::kLong) : at::randn(shape);
  }
  void run(const c10::IValue& input) { module_.forward({input}); }

 private:
  torch::jit::Module module_;
  std::string datatype_;
  std::vector<std::int64_t> shape_;
};

void print_best(Direct& model, double seconds) {
  std::int64_t best_batch = 0;
  double best = 0;
  for (std::int64_t batch = 1; batch <= kLargestBatch; batch *= 2) {
    const auto input = model.rows(batch);
    for (int i = 0; i < kWarmUps; ++i) model.run(input);
    const auto start = Clock::now();
    std::int64_t rows = 0;
    while (seconds_since(start) < seconds) {
      model.run(input);
      rows += batch;
    }
    const double rate = static_cast<double>(rows) / seconds_since(start);
    if (rate > best) {
      best = rate;
      best_batch = batch;
    }
  }
  fmt::print("{{\"per_s\": {:.3f}, \"batch\": {}}}\n", best, best_batch);
}

void print_call(Direct& model, double seconds) {
  const auto input = model.rows(1);
  for (int i = 0; i < kWarmUps; ++i) model.run(input);
  std::vector<double> took_us;
  for (const auto start = Clock::now(); seconds_since(start) < seconds;) {
    const auto begin = Clock::now();
    model.run(input);
    took_us.push_back(1e6 * seconds_since(begin));
  }
  std::ranges::sort(took_us);
  fmt::print("{{\"p50_us\": {:.3f}}}\n", took_us[took_us.size() / 2]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    fmt::print(stderr, "bench_serve_direct best|call FILE DATATYPE SHAPE THREADS SECONDS\n");
    return 2;
  }
  at::set_num_threads(std::atoi(argv[5]));
  const c10::InferenceMode without_gradients;
  Direct model(argv[2], argv[3], argv[4]);
  const double seconds = std::atof(argv[6]);
  std::string(argv[1]) == "best" ? print_best(model, seconds) : print_call(model, seconds);
  return 0;
}

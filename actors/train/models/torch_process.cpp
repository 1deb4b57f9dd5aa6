#include "actors/train/models/torch_process.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <mutex>
#include <new>
#include <regex>
#include <sstream>
#include <vector>

#include "actors/data/random_stream.hpp"

namespace ds::train {
namespace {

bool is_out_of_memory(const std::string& message) {
  return message.find("can't allocate memory") != std::string::npos ||
         message.find("not enough memory") != std::string::npos ||
         message.find("out of memory") != std::string::npos;
}

/// The layer that a line of the trace calls: `(conv1).forward(x, )`, `self.conv1(x)` or
/// `torch.linear(x, self.fc.weight, …)`.
std::string layer_in(const std::string& line) {
  static const std::regex kForms(
      R"re(\((\w+)\)\.forward|self\.([\w.]+)\(|self\.([\w.]+)\.weight|getattr\(self\.(\w+), "(\d+)"\))re");
  std::smatch found;
  if (!std::regex_search(line, found, kForms)) return "";
  std::string name;
  for (std::size_t group = 1; group < found.size(); ++group) {
    if (!found[group].matched) continue;
    name += (name.empty() ? "" : ".") + found[group].str();
  }
  return name.ends_with(".forward") ? name.substr(0, name.size() - 8) : name;
}

}  // namespace

void prepare_process() {
  static std::once_flag once;
  std::call_once(once, [] {
    torch::jit::getProfilingMode() = false;
    torch::jit::getExecutorMode() = false;
    try {
      at::set_num_interop_threads(1);
    } catch (const c10::Error&) {
      // Somebody used torch in this process before: the number is fixed then, and nothing here runs on that
      // pool.
    }
  });
}

void use_threads(int threads) {
  thread_local int used = 0;  // setting it makes torch's thread pool anew
  if (used == threads) return;
  at::set_num_threads(threads);
  using SetThreads = void (*)(int);
  const auto set_blas_threads = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set_blas_threads != nullptr) set_blas_threads(threads);
  used = threads;
}

std::unique_lock<std::mutex> seed_torch(std::uint64_t seed) {
  static std::mutex one_draws;
  std::unique_lock<std::mutex> turn(one_draws);
  const data::RandomStream mixed(seed, data::Stream::dropout, {});
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(mixed.bits(0) & 0xFFFFFFFFU);
  return turn;
}

std::string shorten_trace(const std::string& message) {
  if (message.find("TorchScript") == std::string::npos) return message;
  std::string layer, previous, reason;
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t error = line.find("Error: ");
    if (line.find("<--- HERE") != std::string::npos) {
      const std::string called = layer_in(previous);
      if (!called.empty()) layer += (layer.empty() ? "" : ".") + called;
    } else if (line.find("Traceback of TorchScript, original code") != std::string::npos) {
      if (!layer.empty()) previous.clear(), layer.clear();  // the same calls again, in the user's words
    } else if (reason.empty() && error != std::string::npos && line.find(' ') == error + 6) {
      reason = line.substr(error + 7);
    } else if (!reason.empty() && !line.empty()) {
      reason += ' ' + line;
    }
    previous = line;
  }
  if (reason.empty()) return message;
  return layer.empty() ? reason : fmt::format("layer {}: {}", layer, reason);
}

Error to_error(const std::exception& thrown, std::string_view what, ErrorCode code) {
  const auto* torch = dynamic_cast<const c10::Error*>(&thrown);
  const std::string message = torch != nullptr ? torch->what_without_backtrace() : thrown.what();
  if (dynamic_cast<const std::bad_alloc*>(&thrown) != nullptr || is_out_of_memory(message)) {
    return {ErrorCode::resource_exhausted, fmt::format("{}: out of memory: {}", what, shorten_trace(message)),
            "give the workers more memory (resources.memory), or make the model or the batch smaller"};
  }
  return {code, fmt::format("{}: {}", what, shorten_trace(message)), ""};
}

}  // namespace ds::train

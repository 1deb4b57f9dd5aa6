#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/train/models/torch_process.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <mutex>
#include <new>
#include <string>

#include "actors/data/random_stream.hpp"
#include "actors/train/models/script_trace.hpp"

namespace ds::train {
namespace {

bool is_out_of_memory(const std::string& message) {
  return message.find("can't allocate memory") != std::string::npos ||
         message.find("not enough memory") != std::string::npos ||
         message.find("out of memory") != std::string::npos;
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

Error to_error(const std::exception& thrown, std::string_view what, ErrorCode code) {
  const auto* torch = dynamic_cast<const c10::Error*>(&thrown);
  const std::string message = torch != nullptr ? torch->what_without_backtrace() : thrown.what();
  if (dynamic_cast<const std::bad_alloc*>(&thrown) != nullptr || is_out_of_memory(message)) {
    const bool is_of_gpu = message.find("CUDA out of memory") != std::string::npos;
    return {ErrorCode::resource_exhausted, fmt::format("{}: out of memory: {}", what, shorten_trace(message)),
            is_of_gpu
                ? "the GPU's memory is full: make the model or the batch smaller, or see with nvidia-smi who "
                  "else uses it"
                : "give the workers more memory (resources.memory), or make the model or the batch smaller"};
  }
  return {code, fmt::format("{}: {}", what, shorten_trace(message)), ""};
}

}  // namespace ds::train

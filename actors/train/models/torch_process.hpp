#pragma once

#include <cstdint>
#include <exception>
#include <mutex>
#include <string>
#include <string_view>

#include "storage/result.hpp"

namespace ds::train {

/// Things that torch lets a process set once. Profiling executors recompile a model after some calls, with
/// other bits.
void prepare_process();

/// How a convolution's sums are cut depends on the number of threads, and OpenMP keeps that number for each
/// calling thread. OpenBLAS has threads of its own, as many as the machine has cores unless told otherwise.
void use_threads(int threads);

/// Seeds the generator that random layers draw from. It takes 32 bits, into which all 64 are mixed. Torch has
/// one for all threads of a process: it is the caller's while he holds what is returned. Not to be called
/// while he does.
[[nodiscard]] std::unique_lock<std::mutex> seed_torch(std::uint64_t seed);

/// What torch threw, as an error of ours: `resource_exhausted` when it had no memory, else `code`. Of an
/// interpreter's trace only the layer and the last line are left.
Error to_error(const std::exception& thrown, std::string_view what, ErrorCode code);

/// Runs `body`, and turns what torch throws into an error of ours.
template <class Body>
auto guarded(std::string_view what, ErrorCode code, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::exception& thrown) {
    return tl::unexpected<Error>(to_error(thrown, what, code));
  }
}

}  // namespace ds::train

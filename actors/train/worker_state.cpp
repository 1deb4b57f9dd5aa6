#include "actors/train/worker_state.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

namespace ds::train {
namespace {

using ProgressValues = std::array<double, Progress::kCount>;

std::size_t bytes_of(std::size_t buffers, std::size_t counters) {
  return sizeof(std::uint64_t) + sizeof(ProgressValues) + counters * sizeof(std::int64_t) +
         buffers * sizeof(float);
}

}  // namespace

Buffer to_buffer(const WorkerState& state) {
  return Buffer::make(bytes_of(state.buffers.size(), state.counters.size()), [&](std::span<std::byte> out) {
    std::byte* to = out.data();
    const auto put = [&](std::span<const std::byte> bytes) {
      if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
      to += bytes.size();
    };
    const ProgressValues progress = state.progress.values();
    put(std::as_bytes(std::span(&state.step, 1)));
    put(std::as_bytes(std::span(progress)));
    put(std::as_bytes(std::span(state.counters)));
    put(std::as_bytes(std::span(state.buffers)));
  });
}

Result<WorkerState> to_worker_state(const Buffer& bytes, std::size_t buffers, std::size_t counters) {
  if (bytes.size() != bytes_of(buffers, counters))
    return fail(ErrorCode::data_loss, fmt::format("the workers' state has {} bytes where {} belong",
                                                  bytes.size(), bytes_of(buffers, counters)));
  WorkerState state;
  state.buffers.resize(buffers);
  state.counters.resize(counters);
  ProgressValues progress{};
  const std::byte* from = bytes.bytes().data();
  const auto get = [&](std::span<std::byte> to) {
    if (!to.empty()) std::memcpy(to.data(), from, to.size());
    from += to.size();
  };
  get(std::as_writable_bytes(std::span(&state.step, 1)));
  get(std::as_writable_bytes(std::span(progress)));
  get(std::as_writable_bytes(std::span(state.counters)));
  get(std::as_writable_bytes(std::span(state.buffers)));
  state.progress = Progress::of(progress);
  return state;
}

Result<WorkerState> newest_of(const std::vector<Buffer>& states, std::size_t buffers, std::size_t counters) {
  std::optional<WorkerState> newest;
  const auto age = [](const WorkerState& one) { return std::pair(one.step, one.progress.judged_step); };
  for (const Buffer& bytes : states) {
    Result<WorkerState> one = to_worker_state(bytes, buffers, counters);
    if (!one) return one;
    if (!newest || age(*one) > age(*newest)) newest = *std::move(one);
  }
  return *std::move(newest);
}

}  // namespace ds::train

#pragma once

#include <cstdint>

#include "actors/messages/worker.hpp"
#include "actors/train/session.hpp"

namespace ds::worker {

/// What a state may take: it travels in one frame, and other parts of the message need some room.
inline constexpr std::uint64_t kMaxStateBytes = std::uint64_t{60} << 30;

/// Of a state as a checkpoint has it, given what a worker holds of it.
std::uint64_t count_state_bytes(const train::StateImage& image, std::uint64_t parameters,
                                const scheduler::OptimizerSpec& optimizer, bool on_servers);
/// `invalid_argument` when a state is larger than `limit`, what the head takes, or than `kMaxStateBytes`.
Result<void> check_state_size(std::uint64_t bytes, std::uint64_t limit);

// A state as it travels; the tensors' memory is shared.

messages::StateReply to_message(const train::StateImage& image);
train::StateImage to_image(const messages::StateReply& reply);

}  // namespace ds::worker

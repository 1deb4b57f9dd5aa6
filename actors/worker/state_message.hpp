#pragma once

#include "actors/messages/worker.hpp"
#include "actors/train/session.hpp"

namespace ds::worker {

// A state as it travels; the tensors' memory is shared.

messages::StateReply to_message(const train::StateImage& image);
train::StateImage to_image(const messages::StateReply& reply);

}  // namespace ds::worker

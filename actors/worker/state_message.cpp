#include "actors/worker/state_message.hpp"

#include "actors/fabric/transport.hpp"
#include "actors/train/optimizer.hpp"

namespace ds::worker {

// With buffers, counters and the description beside the parameters.
static_assert(train::kMaxStateBytes <= fabric::kMaxFrameBytes - (std::size_t{4} << 30));

messages::StateReply to_message(const train::StateImage& image) {
  messages::StateReply reply{image.step, image.description, {}, {}, {}};
  for (const auto& [name, tensor] : image.tensors) {
    reply.names.push_back(name);
    reply.tensors.push_back(tensor);
  }
  return reply;
}

train::StateImage to_image(const messages::StateReply& reply) {
  train::StateImage image{reply.step, reply.description, {}};
  for (std::size_t i = 0; i < reply.names.size() && i < reply.tensors.size(); ++i) {
    image.tensors.emplace_back(reply.names[i], reply.tensors[i]);
  }
  return image;
}

}  // namespace ds::worker

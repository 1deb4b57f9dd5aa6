#include "actors/worker/state_message.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "actors/fabric/transport.hpp"
#include "actors/parameters/update_rule.hpp"

namespace ds::worker {

// With buffers, counters and the description beside the parameters.
static_assert(kMaxStateBytes <= fabric::kMaxFrameBytes - (std::size_t{4} << 30));

std::uint64_t count_state_bytes(const train::StateImage& image, std::uint64_t parameters,
                                const scheduler::OptimizerSpec& optimizer, bool on_servers) {
  std::uint64_t bytes = image.description.size();
  for (const auto& [name, tensor] : image.tensors) bytes += tensor.size();
  const auto vectors = parameters::state_names(parameters::to_optimizer_options(optimizer)).size();
  return on_servers ? bytes + parameters * sizeof(float) * vectors : bytes;
}

Result<void> check_state_size(std::uint64_t bytes, std::uint64_t limit) {
  const std::uint64_t most = std::min(limit, kMaxStateBytes);
  if (bytes <= most) return {};
  constexpr double kMega = 1 << 20;
  return fail(
      ErrorCode::invalid_argument,
      fmt::format(
          "model: the job's state, parameters with what the optimizer keeps of them, takes {:.1f} MiB, "
          "and the head takes {:.1f} MiB at most: half of its memory, or 60 GiB",
          static_cast<double>(bytes) / kMega, static_cast<double>(most) / kMega),
      "a smaller model, an optimizer with less state (sgd without momentum has none), or more memory for "
      "the head");
}

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

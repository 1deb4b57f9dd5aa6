#pragma once

#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "actors/fabric/transport.hpp"
#include "tests/unit/fabric/waiting.hpp"

namespace ds::fabric {

inline TransportOptions options(const std::string& secret = "secret") {
  TransportOptions result;
  result.secret = secret;
  return result;
}

struct Frame {
  ProcessAddress from;
  Transport::Parts parts;
};
struct Loss {
  ProcessAddress peer;
  Error why;
};

/// A transport whose frames and losses are kept.
struct Station {
  explicit Station(TransportOptions with = options()) {
    auto started = Transport::start(with);
    if (!started) throw std::runtime_error(started.error().message);
    transport = std::move(*started);
    transport->on_frame(Channel::actors, [this](const ProcessAddress& from, Transport::Parts parts) {
      frames.put({from, std::move(parts)});
    });
    transport->add_on_lost([this](const ProcessAddress& peer, const Error& why) { losses.put({peer, why}); });
  }
  ~Station() { transport.reset(); }
  const ProcessAddress& self() const { return transport->self(); }
  Result<void> send(const ProcessAddress& to, Transport::Parts parts) {
    return transport->send(to, Channel::actors, std::move(parts));
  }

  Inbox<Frame> frames;
  Inbox<Loss> losses;
  std::unique_ptr<Transport> transport;
};

inline Buffer pattern(std::size_t size, unsigned seed) {
  return Buffer::make(size, [&](std::span<std::byte> out) {
    std::mt19937 random(seed);
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = static_cast<std::byte>(i % 997 == 0 ? random() : i * 31 + seed);
  });
}

inline Transport::Parts text(std::string_view words) {
  return {Buffer::copy_of(words)};
}

}  // namespace ds::fabric

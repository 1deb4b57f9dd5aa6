#pragma once

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "actors/fabric/transport.hpp"
#include "tests/unit/fabric/waiting.hpp"

namespace ds::fabric::tests {

struct Frame {
  ProcessAddress from;
  Transport::Parts parts;
};
struct Loss {
  ProcessAddress peer;
  Error why;
  std::chrono::steady_clock::time_point when;
};

/// A transport whose frames and losses are kept.
class Station {
 public:
  explicit Station(const TransportOptions& options) : transport_(started(options)) {
    transport_->on_frame(Channel::actors, [this](const ProcessAddress& from, Transport::Parts parts) {
      frames.put({from, std::move(parts)});
    });
    transport_->add_on_lost([this](const ProcessAddress& peer, const Error& why) {
      losses.put({peer, why, std::chrono::steady_clock::now()});
    });
  }

  Transport& operator*() const { return *transport_; }
  Transport* operator->() const { return transport_.get(); }
  const ProcessAddress& self() const { return transport_->self(); }
  Result<void> send(const ProcessAddress& to, std::string_view text) {
    return transport_->send(to, Channel::actors, {Buffer::copy_of(text)});
  }

  Inbox<Frame> frames;
  Inbox<Loss> losses;

 private:
  static std::unique_ptr<Transport> started(const TransportOptions& options) {
    auto transport = Transport::start(options);
    if (!transport) throw std::runtime_error(transport.error().message);
    return std::move(*transport);
  }
  std::unique_ptr<Transport> transport_;  // last: its handlers use the inboxes until it has ended
};

}  // namespace ds::fabric::tests

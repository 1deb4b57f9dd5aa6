#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "actors/fabric/transport.hpp"

namespace ds::fabric {

/// The functions that a transport calls. Replacing or removing one waits until no call of it is running.
/// Frames may be delivered by several threads at once.
class HandlerTable {
 public:
  void set_on_frame(Channel channel, Transport::OnFrame handler);
  std::uint64_t add_on_lost(Transport::OnLost handler);
  void remove_on_lost(std::uint64_t token);

  /// False when nobody handles the channel.
  bool deliver(Channel channel, const ProcessAddress& from, Transport::Parts parts) const;
  void report_lost(const ProcessAddress& peer, const Error& why);

 private:
  // Held while a handler runs, which is what replacing waits for.
  mutable std::shared_mutex frame_mutex_;
  std::map<Channel, Transport::OnFrame> on_frame_;
  // Recursive, for handlers that remove themselves.
  std::recursive_mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<Transport::OnLost>> on_lost_;
  std::uint64_t next_token_ = 1;
};

}  // namespace ds::fabric

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "actors/fabric/transport.hpp"

namespace ds::fabric {

/// The functions that a transport calls. Replacing or removing one waits until no call of it is running,
/// except from within that call.
class HandlerTable {
 public:
  void set_on_frame(Channel channel, Transport::OnFrame handler);
  std::uint64_t add_on_lost(Transport::OnLost handler);
  void remove_on_lost(std::uint64_t token);

  /// False when nobody handles the channel.
  bool deliver(Channel channel, const ProcessAddress& from, Transport::Parts parts);
  void report_lost(const ProcessAddress& peer, const Error& why);

 private:
  // Recursive, for handlers that change the table; held while a handler runs, which is what replacing waits
  // for.
  std::recursive_mutex mutex_;
  std::map<Channel, std::shared_ptr<Transport::OnFrame>> on_frame_;
  std::map<std::uint64_t, std::shared_ptr<Transport::OnLost>> on_lost_;
  std::uint64_t next_token_ = 1;
};

}  // namespace ds::fabric

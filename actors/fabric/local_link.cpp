#include "actors/fabric/local_link.hpp"

#include <poll.h>
#include <sys/socket.h>

namespace ds::fabric {

bool LinkEnds::peer_is_gone() const {
  pollfd hangup{socket.get(), POLLRDHUP, 0};
  return ::poll(&hangup, 1, 0) > 0 && (hangup.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

void LocalLink::close() {
  // First, so that a peer that still reads our memory sees that what it got is worthless.
  ::shutdown(ends_->socket.get(), SHUT_RDWR);
  sender_->close();
  receiver_.close();
}

}  // namespace ds::fabric

#include "actors/fabric/own_sockets.hpp"

#include <dirent.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdlib>

#include "actors/fabric/socket_address.hpp"

namespace ds::fabric {
namespace {

template <class Visit>
void for_each_socket_on(std::uint16_t port, Visit visit) {
  DIR* descriptors = opendir("/proc/self/fd");
  if (descriptors == nullptr) return;
  while (const dirent* entry = readdir(descriptors)) {
    const int fd = std::atoi(entry->d_name);
    sockaddr_storage address{};
    socklen_t length = sizeof(address);
    if (fd <= 2 || getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) continue;
    if ((address.ss_family != AF_INET && address.ss_family != AF_INET6) || port_of(address) != port) continue;
    int listening = 0;
    length = sizeof(listening);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) == 0) visit(fd, listening != 0);
  }
  closedir(descriptors);
}

}  // namespace

int find_listener(std::uint16_t port) {
  int found = -1;
  for_each_socket_on(port, [&](int fd, bool listening) {
    if (listening) found = fd;
  });
  return found;
}

std::size_t count_accepted(std::uint16_t port) {
  std::size_t count = 0;
  for_each_socket_on(port, [&](int, bool listening) { count += listening ? 0 : 1; });
  return count;
}

bool deafen(int listener) {
  sock_filter drop_all = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog program{1, &drop_all};
  return setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

void undeafen(int listener) {
  int unused = 0;
  setsockopt(listener, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}

}  // namespace ds::fabric

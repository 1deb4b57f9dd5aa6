// A second process for the tests: echoes frames until its standard input ends.
#include <cstdio>
#include <cstring>

#include "actors/fabric/transport.hpp"

using namespace ds;
using namespace ds::fabric;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  TransportOptions options;
  options.secret = argv[2];
  auto transport = Transport::start(options);
  if (!transport) {
    std::fprintf(stderr, "%s\n", transport.error().message.c_str());
    return 1;
  }
  (*transport)->on_frame(Channel::actors, [&](const ProcessAddress& from, Transport::Parts parts) {
    // A full queue ends this process, so that a test sees it.
    if (!(*transport)->send(from, Channel::actors, std::move(parts))) std::_Exit(3);
  });
  std::printf("%llu %u\n", static_cast<unsigned long long>((*transport)->self().id),
              (*transport)->self().port);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}

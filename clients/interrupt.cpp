#include "clients/interrupt.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>

namespace ds::clients {
namespace {

/// Text that a signal handler can read at any moment: two buffers, of which `current` is never being written
/// to.
template <std::size_t Size>
struct HandlerText {
  std::array<std::array<char, Size>, 2> buffers{};
  std::atomic<int> current{0};

  void set(const std::string& text) {
    const int next = 1 - current.load();
    auto& buffer = buffers.at(static_cast<std::size_t>(next));
    const std::size_t length = std::min(text.size(), Size - 1);
    std::memcpy(buffer.data(), text.data(), length);
    buffer.at(length) = '\0';
    current.store(next);
  }
  const char* get() const { return buffers[static_cast<std::size_t>(current.load())].data(); }
};

HandlerText<2048> message_text;
HandlerText<4096> cleanup_path;
static_assert(std::atomic<int>::is_always_lock_free);

// Only calls that are allowed in a signal handler.
extern "C" void end_at_once(int signal_number) {
  const char* message = message_text.get();
  if (signal_number == SIGINT && *message != '\0') {
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, message, std::strlen(message));
  }
  const char* path = cleanup_path.get();
  if (*path != '\0') ::unlink(path);
  ::_exit(128 + signal_number);
}

}  // namespace

void install_interrupt_handlers() {
  struct sigaction action {};
  action.sa_handler = end_at_once;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    ::sigaction(number, nullptr, &before);
    // nohup is obeyed. A shell's `&` also ignores SIGINT, but whoever sends it to this process means it.
    if (before.sa_handler == SIG_IGN && number != SIGINT) continue;
    ::sigaction(number, &action, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);
}

void set_interrupt_message(const std::string& message) {
  message_text.set(message);
}
void set_interrupt_cleanup(const std::string& path) {
  cleanup_path.set(path);
}

}  // namespace ds::clients

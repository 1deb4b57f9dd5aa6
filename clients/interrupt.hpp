#pragma once

#include <string>

namespace ds::clients {

/// Makes SIGINT, SIGTERM and SIGHUP end the program at once with 128 + number (130 for Ctrl-C), whatever it
/// waits for, and writes to a closed pipe fail instead of killing. Call first, once.
void install_interrupt_handlers();

/// What an interrupt says on standard error before the program ends; replaces what was set before.
void set_interrupt_message(const std::string& message);

/// A file that an interrupt removes; empty for none.
void set_interrupt_cleanup(const std::string& path);

}  // namespace ds::clients

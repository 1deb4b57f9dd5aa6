#pragma once

#include <cstddef>
#include <string_view>

namespace ds::clients {

/// Whether the two streams are terminals, how wide, and whether colour may be used there.
struct Terminal {
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool colour_out = false;  ///< off when NO_COLOR is set, TERM is dumb, or it is no terminal
  std::size_t width = 80;
};

Terminal look_at_terminal();

/// Data: to standard output, at once. A reader that has gone (`| head`) ends the program with 141, as a shell
/// shows it; a full disk is a `Failure`.
void write_out(std::string_view text);

/// Talk: to standard error, at once. What cannot be written there is lost.
void write_err(std::string_view text);

}  // namespace ds::clients

#include "clients/command_line.hpp"
#include "clients/interrupt.hpp"

int main(int argc, char** argv) {
  ds::clients::install_interrupt_handlers();
  return ds::clients::run_command_line(argc, argv);
}

#include <cstdio>

#include "tests/unit/models/zoo_cases.hpp"

/// Prints the bits that training leaves, for a test that compares processes.
int main() {
  std::fputs(ds::train::bits_of_all_cases().c_str(), stdout);
}

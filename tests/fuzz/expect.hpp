#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

/// What must hold for every input; ends the process otherwise, which the fuzzer reports with the input.
#define EXPECT_HOLDS(condition)                                                           \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

#define EXPECT_SAME_BYTES(encoded, block) \
  EXPECT_HOLDS(std::ranges::equal(std::span<const std::byte>(encoded), std::span<const std::byte>(block)))

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "actors/fabric/buffer_inspect.hpp"
#include "actors/fabric/fabric.hpp"
#include "actors/fabric/message_types.hpp"
#include "actors/fabric/real.hpp"

namespace ds::fabric::test {

enum class Colour : std::uint8_t { red, green };

struct Ping {
  std::uint64_t number = 0;
  bool operator==(const Ping&) const = default;
};
template <class Inspector>
auto inspect(Inspector& f, Ping& x) {
  return f(x.number);
}

struct Ask {
  std::string what;
  ActorAddress whom;
  bool operator==(const Ask&) const = default;
};
template <class Inspector>
auto inspect(Inspector& f, Ask& x) {
  return f(x.what, x.whom);
}

struct Everything {
  bool yes = false;
  std::uint8_t u8 = 0;
  std::int8_t i8 = 0;
  std::uint16_t u16 = 0;
  std::int16_t i16 = 0;
  std::uint32_t u32 = 0;
  std::int32_t i32 = 0;
  std::uint64_t u64 = 0;
  std::int64_t i64 = 0;
  Colour colour = Colour::red;
  std::string text;
  Real real;
  std::vector<Real> reals;
  std::vector<std::uint8_t> raw;
  std::vector<std::string> texts;
  std::vector<Ping> pings;
  std::map<std::string, Real> metrics;
  Buffer buffer;
  std::vector<Buffer> buffers;
  bool operator==(const Everything&) const = default;
};
template <class Inspector>
auto inspect(Inspector& f, Everything& x) {
  return f(x.yes, x.u8, x.i8, x.u16, x.i16, x.u32, x.i32, x.u64, x.i64, x.colour, x.text, x.real, x.reals,
           x.raw, x.texts, x.pings, x.metrics, x.buffer, x.buffers);
}

struct Stop {
  bool operator==(const Stop&) const = default;
};
template <class Inspector>
auto inspect(Inspector& f, Stop&) {
  return f();
}

inline void add_test_messages(caf::actor_system_config& config) {
  add_message<Ping>(config, "Ping");
  add_message<Ask>(config, "Ask");
  add_message<Everything>(config, "Everything");
  add_message<Stop>(config, "Stop");
}

}  // namespace ds::fabric::test

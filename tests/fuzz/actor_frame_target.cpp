// Feeds anything to the decoder of actor frames, as a peer that proved the secret could. The first byte says
// how many buffers lie beside the message; they are of 0, 1, 2, ... bytes.
#include <caf/all.hpp>

#include "actors/fabric/envelope.hpp"
#include "actors/fabric/message_codec.hpp"
#include "tests/fuzz/expect.hpp"
#include "tests/unit/fabric/test_messages.hpp"

using namespace ds;
using namespace ds::fabric;

namespace {

struct Site {
  struct Configuration : caf::actor_system_config {
    Configuration() {
      set("scheduler.max-threads", 1);
      test::add_test_messages(*this);
    }
  };
  Configuration config;
  caf::actor_system system{config};
};

Site& site() {
  static Site* const all = new Site;  // kept to the end: its threads must not outlive it
  return *all;
}

std::vector<Buffer> parts_of(std::span<const std::byte> block, std::size_t buffers) {
  std::vector<Buffer> parts = {Buffer::copy_of(block)};
  for (std::size_t i = 0; i < buffers; ++i) parts.push_back(Buffer::copy_of(std::string(i, 'b')));
  return parts;
}

// An envelope has one form only.
void check_envelope(const Envelope& envelope, std::span<const std::byte> block) {
  MessageWriter writer(site().system);
  EXPECT_HOLDS(!writer(envelope));
  const auto parts = writer.take_parts();
  EXPECT_HOLDS(parts[0].size() <= block.size());
  EXPECT_SAME_BYTES(parts[0].bytes(), block.first(parts[0].size()));
}

// A message may have several forms (any byte but 0 is true), but its own writer knows one: what it writes can
// be read and is written the same again.
void check_message(const caf::message& content) {
  MessageWriter writer(site().system);
  if (caf::message::save(writer, content)) return;  // a long double has no form
  auto parts = writer.take_parts();
  MessageReader reader(site().system, parts);
  caf::message again;
  EXPECT_HOLDS(!reader(again));
  EXPECT_HOLDS(reader.complete());
  MessageWriter second(site().system);
  EXPECT_HOLDS(!caf::message::save(second, again));
  const auto same = second.take_parts();
  EXPECT_HOLDS(same == parts);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const auto block = std::as_bytes(std::span(bytes, size)).subspan(1);
  const auto parts = parts_of(block, bytes[0] % 4);
  MessageReader reader(site().system, parts);
  try {
    Envelope envelope;
    if (reader(envelope)) return 0;
    check_envelope(envelope, block);
    if (envelope.kind == Kind::message) {
      caf::message content;
      if (reader(content)) return 0;
      check_message(content);
    } else if (envelope.kind == Kind::down || envelope.kind == Kind::exit) {
      caf::error reason;
      if (reader(reason)) return 0;
      site().system.render(reason);
    }
  } catch (const std::exception&) {
    // The fabric drops a peer whose frame makes CAF throw.
  }
  return 0;
}

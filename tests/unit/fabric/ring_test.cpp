#include "actors/fabric/ring.hpp"

#include <gtest/gtest.h>

#include <random>
#include <thread>
#include <vector>

namespace ds::fabric {
namespace {

struct Ring {
  explicit Ring(std::size_t size) : memory(size) {}
  RingControl control;
  std::vector<std::byte> memory;
};

bool write(RingWriter& writer, std::uint32_t kind, const std::vector<std::byte>& payload) {
  std::byte* to = writer.reserve(kind, payload.size());
  if (to == nullptr) return false;
  std::copy(payload.begin(), payload.end(), to);
  writer.commit();
  return true;
}

std::vector<std::byte> payload_of(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::byte> payload(random() % 300);
  for (auto& byte : payload) byte = static_cast<std::byte>(random());
  return payload;
}

TEST(Ring, CarriesRecordsOfAllSizesBetweenTwoThreads) {
  Ring ring(4096);
  constexpr unsigned kRecords = 50'000;
  std::thread writing([&] {
    RingWriter writer(ring.control, ring.memory);
    for (unsigned i = 0; i < kRecords; ++i) {
      while (!write(writer, 1 + i % 5, payload_of(i))) std::this_thread::yield();
    }
  });
  RingReader reader(ring.control, ring.memory);
  for (unsigned i = 0; i < kRecords; ++i) {
    auto record = reader.peek();
    while (!record) {
      std::this_thread::yield();
      record = reader.peek();
    }
    EXPECT_EQ(record->kind, 1 + i % 5);
    const auto expected = payload_of(i);
    if (!std::equal(expected.begin(), expected.end(), record->payload.begin(), record->payload.end())) {
      ADD_FAILURE() << "record " << i;
      break;
    }
    reader.pop();
  }
  writing.join();
  EXPECT_TRUE(reader.empty());
}

TEST(Ring, IsFullUntilTheReaderGivesSomethingBack) {
  Ring ring(1024);
  RingWriter writer(ring.control, ring.memory);
  RingReader reader(ring.control, ring.memory);
  const std::vector<std::byte> payload(writer.max_payload());
  EXPECT_TRUE(write(writer, 1, payload));
  EXPECT_TRUE(write(writer, 1, payload));
  EXPECT_FALSE(write(writer, 1, {}));
  ASSERT_TRUE(reader.peek());
  reader.pop();
  EXPECT_TRUE(write(writer, 1, {}));
}

TEST(Ring, NeverReadsOutsideItsMemoryWhateverStandsThere) {
  std::mt19937_64 random(20261124);
  for (int round = 0; round < 20'000; ++round) {
    Ring ring(256);
    for (auto& byte : ring.memory) byte = static_cast<std::byte>(random() % 7 == 0 ? random() : 0);
    const std::uint64_t head = random() % 3 == 0 ? random() : 8 * (random() % 40);
    ring.control.head = head;
    RingReader reader(ring.control, ring.memory);
    for (int i = 0; i < 100; ++i) {
      auto record = reader.peek();
      if (!record) break;
      ASSERT_GE(record->payload.data(), ring.memory.data());
      ASSERT_LE(record->payload.data() + record->payload.size(), ring.memory.data() + ring.memory.size());
      reader.pop();
    }
    EXPECT_TRUE(reader.corrupt() || reader.empty());
  }
}

}  // namespace
}  // namespace ds::fabric

#pragma once

#include <atomic>
#include <cstdint>

namespace ds::storage {

/// Counts what this process reads and learns of data sets: bytes of files, packed ones as they are read, and
/// the steps of learning that read nothing. Whoever waits for a reader tells by it one that goes on from one
/// that stands still. Never falls. Any thread.
class ReadMeter {
 public:
  static void add(std::uint64_t amount) { total().fetch_add(amount, std::memory_order_relaxed); }
  static std::uint64_t read() { return total().load(std::memory_order_relaxed); }

 private:
  // One for the process: it reads the data of one job, through many hands.
  static std::atomic<std::uint64_t>& total() {
    static std::atomic<std::uint64_t> total{0};
    return total;
  }
};

}  // namespace ds::storage

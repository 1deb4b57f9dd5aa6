#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>

/// What the programs of the allreduce suite share: how one contender's all-reduce is run, timed and checked.
namespace ds::bench {

struct Race {
  std::uint32_t rank = 0;
  std::uint32_t ranks = 1;
  std::size_t elements = 0;
  double seconds = 1;
  std::string folder;  ///< of this race alone; the ranks find each other in it and leave their times
};

/// One rank of a contender, with the memory it likes best. Where `input` and `output` are the same memory,
/// each operation starts from the result of the one before.
struct Contender {
  virtual ~Contender() = default;
  virtual std::span<float> input() = 0;
  virtual std::span<float> output() = 0;
  virtual void all_reduce() = 0;
  /// What the output is a multiple of the sum by, where it is not the input.
  virtual float scale() const { return 1; }
};

/// A barrier in a page that processes of one host share; the same for every contender, and none of theirs. It
/// yields the core while it waits, and fails after a minute, so that the death of a rank ends all.
class Barrier {
 public:
  struct Page {
    std::atomic<std::uint32_t> arrived;
    std::atomic<std::uint32_t> turn;
    std::atomic<std::uint32_t> repeats;  ///< operations in the next block, 0: the race is over; set by rank 0
  };
  static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

  Barrier(Page* page, std::uint32_t ranks) : page_(page), ranks_(ranks) {}
  /// In a file of the race's folder.
  static Barrier open(const Race& race);
  void wait();
  Page& page() { return *page_; }

 private:
  Page* page_;
  std::uint32_t ranks_;
};

/// Reads `RANK RANKS ELEMENTS SECONDS FOLDER`.
Race parse_race(int argc, char** argv);

/// Runs blocks of operations until the time is over and writes `FOLDER/times.RANK`: a line a block,
/// microseconds an operation. All ranks run the same blocks. Ends the process with a message when a sum is
/// wrong.
void run_race(const Race& race, Contender& contender);

[[noreturn]] void fail(const std::string& why);

}  // namespace ds::bench

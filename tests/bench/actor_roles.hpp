#pragma once

#include <algorithm>
#include <caf/all.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

/// The actors of the fabric suite: the same code over the fabric and over CAF's BASP. `Bytes` is what carries
/// a buffer there.
namespace ds::bench {

using Clock = std::chrono::steady_clock;

/// 8 bytes; the answer is the same 8 bytes.
struct Question {
  std::uint64_t number = 0;
};
template <class Inspector>
auto inspect(Inspector& f, Question& x) {
  return f(x.number);
}

/// 8 bytes, not answered.
struct Note {
  std::uint64_t number = 0;
};
template <class Inspector>
auto inspect(Inspector& f, Note& x) {
  return f(x.number);
}

/// Asks how many notes arrived so far.
struct CountNotes {
  std::uint64_t sent = 0;
};
template <class Inspector>
auto inspect(Inspector& f, CountNotes& x) {
  return f(x.sent);
}

/// Before a buffer: for the actor beside the one that answers questions, whom it must not hold up.
struct Aside {
  std::uint64_t number = 0;
};
template <class Inspector>
auto inspect(Inspector& f, Aside& x) {
  return f(x.number);
}

inline void add_messages(caf::actor_system_config& config) {
  config.add_message_type<Question>("ds::bench::Question");
  config.add_message_type<Note>("ds::bench::Note");
  config.add_message_type<CountNotes>("ds::bench::CountNotes");
  config.add_message_type<Aside>("ds::bench::Aside");
}

[[noreturn]] inline void fail(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::_Exit(1);
}

inline std::span<const std::byte> view(const std::vector<char>& bytes) {
  return std::as_bytes(std::span(bytes));
}

/// Reads one word of every cache line.
inline std::uint64_t digest(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at + sizeof(sum) <= bytes.size(); at += 64) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    sum += word;
  }
  return sum;
}

struct Tally {
  std::uint64_t notes = 0;
};

/// Takes buffers beside the actor that answers, and looks at their first page only.
template <class Bytes>
caf::behavior take_aside(caf::event_based_actor*) {
  return {
      [](const Bytes& bytes) {
        const auto all = view(bytes);
        return Question{digest(all.first(std::min<std::size_t>(all.size(), 4096)))};
      },
  };
}

/// The actor that is measured against.
template <class Bytes>
caf::behavior serve(caf::stateful_actor<Tally>* self) {
  auto beside = self->template spawn<caf::linked>(take_aside<Bytes>);
  return {
      [](Question question) { return question; },
      [self](Note note) {
        if (note.number != self->state.notes++) fail("a note was lost, doubled or overtaken");
      },
      [self](CountNotes) { return Question{self->state.notes}; },
      [](const Bytes& bytes) { return Question{digest(view(bytes))}; },
      [self, beside](Aside, const Bytes& bytes) { return self->delegate(beside, bytes); },
  };
}

/// Tells warm-up, measurement and the end apart.
class Period {
 public:
  explicit Period(double seconds) : seconds_(seconds) {}
  /// True from the end of the warm-up on.
  bool measuring() {
    const auto now = Clock::now();
    if (first_ == Clock::time_point()) first_ = now;
    if (start_ == Clock::time_point() && since(first_, now) >= seconds_ / 5) start_ = now;
    return start_ != Clock::time_point();
  }
  double elapsed() const { return since(start_, Clock::now()); }
  bool over() const { return start_ != Clock::time_point() && elapsed() >= seconds_; }

 private:
  static double since(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  }
  double seconds_;
  Clock::time_point first_;
  Clock::time_point start_;
};

/// What drives a case; ends itself after printing one line of JSON with its `value`.
struct Driver {
  caf::actor server;
  Period period{0};
  std::function<caf::message()> next_block;
  std::uint64_t block_digest = 0;  ///< what the server must answer to it
  std::size_t block_bytes = 0;
  bool tail = false;  ///< the value is the 99th percentile, not the median
  std::vector<double> samples;
  std::uint64_t sent = 0;
  std::uint64_t counted = 0;  ///< acknowledged since the measurement began
  int in_flight = 0;
};
using DriverActor = caf::stateful_actor<Driver>;

inline auto give_up(DriverActor* self) {
  return [self](const caf::error& error) { fail("a request failed: " + self->system().render(error)); };
}

inline void ask_next(DriverActor* self) {
  Driver& state = self->state;
  const std::uint64_t number = ++state.sent;
  const auto start = Clock::now();
  self->request(state.server, caf::infinite, Question{number})
      .then(
          [self, number, start](Question answer) {
            Driver& driver = self->state;
            if (answer.number != number) fail("an answer belongs to another question");
            const double us = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
            if (driver.period.measuring()) driver.samples.push_back(us);
            if (!driver.period.over()) return ask_next(self);
            std::sort(driver.samples.begin(), driver.samples.end());
            const std::size_t count = driver.samples.size();
            const double median = driver.samples[count / 2], tail = driver.samples[count * 99 / 100];
            std::printf("{\"value\": %.3f, \"median\": %.3f, \"p99\": %.3f}\n", driver.tail ? tail : median,
                        median, tail);
            self->quit();
          },
          give_up(self));
}

inline constexpr int kNotesInBatch = 2000;
inline constexpr int kBatchesInFlight = 4;

inline void send_batch(DriverActor* self) {
  Driver& state = self->state;
  for (int i = 0; i < kNotesInBatch; ++i) self->send(state.server, Note{state.sent++});
  ++state.in_flight;
  const std::uint64_t sent = state.sent;
  self->request(state.server, caf::infinite, CountNotes{sent})
      .then(
          [self, sent](Question arrived) {
            Driver& driver = self->state;
            if (arrived.number != sent) fail("not every note arrived");
            --driver.in_flight;
            if (driver.period.over()) {
              if (driver.in_flight > 0) return;
              std::printf("{\"value\": %.1f}\n", driver.samples.front());
              return self->quit();
            }
            if (driver.period.measuring()) {
              if (driver.counted == 0) driver.counted = sent;
              const double elapsed = driver.period.elapsed();
              if (elapsed > 0) driver.samples = {static_cast<double>(sent - driver.counted) / elapsed};
            }
            send_batch(self);
          },
          give_up(self));
}

inline constexpr int kBlocksInFlight = 4;

inline void send_block(DriverActor* self) {
  Driver& state = self->state;
  ++state.in_flight;
  self->request(state.server, caf::infinite, state.next_block())
      .then(
          [self](Question answer) {
            Driver& driver = self->state;
            if (answer.number != driver.block_digest) fail("a buffer arrived with other bytes");
            --driver.in_flight;
            if (driver.period.over()) {
              if (driver.in_flight > 0) return;
              std::printf("{\"value\": %.4f}\n", driver.samples.front());
              return self->quit();
            }
            if (driver.period.measuring()) {
              const double elapsed = driver.period.elapsed();
              const double bytes =
                  static_cast<double>(driver.counted) * static_cast<double>(driver.block_bytes);
              if (elapsed > 0) driver.samples = {bytes / elapsed / 1e9};
              ++driver.counted;
            }
            send_block(self);
          },
          give_up(self));
}

struct Work {
  std::string
      what;  ///< ask, send, buffer (one again and again), fresh (buffers), beside (ask beside buffers)
  double seconds = 1;
  std::size_t bytes = 0;  ///< of a buffer
};

/// Does `work` against `server` and returns when it is done. `make_bytes` makes a `Bytes` of a vector.
template <class MakeBytes>
void drive(caf::actor_system& system, const caf::actor& server, const Work& work, MakeBytes make_bytes) {
  std::vector<char> content(work.bytes);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 131 + (i >> 8));
  const std::uint64_t expected = digest(view(content));
  const auto make_block = [&] { return caf::make_message(make_bytes(content)); };
  const bool beside = work.what == "beside";
  auto driver = [&, server](DriverActor* self) {
    Driver& state = self->state;
    state.server = server;
    state.period = Period(work.seconds);
    self->monitor(server);
    self->set_down_handler([](caf::down_msg&) { fail("the server is gone"); });
    if (work.what == "ask" || beside) {
      state.tail = beside;
      state.samples.reserve(std::size_t{1} << 20);
      ask_next(self);
    } else if (work.what == "send") {
      for (int i = 0; i < kBatchesInFlight; ++i) send_batch(self);
    } else if (work.what == "buffer" || work.what == "fresh") {
      state.next_block = make_block;
      if (work.what == "buffer") state.next_block = [block = make_block()] { return block; };
      state.block_digest = expected;
      state.block_bytes = content.size();
      for (int i = 0; i < kBlocksInFlight; ++i) send_block(self);
    } else {
      fail("unknown work: " + work.what);
    }
  };
  auto stream = [&, server](DriverActor* self) {
    Driver& state = self->state;
    state.server = server;
    state.period = Period(1e9);  // until it is killed
    state.next_block = [&] { return caf::make_message(Aside{}, make_bytes(content)); };
    state.block_digest = digest(view(content).first(std::min<std::size_t>(content.size(), 4096)));
    for (int i = 0; i < 2; ++i) send_block(self);
  };
  caf::actor streaming;
  if (beside) streaming = system.spawn(stream);
  auto actor = system.spawn(driver);
  caf::scoped_actor waiter(system);
  waiter->wait_for(actor);
  if (!streaming) return;
  caf::anon_send_exit(streaming, caf::exit_reason::kill);
  waiter->wait_for(streaming);
}

/// `serve` or `drive WHAT SECONDS BYTES ADDRESS`, from argument `first` on.
inline bool wants_to_serve(int argc, char** argv, int first) {
  return argc == first + 1 && std::string(argv[first]) == "serve";
}

inline Work parse_work(int argc, char** argv, int first) {
  if (argc != first + 5 || std::string(argv[first]) != "drive") {
    fail("usage: serve | drive ask|send|buffer|fresh|beside SECONDS BYTES ADDRESS");
  }
  return {argv[first + 1], std::atof(argv[first + 2]), std::strtoull(argv[first + 3], nullptr, 10)};
}

/// A server lives until its standard input ends.
inline void serve_until_input_ends(const std::string& address) {
  std::printf("%s\n", address.c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}

}  // namespace ds::bench

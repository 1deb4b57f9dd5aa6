#include "tests/chaos/actor_traffic.hpp"

#include <array>
#include <caf/all.hpp>
#include <map>
#include <random>

#include "actors/fabric/message_types.hpp"
#include "tests/chaos/payload.hpp"

namespace ds::chaos {
namespace {

using namespace std::chrono_literals;
using fabric::ProcessAddress;

constexpr std::uint64_t kEchoActor = 1;
constexpr std::uint64_t kFirstReceiver = 2;
constexpr std::size_t kReceivers = 2;
constexpr std::size_t kSenders = 2;
constexpr std::uint64_t kWindowBytes = std::uint64_t{16} << 20;
constexpr std::uint64_t kAcknowledgeBytes = std::uint64_t{1} << 20;
constexpr std::size_t kMaxQuestions = 8;  ///< unanswered, a peer
constexpr auto kPause = 100ms;            ///< before a handle that is down is replaced

struct Tick {
  bool operator==(const Tick&) const = default;
};
template <class Inspector>
auto inspect(Inspector& f, Tick&) {
  return f();
}

struct Finish {
  bool operator==(const Finish&) const = default;
};
template <class Inspector>
auto inspect(Inspector& f, Finish&) {
  return f();
}

struct Numbered {
  std::uint64_t from = 0;
  std::uint16_t stream = 0;
  std::uint32_t epoch = 0;
  std::uint64_t sequence = 0;
  std::int64_t sent_ns = 0;
  Buffer payload;
  bool operator==(const Numbered&) const = default;
};
template <class Inspector>
auto inspect(Inspector& f, Numbered& x) {
  return f(x.from, x.stream, x.epoch, x.sequence, x.sent_ns, x.payload);
}

/// How many payload bytes of an epoch the receiver has.
struct Progress {
  std::uint64_t process = 0;
  std::uint16_t stream = 0;
  std::uint32_t epoch = 0;
  std::uint64_t bytes = 0;
  bool operator==(const Progress&) const = default;
};
template <class Inspector>
auto inspect(Inspector& f, Progress& x) {
  return f(x.process, x.stream, x.epoch, x.bytes);
}

struct Question {
  std::uint64_t number = 0;
  Buffer payload;
  bool operator==(const Question&) const = default;
};
template <class Inspector>
auto inspect(Inspector& f, Question& x) {
  return f(x.number, x.payload);
}

struct Answer {
  std::uint64_t number = 0;
  Buffer payload;
  bool operator==(const Answer&) const = default;
};
template <class Inspector>
auto inspect(Inspector& f, Answer& x) {
  return f(x.number, x.payload);
}

std::uint64_t key_of(std::uint64_t from, std::uint16_t stream, std::uint32_t epoch, std::uint64_t sequence) {
  return from ^ sequence ^ std::uint64_t{epoch} << 48 ^ std::uint64_t{stream} << 40;
}

/// A handle of an actor in another slot, got anew when it is down or another process runs there.
struct Target {
  std::size_t slot = 0;
  std::uint64_t actor = 0;
  std::uint64_t process = 0;
  caf::actor handle;
  std::uint32_t epoch = 0;
  std::int64_t not_before_ns = 0;

  /// True when there is a handle; `on_new` was called when it is a new one.
  template <class OnNew>
  bool ready(caf::event_based_actor* self, const ActorTraffic::Surroundings& around, OnNew on_new) {
    auto now_there = around.peers.get(slot);
    if (now_there && now_there->id != process) {
      process = now_there->id;
      handle = nullptr;
      epoch = 0;
      not_before_ns = 0;
    }
    if (!handle && now_there && around.running && now_ns() >= not_before_ns) {
      handle = around.fabric.resolve({*now_there, actor});
      ++epoch;
      on_new();
      self->monitor(handle);
    }
    return static_cast<bool>(handle);
  }

  bool on_down(const caf::down_msg& down) {
    if (!handle || down.source != caf::actor_cast<caf::actor_addr>(handle)) return false;
    handle = nullptr;
    not_before_ns = now_ns() + std::chrono::nanoseconds(kPause).count();
    return true;
  }
};

// ---- one way ------------------------------------------------------------------------------------

struct SenderState {
  struct Stream : Target {
    std::uint16_t number = 0;
    std::uint64_t sequence = 0;
    std::uint64_t sent_bytes = 0;
    std::uint64_t told_bytes = 0;
  };
  std::vector<Stream> streams;
  std::mt19937_64 random;
};

void send_some(caf::stateful_actor<SenderState>* self, const ActorTraffic::Surroundings& around,
               SenderState::Stream& stream) {
  const std::size_t burst = 1 + self->state.random() % 4;
  for (std::size_t i = 0; i < burst; ++i) {
    const std::size_t size = draw_size(self->state.random);
    if (stream.sent_bytes - stream.told_bytes + size > kWindowBytes) return;
    Numbered message;
    message.from = around.fabric.self().id;
    message.stream = stream.number;
    message.epoch = stream.epoch;
    message.sequence = ++stream.sequence;
    message.sent_ns = now_ns();
    message.payload =
        make_payload(key_of(message.from, message.stream, message.epoch, message.sequence), size);
    stream.sent_bytes += size;
    self->send(stream.handle, std::move(message));
  }
}

caf::behavior sender(caf::stateful_actor<SenderState>* self, const ActorTraffic::Surroundings* around,
                     std::uint16_t index) {
  self->state.random.seed(around->fabric.self().id + index);
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    for (std::size_t receiver = 0; slot != around->slot && receiver < kReceivers; ++receiver) {
      SenderState::Stream stream;
      stream.slot = slot;
      stream.actor = kFirstReceiver + receiver;
      stream.number = static_cast<std::uint16_t>(index * kReceivers + receiver);
      self->state.streams.push_back(std::move(stream));
    }
  }
  auto record = [around](Event event, const SenderState::Stream& stream) {
    Record entry;
    entry.event = event;
    entry.peer = stream.process;
    entry.stream = stream.number;
    entry.epoch = stream.epoch;
    entry.sequence = stream.sequence;
    around->journal.write(entry);
  };
  self->set_down_handler([self, record](const caf::down_msg& down) {
    for (auto& stream : self->state.streams) {
      if (stream.on_down(down)) record(Event::actor_down, stream);
    }
  });
  self->send(self, Tick{});
  return {
      [self, around](Tick) {
        for (auto& stream : self->state.streams) {
          const bool ready = stream.ready(
              self, *around, [&] { stream.sequence = stream.sent_bytes = stream.told_bytes = 0; });
          if (ready && around->running && self->state.random() % 3 == 0) send_some(self, *around, stream);
        }
        self->delayed_send(self, 10ms, Tick{});
      },
      [self](const Progress& progress) {
        for (auto& stream : self->state.streams) {
          if (stream.number == progress.stream && stream.process == progress.process &&
              stream.epoch == progress.epoch) {
            stream.told_bytes = progress.bytes;
          }
        }
      },
      [self, record](Finish) {
        for (auto& stream : self->state.streams) {
          if (stream.handle) record(Event::actor_total, stream);
        }
        return Finish{};
      },
  };
}

struct ReceiverState {
  struct Stream {
    std::uint32_t epoch = 0;
    std::uint64_t bytes = 0;
    std::uint64_t told = 0;
  };
  std::map<std::pair<std::uint64_t, std::uint16_t>, Stream> streams;
};

caf::behavior receiver(caf::stateful_actor<ReceiverState>* self, const ActorTraffic::Surroundings* around) {
  return {[self, around](const Numbered& message) {
    Record record;
    record.peer = message.from;
    record.stream = message.stream;
    record.epoch = message.epoch;
    record.sequence = message.sequence;
    record.sent_ns = message.sent_ns;
    const auto key = key_of(message.from, message.stream, message.epoch, message.sequence);
    record.event = is_payload(message.payload, key) ? Event::actor_received : Event::damaged;
    around->journal.write(record);

    auto& stream = self->state.streams[{message.from, message.stream}];
    if (stream.epoch != message.epoch) stream = {message.epoch, 0, 0};
    stream.bytes += message.payload.size();
    if (stream.bytes - stream.told < kAcknowledgeBytes) return;
    stream.told = stream.bytes;
    self->send(caf::actor_cast<caf::actor>(self->current_sender()),
               Progress{around->fabric.self().id, message.stream, message.epoch, stream.bytes});
  }};
}

// ---- requests and monitors ----------------------------------------------------------------------

caf::behavior echo(caf::event_based_actor*, int) {
  return {[](const Question& question) { return Answer{question.number, question.payload}; }};
}

struct AskerState {
  struct Peer : Target {
    std::size_t unanswered = 0;
  };
  std::array<Peer, kSlots> peers;
  std::map<caf::actor_addr, std::pair<std::uint64_t, std::uint64_t>> watches;  ///< process, number
  std::uint64_t next = 1;
  std::mt19937_64 random;
};

Record ask_record(Event event, std::uint64_t peer, std::uint64_t number) {
  Record record;
  record.event = event;
  record.peer = peer;
  record.sequence = number;
  return record;
}

void ask(caf::stateful_actor<AskerState>* self, const ActorTraffic::Surroundings& around,
         AskerState::Peer& peer) {
  const std::uint64_t number = self->state.next++;
  Question question{number, make_payload(number, draw_size(self->state.random))};
  around.journal.write(ask_record(Event::ask, peer.process, number));
  ++peer.unanswered;
  self->request(peer.handle, caf::infinite, std::move(question))
      .then(
          [&around, &peer, number, process = peer.process](const Answer& answer) {
            --peer.unanswered;
            const bool right = answer.number == number && is_payload(answer.payload, number);
            around.journal.write(ask_record(right ? Event::answered : Event::damaged, process, number));
          },
          [&around, &peer, number, process = peer.process](const caf::error&) {
            --peer.unanswered;
            around.journal.write(ask_record(Event::failed, process, number));
          });
}

caf::behavior asker(caf::stateful_actor<AskerState>* self, const ActorTraffic::Surroundings* around) {
  self->state.random.seed(around->fabric.self().id + 99);
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    self->state.peers[slot].slot = slot;
    self->state.peers[slot].actor = kEchoActor;
  }
  self->set_down_handler([self, around](const caf::down_msg& down) {
    // All that were ever set are kept, so that one that fires twice is seen.
    if (auto watch = self->state.watches.find(down.source); watch != self->state.watches.end()) {
      around->journal.write(ask_record(Event::watch_down, watch->second.first, watch->second.second));
    }
    for (auto& peer : self->state.peers) peer.on_down(down);
  });
  self->send(self, Tick{});
  return {[self, around](Tick) {
    for (auto& peer : self->state.peers) {
      if (peer.slot == around->slot) continue;
      const bool ready = peer.ready(self, *around, [&] {
        const std::uint64_t number = self->state.next++;
        around->journal.write(ask_record(Event::watch, peer.process, number));
        self->state.watches[caf::actor_cast<caf::actor_addr>(peer.handle)] = {peer.process, number};
      });
      if (ready && around->running && peer.unanswered < kMaxQuestions) ask(self, *around, peer);
    }
    self->delayed_send(self, 10ms, Tick{});
  }};
}

}  // namespace

void add_chaos_messages(caf::actor_system_config& config) {
  fabric::add_message<Tick>(config, "chaos.Tick");
  fabric::add_message<Finish>(config, "chaos.Finish");
  fabric::add_message<Numbered>(config, "chaos.Numbered");
  fabric::add_message<Progress>(config, "chaos.Progress");
  fabric::add_message<Question>(config, "chaos.Question");
  fabric::add_message<Answer>(config, "chaos.Answer");
}

ActorTraffic::ActorTraffic(std::size_t slot, caf::actor_system& system, fabric::Fabric& fabric,
                           PeerTable& peers, Journal& journal)
    : system_(system), surroundings_{slot, fabric, peers, journal, running_} {
  others_.push_back(system.spawn(echo, 0));
  fabric.publish(kEchoActor, others_.back());
  for (std::size_t i = 0; i < kReceivers; ++i) {
    others_.push_back(system.spawn(receiver, &surroundings_));
    fabric.publish(kFirstReceiver + i, others_.back());
  }
  for (std::size_t i = 0; i < kSenders; ++i)
    senders_.push_back(system.spawn(sender, &surroundings_, static_cast<std::uint16_t>(i)));
  others_.push_back(system.spawn(asker, &surroundings_));
}

ActorTraffic::~ActorTraffic() {
  caf::scoped_actor self(system_);
  for (auto* actors : {&senders_, &others_}) {
    for (auto& actor : *actors) self->send_exit(actor, caf::exit_reason::kill);
    self->wait_for(*actors);
  }
}

void ActorTraffic::stop() {
  running_ = false;
  caf::scoped_actor self(system_);
  for (auto& actor : senders_) {
    self->request(actor, caf::infinite, Finish{})
        .receive([](Finish) {}, [](const caf::error&) { std::abort(); });
  }
}

}  // namespace ds::chaos

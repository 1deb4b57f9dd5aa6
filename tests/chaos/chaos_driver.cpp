// Chaos over the fabric: 4 processes exchange checked traffic while they are killed, stopped and restarted at
// random.
//
//   fabric_chaos [--seconds 60] [--seed NUMBER] [--keep FOLDER]
//
// Ends with 0 when nothing was found. A failure prints the seed and the command that repeats it. With --keep
// the journals stay.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <sstream>
#include <thread>

#include "tests/chaos/peer_process.hpp"
#include "tests/chaos/peer_table.hpp"
#include "tests/chaos/traffic_check.hpp"

namespace ds::chaos {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr std::int64_t kMillisecond = 1'000'000;
constexpr auto kPatience = 60s;
constexpr auto kCalm = 7s;  ///< after the last fault; what comes of it is over then

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryTells = false;  ///< a sanitizer keeps freed memory
#else
constexpr bool kMemoryTells = true;
#endif

struct Slot {
  enum class State { running, stopped, dead };
  State state = State::dead;
  std::unique_ptr<PeerProcess> process;
  std::size_t incarnation = 0;  ///< index
  std::uint16_t port = 0;
  std::int64_t next_ns = 0;  ///< when it wakes or starts again
};

// Two samples a second. What a process keeps for reuse, blocks of memory above all, is there after the
// warm-up.
constexpr std::size_t kWarm = 30, kEnough = 30;
// A process may keep 256 MiB of blocks, and has as much to do with as its peers may send at once.
constexpr std::size_t kMostResident = std::size_t{448} << 20;
// The pools of connections that are left alone fill up: a minute after the last fault they have come to rest
// at 60 descriptors and 105 segments of shared memory.
constexpr std::size_t kMostDescriptors = 90, kMostShared = 150;

struct Sample {
  Holdings held;
  std::size_t resident = 0;
};

/// Some samples in a row: the least that was held, for what faults leave behind stays, while what filled a
/// pool goes with its connection; and the most memory.
struct Span {
  Holdings least;
  std::size_t most_resident = 0;
};

Span span_of(std::span<const Sample> samples) {
  Span span{samples.front().held, 0};
  for (const Sample& sample : samples) {
    span.least.descriptors = std::min(span.least.descriptors, sample.held.descriptors);
    span.least.mappings = std::min(span.least.mappings, sample.held.mappings);
    span.least.shared = std::min(span.least.shared, sample.held.shared);
    span.most_resident = std::max(span.most_resident, sample.resident);
  }
  return span;
}

class Chaos {
 public:
  Chaos(std::uint64_t seed, fs::path program) : random_(seed), program_(std::move(program)) {}

  void run(std::chrono::seconds duration);
  const std::vector<std::string>& findings() const { return findings_; }
  void keep_journals(const fs::path& folder) const;

 private:
  void start(std::size_t slot);
  void introduce();
  void everybody(const std::string& line);
  void connect_all();
  void disturb(std::int64_t now);
  void recover(std::int64_t now, bool all);
  void look(std::int64_t now);
  void settle();
  void end();
  void judge_memory();
  void read_journals();
  bool everybody_hears_everybody() const;
  Incarnation& incarnation(const Slot& slot) { return incarnations_[slot.incarnation]; }
  void find(std::string what) { findings_.push_back(std::move(what)); }
  std::int64_t draw(std::int64_t from_ms, std::int64_t to_ms) {
    return (from_ms + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(to_ms - from_ms))) *
           kMillisecond;
  }

  std::mt19937_64 random_;
  const fs::path program_;
  const std::string mark_ = fmt::format("DS_CHAOS_RUN={}-{}", getpid(), now_ns());
  bool sending_ = false;
  std::array<Slot, kSlots> slots_;
  std::vector<Incarnation> incarnations_;
  std::vector<JournalMemory> journals_;                 ///< theirs
  std::map<std::size_t, std::vector<Sample>> samples_;  ///< by incarnation
  std::map<std::size_t, std::size_t> calm_from_;        ///< by incarnation: the first sample after the faults
  std::int64_t next_look_ns_ = 0;
  std::size_t faults_ = 0;
  TrafficCheck check_;
  std::vector<std::string> findings_;
};

// ---- processes ----------------------------------------------------------------------------------

void Chaos::start(std::size_t index) {
  Slot& slot = slots_[index];
  slot.incarnation = incarnations_.size();
  JournalMemory journal;
  slot.process = std::make_unique<PeerProcess>(
      program_,
      std::vector<std::string>{std::to_string(index), "127.0.0.1", std::to_string(slot.port), "/dev/fd/3"},
      mark_, journal.fd());
  Incarnation born;
  born.slot = index;
  born.pid = slot.process->pid();
  born.started_ns = now_ns();
  auto address = slot.process->hear(kPatience);
  if (!address) throw std::runtime_error(fmt::format("process {} did not start", slot.incarnation));
  if (!(std::istringstream(*address) >> born.id >> slot.port))
    throw std::runtime_error("a process began with: " + *address);
  incarnations_.push_back(born);
  journals_.push_back(std::move(journal));
  slot.state = Slot::State::running;
}

// Tells everybody about everybody; what they know already changes nothing.
void Chaos::introduce() {
  for (std::size_t index = 0; index < kSlots; ++index) {
    if (slots_[index].state != Slot::State::dead)
      everybody(
          fmt::format("peer {} {} 127.0.0.1 {}", index, incarnation(slots_[index]).id, slots_[index].port));
  }
  if (sending_) everybody("start");
}

void Chaos::everybody(const std::string& line) {
  for (Slot& slot : slots_) {
    if (slot.state != Slot::State::dead) slot.process->say(line);
  }
}

// ---- faults -------------------------------------------------------------------------------------

void Chaos::disturb(std::int64_t now) {
  const std::size_t index = random_() % kSlots;
  Slot& slot = slots_[index];
  const auto kind = random_() % 10;
  if (slot.state != Slot::State::running) return;
  ++faults_;
  if (kind < 3 && index != 0) {  // the first is never killed, so that one process sees all of it
    incarnation(slot).killed_ns = now_ns();
    slot.process->signal(SIGKILL);
    slot.process->wait(kPatience);
    slot.state = Slot::State::dead;
    slot.next_ns = now + draw(0, 1500);
    return;
  }
  incarnation(slot).stops.push_back({now_ns(), 0});
  slot.process->signal(SIGSTOP);
  slot.state = Slot::State::stopped;
  // Below the half of the time-out, or well above it.
  slot.next_ns = now + (kind < 7 ? draw(20, 500) : draw(2500, 4500));
}

void Chaos::recover(std::int64_t now, bool all) {
  for (std::size_t index = 0; index < kSlots; ++index) {
    Slot& slot = slots_[index];
    if (slot.state == Slot::State::running || (!all && now < slot.next_ns)) continue;
    if (slot.state == Slot::State::stopped) {
      slot.process->signal(SIGCONT);
      incarnation(slot).stops.back().to_ns = now_ns();
      slot.state = Slot::State::running;
    } else {
      start(index);
      introduce();
    }
  }
}

void Chaos::look(std::int64_t now) {
  if (now < next_look_ns_) return;
  next_look_ns_ = now + 500 * kMillisecond;
  for (Slot& slot : slots_) {
    if (slot.state == Slot::State::dead) continue;
    if (auto status = slot.process->wait(0s)) {
      throw std::runtime_error(fmt::format("process {:016x} ended by itself with {}", incarnation(slot).id,
                                           WIFSIGNALED(*status)
                                               ? fmt::format("signal {}", WTERMSIG(*status))
                                               : fmt::format("code {}", WEXITSTATUS(*status))));
    }
    samples_[slot.incarnation].push_back(
        {holdings_of(slot.process->pid()), resident_bytes(slot.process->pid())});
  }
}

// ---- the course ---------------------------------------------------------------------------------

void Chaos::connect_all() {
  for (std::size_t index = 0; index < kSlots; ++index) start(index);
  sending_ = true;
  introduce();
  // Faults hit traffic that flows, not processes that are still connecting.
  for (const std::int64_t limit = now_ns() + std::chrono::nanoseconds(kPatience).count(); now_ns() < limit;) {
    read_journals();
    if (everybody_hears_everybody()) return;
    std::this_thread::sleep_for(10ms);
  }
  find("no traffic between all processes in time");
}

bool Chaos::everybody_hears_everybody() const {
  for (const Incarnation& from : incarnations_) {
    for (const Incarnation& to : incarnations_) {
      if (from.id != to.id && check_.arrived(from.id, to.id) < 100) return false;
    }
  }
  return true;
}

void Chaos::run(std::chrono::seconds duration) {
  connect_all();
  const std::int64_t end_ns = now_ns() + std::chrono::nanoseconds(duration).count();
  std::int64_t next_fault = now_ns();
  for (std::int64_t now = now_ns(); now < end_ns; now = now_ns()) {
    if (now >= next_fault) {
      disturb(now);
      next_fault = now + draw(50, 1200);
    }
    recover(now, false);
    look(now);
    std::this_thread::sleep_for(10ms);
  }
  recover(now_ns(), true);
  for (const auto& [index, samples] : samples_) calm_from_[index] = samples.size();
  for (const std::int64_t calm_ns = now_ns() + std::chrono::nanoseconds(kCalm).count(); now_ns() < calm_ns;) {
    look(now_ns());
    std::this_thread::sleep_for(100ms);
  }
  settle();
  judge_memory();
  for (auto& finding : check_.findings(incarnations_)) find(std::move(finding));
  end();
}

void Chaos::settle() {
  sending_ = false;
  everybody("stop");
  for (Slot& slot : slots_) {
    if (slot.process->hear(kPatience) != "stopped")
      find(fmt::format("process {:016x} does not stop sending", incarnation(slot).id));
  }
  std::vector<std::uint64_t> living;
  for (Slot& slot : slots_) living.push_back(incarnation(slot).id);
  std::vector<std::string> waits;
  for (const std::int64_t limit = now_ns() + 30'000 * kMillisecond; now_ns() < limit;) {
    read_journals();
    waits = check_.unsettled(living);
    if (waits.empty()) return;
    look(now_ns());
    std::this_thread::sleep_for(200ms);
  }
  for (auto& wait : waits) find(fmt::format("30 s after the end: {}", wait));
}

void Chaos::read_journals() {
  for (std::size_t i = 0; i < incarnations_.size(); ++i) check_.read(incarnations_[i].id, journals_[i]);
}

void Chaos::keep_journals(const fs::path& folder) const {
  fs::create_directories(folder);
  for (std::size_t i = 0; i < journals_.size(); ++i) {
    fs::copy_file(fmt::format("/proc/self/fd/{}", journals_[i].fd()),
                  folder / fmt::format("{}-{:016x}", i, incarnations_[i].id),
                  fs::copy_options::overwrite_existing);
  }
}

void Chaos::end() {
  const auto before = incarnations_.size();
  for (Slot& slot : slots_) slot.process->close_input();
  for (Slot& slot : slots_) {
    auto status = slot.process->wait(kPatience);
    if (!status || !WIFEXITED(*status) || WEXITSTATUS(*status) != 0)
      find(fmt::format("process {:016x} did not end cleanly", incarnation(slot).id));
  }
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream environment(entry.path() / "environ");
    const std::string all{std::istreambuf_iterator<char>(environment), {}};
    if (all.find(mark_) != std::string::npos)
      find(fmt::format("process {} is left", entry.path().filename().string()));
  }
  fmt::print("{} faults, {} processes; {}\n", faults_, before, check_.summary(incarnations_));
}

void Chaos::judge_memory() {
  for (Slot& slot : slots_) {
    const Holdings held = holdings_of(slot.process->pid());
    fmt::print("process {}: {} descriptors, {} mappings, {} of shared memory, {} MiB\n", slot.incarnation,
               held.descriptors, held.mappings, held.shared, resident_bytes(slot.process->pid()) >> 20);
  }
  for (const auto& [index, samples] : samples_) {
    const std::uint64_t id = incarnations_[index].id;
    for (const auto& [held, resident] : samples) {
      if (held.named != 0) return find(fmt::format("process {:016x} uses named shared memory", id));
      if (held.descriptors > kMostDescriptors || held.shared > kMostShared)
        return find(
            fmt::format("process {:016x} holds {} descriptors and {} of shared memory, at most {} and {} "
                        "are needed",
                        id, held.descriptors, held.shared, kMostDescriptors, kMostShared));
    }
    const std::size_t disturbed = std::min(samples.size(), calm_from_[index]);
    if (disturbed < kWarm + kEnough) continue;
    const std::size_t third = (disturbed - kWarm) / 3;
    const std::span all(samples);
    const auto early = span_of(all.subspan(kWarm, third));
    const auto late = span_of(all.subspan(disturbed - third, third));
    // Two processes that connect at the same moment may keep two connections.
    if (late.least.descriptors > early.least.descriptors + 16 ||
        late.least.shared > early.least.shared + 36 || late.least.mappings > early.least.mappings + 100) {
      find(fmt::format(
          "process {:016x} holds ever more, at the least: {} descriptors, were {}; {} mappings, were {}; "
          "{} of shared memory, were {}",
          id, late.least.descriptors, early.least.descriptors, late.least.mappings, early.least.mappings,
          late.least.shared, early.least.shared));
    }
    const auto at_end = span_of(all.last(third)).most_resident;
    if (kMemoryTells && at_end > std::max(early.most_resident + early.most_resident / 2, kMostResident)) {
      find(fmt::format("the memory of process {:016x} grew from {} to {} MiB", id, early.most_resident >> 20,
                       at_end >> 20));
    }
  }
}

}  // namespace
}  // namespace ds::chaos

int main(int argc, char** argv) {
  namespace fs = std::filesystem;
  int seconds = 60;
  std::uint64_t seed = 0;
  std::string keep;
  CLI::App app("chaos over the fabric");
  app.add_option("--seconds", seconds, "of chaos")->check(CLI::Range(1, 86400));
  app.add_option("--seed", seed, "repeats a course; 0: another each time");
  app.add_option("--keep", keep, "a folder that gets the journals");
  CLI11_PARSE(app, argc, argv);
  signal(SIGPIPE, SIG_IGN);
  if (seed == 0) seed = std::random_device{}() | 1u;

  const fs::path self = fs::read_symlink("/proc/self/exe");
  const std::string repeat = fmt::format("{} --seconds {} --seed {}", self.string(), seconds, seed);
  fmt::print("seed {}; repeat it with: {}\n", seed, repeat);
  std::fflush(stdout);
  std::vector<std::string> findings;
  {
    ds::chaos::Chaos chaos(seed, self.parent_path() / "chaos_peer");
    try {
      chaos.run(std::chrono::seconds(seconds));
    } catch (const std::exception& exception) {
      findings.push_back(exception.what());
    }
    if (!keep.empty()) chaos.keep_journals(keep);
    findings.insert(findings.end(), chaos.findings().begin(), chaos.findings().end());
  }
  if (findings.empty()) return 0;
  constexpr std::size_t kShown = 30;
  for (std::size_t i = 0; i < findings.size() && i < kShown; ++i) fmt::print("found: {}\n", findings[i]);
  fmt::print("{} findings with seed {}; repeat it with: {}\n", findings.size(), seed, repeat);
  return 1;
}

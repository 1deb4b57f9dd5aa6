#include "actors/node/pretend_programs.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

namespace ds::node {
namespace {

constexpr std::string_view kVariable = "DS_PRETEND_SECONDS=";
constexpr double kMaxSeconds = 1e9;
constexpr int kWrongUse = 2 << 8;  // exit code 2, as `waitpid` says it

/// Of the last variable of that name, as a program would see it; nothing: it is no such number.
std::optional<double> seconds_of(const std::vector<std::string>& variables) {
  std::string_view text = "0";
  for (const std::string& variable : variables) {
    if (variable.starts_with(kVariable)) text = std::string_view(variable).substr(kVariable.size());
  }
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  return is_number && seconds >= 0 && seconds <= kMaxSeconds ? std::optional(seconds) : std::nullopt;
}

}  // namespace

class PretendPrograms::Node final : public Launcher {
 public:
  Node(PretendPrograms& programs, std::size_t node) : programs_(programs), node_(node) {}

  Result<void> spawn(std::uint64_t, const std::vector<std::string>&) override {
    return fail(ErrorCode::unsupported,
                "this node only pretends to run programs (ds-node --pretend), of kind command");
  }
  void prepare() override {}
  Result<void> spawn_command(std::uint64_t worker, const std::vector<std::string>&, const std::string&,
                             const std::vector<std::string>& variables) override {
    programs_.start(node_, worker, variables);
    return {};
  }
  void kill(std::uint64_t worker) override { programs_.end(node_, worker, SIGKILL); }
  void terminate(std::uint64_t worker) override { programs_.end(node_, worker, SIGTERM); }

 private:
  PretendPrograms& programs_;
  std::size_t node_;
};

PretendPrograms::PretendPrograms(double speed) : speed_(speed) {}

std::unique_ptr<Launcher> PretendPrograms::launcher_of(std::size_t node) {
  return std::make_unique<Node>(*this, node);
}

void PretendPrograms::start(std::size_t node, std::uint64_t worker,
                            const std::vector<std::string>& variables) {
  const auto seconds = seconds_of(variables);
  const auto now = Clock::now();
  const auto run = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(std::min(seconds.value_or(0) / speed_, kMaxSeconds)));
  {
    const std::lock_guard lock(mutex_);
    if (exits_.contains({node, worker})) return;
    events_.emplace(now, Happened{node, ProcessStarted{worker, getpid()}});
    if (!seconds) {
      events_.emplace(now, Happened{node, ProcessOutput{worker, fmt::format("{}: expected seconds, 0 to {}\n",
                                                                            kVariable, kMaxSeconds)}});
    }
    const int status = seconds ? 0 : kWrongUse;
    exits_[{node, worker}] = events_.emplace(now + run, Happened{node, ProcessExited{worker, status}});
  }
  changed_.notify_one();
}

void PretendPrograms::end(std::size_t node, std::uint64_t worker, int signal_number) {
  {
    const std::lock_guard lock(mutex_);
    const auto exit = exits_.find({node, worker});
    if (exit == exits_.end()) return;
    events_.erase(exit->second);
    exit->second = events_.emplace(Clock::now(), Happened{node, ProcessExited{worker, signal_number}});
  }
  changed_.notify_one();
}

std::optional<PretendPrograms::Happened> PretendPrograms::wait_event() {
  std::unique_lock lock(mutex_);
  while (!closed_) {
    if (events_.empty()) {
      changed_.wait(lock);
    } else if (const auto at = events_.begin()->first; at > Clock::now()) {
      changed_.wait_until(lock, at);
    } else {
      auto happened = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      if (const auto* exited = std::get_if<ProcessExited>(&happened.event))
        exits_.erase({happened.node, exited->worker});
      return happened;
    }
  }
  return std::nullopt;
}

void PretendPrograms::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

}  // namespace ds::node

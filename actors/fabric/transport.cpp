#include "actors/fabric/transport.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include <functional>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "actors/fabric/courier.hpp"
#include "actors/fabric/patient_thread.hpp"
#include "actors/fabric/progress_round.hpp"
#include "actors/fabric/socket_address.hpp"
#include "actors/fabric/spin_budget.hpp"

namespace ds::fabric {
namespace {

using namespace std::chrono_literals;

constexpr auto kGoodbyeLimit = 1000ms;  // what is queued at the end may take this long to go out
constexpr auto kSettleLimit = 500ms;    // then UCX may take this long to give our memory back
constexpr auto kDoorPause = 2ms;        // a busy thread looks at its doors this often
constexpr int kRoundsBetweenYields = 8;
constexpr auto kOthersRan = 5us;  // who gives the processor away for longer had better sleep: it is wanted

using Actions = std::vector<std::function<void()>>;
/// What follows a round of this thread; null: it is no progress thread.
thread_local Actions* this_threads_actions = nullptr;

class UcxTransport final : public Transport {
 public:
  explicit UcxTransport(const TransportOptions& options)
      : options_(options), commands_(options.max_queued_bytes) {}

  ~UcxTransport() override {
    stopping_ = true;
    commands_.wake();
    if (thread_.joinable()) thread_.join();
  }

  Result<void> launch() {
    std::promise<Result<void>> opened;
    auto result = opened.get_future();
    thread_ = std::thread([this, &opened] { run(opened); });
    return result.get();
  }

  const ProcessAddress& self() const override { return self_; }

  void on_frame(Channel channel, OnFrame handler) override {
    handlers_.set_on_frame(channel, std::move(handler));
  }
  std::uint64_t add_on_lost(OnLost handler) override { return handlers_.add_on_lost(std::move(handler)); }
  void remove_on_lost(std::uint64_t token) override { handlers_.remove_on_lost(token); }

  Result<void> send(const ProcessAddress& to, Channel channel, Parts parts, Stream stream) override {
    if (parts.size() > kMaxParts) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("a frame of {} parts, at most {}", parts.size(), kMaxParts));
    }
    std::size_t left = options_.max_frame_bytes;
    for (const Buffer& part : parts) {
      if (part.size() > left) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("a frame of more than {} bytes", options_.max_frame_bytes));
      }
      left -= part.size();
    }
    return commands_.push_send(to, channel, std::move(parts), stream);
  }

  void drop(const ProcessAddress& peer, const Error& why) override { commands_.push_drop(peer, why); }

  bool poll() override { return courier_->links().poll(); }
  bool begin_polling() override { return courier_->links().begin(); }
  void end_polling() override {
    if (!courier_->links().end()) commands_.wake();
  }

  TransportCounters counters() const override { return courier_->counters(); }

 private:
  void run(std::promise<Result<void>>& opened);
  bool work();
  bool look();
  bool look_longer();
  void wait();
  void finish();

  const TransportOptions options_;
  ProcessAddress self_;
  CommandQueue commands_;
  HandlerTable handlers_;
  std::atomic<bool> stopping_{false};
  std::unique_ptr<Door> door_;
  std::unique_ptr<LocalLanes> lanes_;
  std::unique_ptr<UcxWorker> ucx_;  // lives and dies on thread_
  std::unique_ptr<Courier> courier_;
  Clock::time_point next_tick_;
  bool look_at_door_ = false;
  Clock::time_point looked_at_door_;
  bool polling_ = false;
  SpinBudget spin_;
  Actions actions_;  ///< after this round
  std::thread thread_;
};

void UcxTransport::run(std::promise<Result<void>>& opened) {
  pthread_setname_np(pthread_self(), "ds-fabric");
  this_threads_actions = &actions_;
  auto door = Door::open(options_, {random_process_id(), options_.host, options_.port});
  if (!door) {
    opened.set_value(tl::unexpected(door.error()));
    return;
  }
  auto ucx = UcxWorker::open(options_.host);
  if (!ucx) {
    opened.set_value(tl::unexpected(ucx.error()));
    return;
  }
  auto lanes = LocalLanes::open(options_, commands_.wake_fd());
  if (!lanes) {
    opened.set_value(tl::unexpected(lanes.error()));
    return;
  }
  door_ = std::move(*door);
  lanes_ = std::move(*lanes);
  ucx_ = std::move(*ucx);
  self_ = door_->self();
  courier_ = std::make_unique<Courier>(options_, *door_, *lanes_, *ucx_, commands_, handlers_);
  opened.set_value({});

  while (!stopping_) {
    if (!work() && !look_longer()) wait();
  }
  finish();
}

// Looks for work as long as that pays, if no other thread does. True when there was some.
bool UcxTransport::look_longer() {
  if (courier_->links().others_poll()) return false;
  const auto until = Clock::now() + spin_.limit();
  for (int round = 1; !stopping_; ++round) {
    if (work()) {
      spin_.on_found();
      return true;
    }
    if (round % kRoundsBetweenYields != 0) continue;
    const auto before = Clock::now();
    if (before >= until) return false;
    sched_yield();
    if (Clock::now() - before > kOthersRan) return false;
  }
  return false;
}

// One round, and what it leads to.
bool UcxTransport::work() {
  const bool worked = look();
  while (!actions_.empty()) {
    for (const auto& action : std::exchange(actions_, {})) action();
  }
  return worked;
}

// What UCX did, what others ask for, what is due.
bool UcxTransport::look() {
  if (!std::exchange(polling_, true)) courier_->links().begin();
  bool worked = ucx_->progress();
  const auto now = Clock::now();
  for (UcxEvent& event : ucx_->take_events()) {
    courier_->on_event(std::move(event), now);
    worked = true;
  }
  worked |= courier_->links().poll();
  worked |= courier_->on_link_endings();
  for (Command& command : commands_.take()) {
    courier_->on_command(std::move(command), now);
    worked = true;
  }
  // The doors are rarely knocked at: asked when the thread woke, and now and then.
  if (std::exchange(look_at_door_, false) || now - looked_at_door_ >= kDoorPause) {
    looked_at_door_ = now;
    for (LaneEvent& event : lanes_->work()) {
      courier_->on_lane(std::move(event), now);
      worked = true;
    }
    for (DoorEvent& event : door_->work()) {
      courier_->on_door(std::move(event), now);
      worked = true;
    }
  }
  if (now >= next_tick_) {
    look_at_door_ = true;
    courier_->on_tick(now);
    note_round(0);
    next_tick_ = now + options_.heartbeat_interval / 4;
  }
  return worked;
}

void UcxTransport::wait() {
  if (!commands_.about_to_wait()) return;
  polling_ = false;
  if (courier_->links().end() && ucx_->arm() && !stopping_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_tick_ - Clock::now());
    pollfd fds[4] = {{ucx_->event_fd(), POLLIN, 0},
                     {commands_.wake_fd(), POLLIN, 0},
                     {door_->fd(), POLLIN, 0},
                     {lanes_->fd(), POLLIN, 0}};
    const auto asleep = Clock::now();
    ::poll(fds, 4, std::max(0, static_cast<int>(left.count())));
    spin_.on_slept(Clock::now() - asleep);
  }
  commands_.waited();
  look_at_door_ = true;
}

void UcxTransport::finish() {
  work();
  courier_->begin_shutdown();
  const auto deadline = Clock::now() + kGoodbyeLimit;
  while (!courier_->drained() && Clock::now() < deadline) {
    look_at_door_ = true;
    courier_->wind_down_links();
    if (!work()) std::this_thread::sleep_for(50us);
  }
  courier_->close_all();
  ucx_->settle(kSettleLimit);
  ucx_.reset();
}

}  // namespace

bool is_progress_thread() {
  return this_threads_actions != nullptr;
}

void after_this_round(std::function<void()> action) {
  this_threads_actions->push_back(std::move(action));
}

Result<std::unique_ptr<Transport>> Transport::start(const TransportOptions& options) {
  if (options.host == "0.0.0.0" || options.host == "::") {
    return fail(ErrorCode::invalid_argument,
                fmt::format("cannot listen on {}: others connect to this address", options.host),
                "name one of this machine's addresses");
  }
  if (options.heartbeat_interval.count() <= 0 || options.heartbeat_timeout < 2 * options.heartbeat_interval) {
    return fail(ErrorCode::invalid_argument, "the heartbeat timeout must be at least twice its interval");
  }
  auto transport = std::make_unique<UcxTransport>(options);
  if (auto launched = transport->launch(); !launched) return tl::unexpected(launched.error());
  return transport;
}

}  // namespace ds::fabric

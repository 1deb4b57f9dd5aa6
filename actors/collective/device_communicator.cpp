#include "actors/collective/device_communicator.hpp"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "actors/collective/call_mistake.hpp"
#include "actors/collective/device_error.hpp"
#include "actors/collective/device_operation.hpp"
#include "actors/collective/operation_pool.hpp"
#include "kernels/tree_program.hpp"

namespace ds::collective {
namespace {

using OpenedDevice = kernels::DeviceResult<std::shared_ptr<kernels::Device>>;

/// What connecting is called among the operations; these begin with 1.
constexpr OperationName kConnecting = 0;

std::optional<Error> find_too_many(const GroupPlan& plan) {
  std::size_t most = plan.inputs.size();
  for (const MemberPlan& member : plan.members) most = std::max(most, member.combines.size());
  if (most <= kernels::kMaxProgramInputs) return std::nullopt;
  return Error{
      ErrorCode::unsupported,
      fmt::format("a reduction of {} vectors on a GPU; {} are possible", most, kernels::kMaxProgramInputs),
      "use fewer logical ranks, or cut them at multiples of powers of two"};
}

}  // namespace

/// One thread does all the work: calls of NCCL must come in the same order on all members, and must not be
/// interrupted by another thread.
class DeviceCommunicator::State {
 public:
  State(std::shared_ptr<Exchange> exchange, std::vector<RankRange> ranges, OpenedDevice device)
      : exchange_(std::move(exchange)), ranges_(std::move(ranges)), device_(std::move(device)) {
    std::uint32_t next = 0;
    for (const RankRange& range : ranges_) {
      if (range.first != next || range.last < range.first) std::abort();
      next = range.last;
    }
    if (next == 0 || ranges_.size() != (exchange_ ? exchange_->world_size() : 1)) std::abort();
    member_.exchange = exchange_.get();
    member_.rank = exchange_ ? exchange_->rank() : 0;
    member_.plan = plan_group(ranges_, next);
    member_.give_up = [this] { return interrupted().has_value(); };
    too_many_ = find_too_many(member_.plan);
    worker_ = std::thread([this] { work(); });
  }

  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    bool busy = false;
    {
      const std::lock_guard lock(mutex_);
      busy = in_flight_ > 0;
    }
    if (busy) note_failure({ErrorCode::cancelled, fmt::format("rank {} left the gang", rank()), {}});
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      changed_.notify_all();
    }
    worker_.join();
  }

  std::uint32_t rank() const { return member_.rank; }
  const std::vector<RankRange>& ranges() const { return ranges_; }
  RankRange hosted() const { return ranges_[rank()]; }

  Operation start(const Signature& signature, std::span<const ConstVector> inputs, Vector output,
                  kernels::DeviceStream stream) {
    DeviceCall call;
    call.signature = signature;
    for (const ConstVector& input : inputs) call.inputs.push_back(input.data);
    call.output = output.data;
    call.mistake = find_mistake(signature, {rank(), static_cast<std::uint32_t>(ranges_.size()),
                                            hosted().size(), inputs, output.elements});
    if (!call.mistake && reduces(signature.kind)) call.mistake = too_many_;
    if (!call.mistake && device_) {
      auto mark = (*device_)->mark(stream);
      if (mark) call.mark = *std::move(mark);
      if (!mark) call.mistake = to_error(mark.error(), rank());
    }
    auto state = std::make_shared<Operation::State>();
    if (Result<void> queued = queue(std::move(call), state); !queued) state->finish(std::move(queued));
    return Operation(std::move(state));
  }

  /// The first failure ends everything, here and on all members, which may be waiting for us.
  void note_failure(const Error& why) {
    {
      const std::lock_guard lock(mutex_);
      if (failure_) return;
      failure_ = why;
      dead_.store(true, std::memory_order_release);
    }
    if (exchange_) exchange_->abort_everywhere(why);
  }

 private:
  struct Started {
    DeviceCall call;
    std::shared_ptr<Operation::State> state;
  };

  Result<void> queue(DeviceCall call, std::shared_ptr<Operation::State> state) {
    const std::lock_guard lock(mutex_);
    if (failure_) {
      return fail(failure_->code, "this generation ended before: " + failure_->message, failure_->hint);
    }
    if (in_flight_ == kMaxOperationsInFlight) {
      return fail(ErrorCode::resource_exhausted,
                  fmt::format("{} operations are in flight on rank {}", in_flight_, rank()),
                  "wait for one before starting another");
    }
    ++in_flight_;
    started_.push_back({std::move(call), std::move(state)});
    changed_.notify_all();
    return {};
  }

  std::optional<Error> interrupted() {
    if (dead_.load(std::memory_order_acquire)) {
      const std::lock_guard lock(mutex_);
      return failure_;
    }
    return exchange_ ? exchange_->aborted() : std::nullopt;
  }

  void work() {
    OperationName name = kConnecting;
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return closing_ || !started_.empty(); });
      if (started_.empty()) break;
      Started next = std::move(started_.front());
      started_.pop_front();
      lock.unlock();
      Result<void> done = run(next.call, ++name);
      next.call = {};
      lock.lock();
      --in_flight_;
      lock.unlock();
      next.state->finish(std::move(done));
    }
    member_.queue.reset();
  }

  Result<void> run(const DeviceCall& call, OperationName name) {
    if (std::optional<Error> why = interrupted()) return end(*std::move(why));
    if (!member_.queue) {
      if (Result<void> connected = connect(); !connected) return end(connected.error());
    }
    Result<void> done = carry_out(member_, call, name);
    return done ? done : end(done.error());
  }

  /// Nothing touches the vectors any more once this returns. Why others or the caller ended us says more than
  /// what became of our work because of it.
  Result<void> end(Error why) {
    if (std::optional<Error> reason = interrupted()) why = *std::move(reason);
    note_failure(why);
    member_.queue.reset();
    return tl::unexpected(std::move(why));
  }

  Result<void> connect() {
    std::optional<Error> failure;
    Buffer invitation;
    const kernels::DeviceResult<void> opened = open().and_then([&]() -> kernels::DeviceResult<void> {
      if (ranges_.size() == 1 || rank() != 0) return {};
      return member_.queue->make_invitation().map(
          [&](const std::vector<std::byte>& bytes) { invitation = Buffer::copy_of(std::span(bytes)); });
    });
    if (!opened) failure = to_error(opened.error(), rank());
    if (ranges_.size() == 1) return failure ? Result<void>(tl::unexpected(*failure)) : Result<void>();
    const DeviceRounds rounds(*exchange_);
    return rounds.agree(kConnecting, {rank(), Signature{}, failure})
        .and_then([&] { return rounds.from_first(kConnecting, invitation); })
        .and_then([&](const Buffer& bytes) -> Result<void> {
          const auto connected = member_.queue->connect(
              bytes.bytes(), rank(), static_cast<std::uint32_t>(ranges_.size()), member_.give_up);
          if (!connected) return tl::unexpected(to_error(connected.error(), rank()));
          return {};
        });
  }

  kernels::DeviceResult<void> open() {
    if (!device_) return tl::unexpected(device_.error());
    member_.scratch.emplace(*device_);
    return (*device_)->open_queue().map(
        [&](std::unique_ptr<kernels::DeviceQueue>&& queue) { member_.queue = std::move(queue); });
  }

  const std::shared_ptr<Exchange> exchange_;  ///< none: a gang of one
  const std::vector<RankRange> ranges_;
  const OpenedDevice device_;
  std::optional<Error> too_many_;
  DeviceMember member_;  ///< the worker's, but for what never changes

  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> dead_{false};
  std::optional<Error> failure_;  ///< why it is dead
  std::deque<Started> started_;
  std::size_t in_flight_ = 0;
  bool closing_ = false;
  std::thread worker_;
};

DeviceCommunicator::DeviceCommunicator(std::shared_ptr<Exchange> exchange, std::vector<RankRange> ranges,
                                       OpenedDevice device) {
  if (!exchange) std::abort();
  state_ = std::make_unique<State>(std::move(exchange), std::move(ranges), std::move(device));
}

DeviceCommunicator::DeviceCommunicator(std::uint32_t logical_ranks, OpenedDevice device)
    : state_(
          std::make_unique<State>(nullptr, std::vector<RankRange>{{0, logical_ranks}}, std::move(device))) {}

DeviceCommunicator::~DeviceCommunicator() = default;

RankRange DeviceCommunicator::hosted() const {
  return state_->hosted();
}
std::uint32_t DeviceCommunicator::logical_ranks() const {
  return state_->ranges().back().last;
}
std::uint32_t DeviceCommunicator::rank() const {
  return state_->rank();
}
std::uint32_t DeviceCommunicator::world_size() const {
  return static_cast<std::uint32_t>(state_->ranges().size());
}

Operation DeviceCommunicator::start_all_reduce(std::span<const ConstVector> inputs, Vector output,
                                               kernels::DeviceStream stream, ReduceOperator op) {
  return state_->start({Kind::all_reduce, op, output.type, 0, output.elements}, inputs, output, stream);
}

Operation DeviceCommunicator::start_reduce_scatter(std::span<const ConstVector> inputs, Vector output,
                                                   std::size_t elements, kernels::DeviceStream stream,
                                                   ReduceOperator op) {
  return state_->start({Kind::reduce_scatter, op, output.type, 0, elements}, inputs, output, stream);
}

Operation DeviceCommunicator::start_all_gather(ConstVector slice, Vector whole,
                                               kernels::DeviceStream stream) {
  return state_->start({Kind::all_gather, ReduceOperator::sum, whole.type, 0, whole.elements},
                       std::span(&slice, 1), whole, stream);
}

Operation DeviceCommunicator::start_broadcast(Vector vector, std::uint32_t root,
                                              kernels::DeviceStream stream) {
  const ConstVector own(vector.data, vector.elements, vector.type);
  return state_->start({Kind::broadcast, ReduceOperator::sum, vector.type, root, vector.elements},
                       std::span(&own, 1), vector, stream);
}

Operation DeviceCommunicator::start_barrier(kernels::DeviceStream stream) {
  return state_->start({}, {}, {}, stream);
}

void DeviceCommunicator::abort(Error why) {
  state_->note_failure(why);
}

}  // namespace ds::collective

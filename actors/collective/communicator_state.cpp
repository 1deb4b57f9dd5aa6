#include "actors/collective/communicator_state.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <exception>

#include "actors/collective/call_mistake.hpp"

namespace ds::collective {
namespace {

bool cover_all(const std::vector<RankRange>& ranges) {
  std::uint32_t next = 0;
  for (const RankRange& range : ranges) {
    if (range.first != next || range.last < range.first) return false;
    next = range.last;
  }
  return next > 0;
}

Error after(const Error& failure) {
  return {failure.code, "this generation ended before: " + failure.message, failure.hint};
}

/// A call that outlives its caller's arguments.
struct StartedCall {
  Signature signature;
  std::vector<const void*> vectors;
  void* output = nullptr;
  std::optional<Error> mistake;
};

std::vector<const void*> addresses_of(std::span<const ConstVector> inputs) {
  std::vector<const void*> addresses;
  addresses.reserve(inputs.size());
  for (const ConstVector& input : inputs) addresses.push_back(input.data);
  return addresses;
}

}  // namespace

std::uint64_t Communicator::State::next_serial() {
  static std::atomic<std::uint64_t> serial{0};
  return ++serial;
}

Communicator::State::State(std::shared_ptr<Exchange> through, std::vector<RankRange> hosted_by,
                           CommunicatorOptions chosen)
    : exchange(std::move(through)),
      ranges(std::move(hosted_by)),
      options(std::move(chosen)),
      rank(exchange ? exchange->rank() : 0) {
  const std::size_t world = exchange ? exchange->world_size() : 1;
  if (!cover_all(ranges) || ranges.size() != world || rank >= world) std::abort();
}

Signature Communicator::State::signature_of(const Request& request) const {
  Signature signature;
  signature.kind = request.kind;
  signature.op = reduces(request.kind) ? request.options.op : ReduceOperator::sum;
  signature.type = request.output.type;
  signature.root = request.root;
  signature.elements = request.elements;
  return signature;
}

std::optional<Error> Communicator::State::find_mistake(const Request& request) const {
  return collective::find_mistake(
      signature_of(request), {rank, world_size(), hosted().size(), request.inputs, request.output.elements});
}

Result<OperationName> Communicator::State::begin(std::optional<std::uint32_t> tag) {
  const std::lock_guard lock(mutex);
  if (failure) return tl::unexpected(after(*failure));
  if (in_flight == kMaxOperationsInFlight) {
    return fail(ErrorCode::resource_exhausted,
                fmt::format("{} operations are in flight on rank {}", in_flight, rank),
                "wait for one before starting another");
  }
  const std::optional<OperationName> name = names.next(tag);
  if (!name) {
    return fail(ErrorCode::resource_exhausted, fmt::format("{} different tags were used", kMaxTags),
                "use tags again");
  }
  ++in_flight;
  return *name;
}

void Communicator::State::end() {
  const std::lock_guard lock(mutex);
  --in_flight;
}

Result<void> Communicator::State::connect() {
  if (connected.load(std::memory_order_acquire) != nullptr) return {};
  const std::lock_guard lock(connect_mutex);
  if (route) return {};
  if (exchange) {
    Result<std::unique_ptr<Route>> made = connect_route(exchange, ranges, options, segments);
    if (!made) return note_failure(made.error());
    route = *std::move(made);
  } else {
    route = make_lone_route(ranges.back().last);
  }
  connected.store(route.get(), std::memory_order_release);
  if (dead.load()) route->abort(*interrupted());
  return {};
}

std::optional<Error> Communicator::State::interrupted() {
  if (dead.load(std::memory_order_acquire)) {
    const std::lock_guard lock(mutex);
    return failure;
  }
  return exchange ? exchange->aborted() : std::nullopt;
}

/// The first failure ends everything: other calls in flight here and on all members, which may be waiting for
/// us.
Result<void> Communicator::State::note_failure(const Error& why) {
  {
    const std::lock_guard lock(mutex);
    if (failure) return tl::unexpected(why);
    failure = why;
    dead.store(true, std::memory_order_release);
  }
  if (Route* way = connected.load(std::memory_order_acquire)) way->abort(why);
  if (exchange) exchange->abort_everywhere(why);
  return tl::unexpected(why);
}

void Communicator::State::abort(const Error& why) {
  static_cast<void>(note_failure(why));
}

void Communicator::State::close() {
  bool busy = false;
  {
    const std::lock_guard lock(mutex);
    busy = in_flight > 0;
  }
  if (busy) abort({ErrorCode::cancelled, fmt::format("rank {} left the gang", rank), {}});
}

Result<void> Communicator::State::carry_out(const Call& call) {
  if (Result<void> met = connect(); !met) return met;
  if (std::optional<Error> why = interrupted()) return note_failure(*why);
  Result<void> done = connected.load(std::memory_order_acquire)->run(call, *this);
  return done ? done : note_failure(done.error());
}

Result<void> Communicator::State::run(const Request& request) {
  const Result<OperationName> name = begin(request.options.tag);
  if (!name) return tl::unexpected(name.error());
  const std::optional<Error> mistake = find_mistake(request);
  Call call;
  call.signature = signature_of(request);
  call.name = *name;
  call.output = request.output.data;
  call.failure = mistake ? &*mistake : nullptr;
  std::vector<const void*> addresses;
  if (request.inputs.size() == 1) {
    call.contribution.vectors = std::span(&request.inputs[0].data, 1);
  } else {
    addresses = addresses_of(request.inputs);
    call.contribution.vectors = addresses;
  }
  Result<void> done = carry_out(call);
  end();
  return done;
}

Operation Communicator::State::start(const Request& request) {
  auto state = std::make_shared<Operation::State>();
  const Result<OperationName> name = begin(request.options.tag);
  if (!name) {
    state->finish(tl::unexpected(name.error()));
    return Operation(std::move(state));
  }
  StartedCall started{signature_of(request), addresses_of(request.inputs), request.output.data,
                      find_mistake(request)};
  pool.submit([this, state, at = *name, started = std::move(started)] {
    Call call;
    call.signature = started.signature;
    call.name = at;
    call.contribution.vectors = started.vectors;
    call.output = started.output;
    call.failure = started.mistake ? &*started.mistake : nullptr;
    Result<void> done = carry_out(call);
    end();
    state->finish(std::move(done));
  });
  return Operation(std::move(state));
}

Result<void> Communicator::State::run_folded(Signature signature, const Contribution& contribution,
                                             void* output, const Error* mistake) {
  const Result<OperationName> name = begin(std::nullopt);
  if (!name) return tl::unexpected(name.error());
  Result<void> done = carry_out({signature, *name, contribution, output, mistake});
  end();
  return done;
}

}  // namespace ds::collective

#include "actors/collective/communicator.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

#include "actors/collective/communicator_state.hpp"
#include "actors/collective/summation_tree.hpp"
#include "kernels/add_into.hpp"

namespace ds::collective {
namespace {

std::vector<RankRange> one_each(const std::shared_ptr<Exchange>& exchange) {
  if (!exchange) std::abort();
  return assign_logical_ranks(exchange->world_size(), exchange->world_size());
}

/// An exception must not pass the other members by: they would wait for ever.
template <class T>
Result<void> call_produce(const Communicator::Produce<T>& produce, std::uint32_t leaf, std::span<T> out) {
  try {
    return produce(leaf, out);
  } catch (const std::exception& e) {
    return fail(ErrorCode::internal, fmt::format("logical rank {}: {}", leaf, e.what()));
  }
}

/// Vectors that were produced and folded. They lie in the communicator's segments, which keep their pages: so
/// peers read them straight, and the next step finds them touched.
template <class T>
class Production {
 public:
  Production(SegmentPool& segments, RankRange hosted, std::uint32_t leaves, std::size_t elements)
      : segments_(segments), hosted_(hosted), fold_(leaves), elements_(elements) {}

  Result<void> run(const Communicator::Produce<T>& produce) {
    for (std::uint32_t leaf = hosted_.first; leaf < hosted_.last; ++leaf) {
      Result<SharedMemory> memory = segments_.allocate(elements_ * sizeof(T));
      if (!memory) return tl::unexpected(memory.error());
      Result<void> produced = call_produce(produce, leaf, memory->template as<T>().first(elements_));
      if (!produced) return produced;
      fold_.push({0, leaf}, *std::move(memory), [&](SharedMemory& left, SharedMemory&& right) {
        kernels::add_into(left.as<T>().first(elements_), std::span<const T>(right.as<T>().first(elements_)));
      });
    }
    auto kept = std::make_shared<std::vector<SharedMemory>>();
    for (auto& entry : fold_.entries()) {
      addresses_.push_back(entry.value.bytes().data());
      kept->push_back(std::move(entry.value));
    }
    kept_ = std::move(kept);
    return {};
  }

  Contribution contribution() const { return {addresses_, true, kept_}; }

 private:
  SegmentPool& segments_;
  RankRange hosted_;
  SubtreeFold<SharedMemory> fold_;
  std::size_t elements_;
  std::vector<const void*> addresses_;
  std::shared_ptr<const void> kept_;
};

}  // namespace

Communicator::Communicator(std::shared_ptr<Exchange> exchange, std::vector<RankRange> ranges,
                           CommunicatorOptions options) {
  if (!exchange) std::abort();
  state_ = std::make_shared<State>(std::move(exchange), std::move(ranges), std::move(options));
}

Communicator::Communicator(std::shared_ptr<Exchange> exchange, CommunicatorOptions options) {
  std::vector<RankRange> ranges = one_each(exchange);
  state_ = std::make_shared<State>(std::move(exchange), std::move(ranges), std::move(options));
}

Communicator::Communicator(std::uint32_t logical_ranks)
    : state_(std::make_shared<State>(nullptr, std::vector<RankRange>{{0, logical_ranks}},
                                     CommunicatorOptions{})) {}

Communicator::~Communicator() {
  state_->close();
}

RankRange Communicator::hosted() const {
  return state_->hosted();
}
std::uint32_t Communicator::logical_ranks() const {
  return state_->ranges.back().last;
}
std::uint32_t Communicator::rank() const {
  return state_->rank;
}
std::uint64_t Communicator::serial() const {
  return state_->serial;
}
std::uint32_t Communicator::world_size() const {
  return state_->world_size();
}

Result<Path> Communicator::connect() {
  return state_->connect().map([&] { return state_->connected.load()->path(); });
}

Result<SharedMemory> Communicator::allocate(std::size_t bytes) {
  return state_->segments->allocate(bytes);
}

Result<void> Communicator::all_reduce(std::span<const ConstVector> inputs, Vector output,
                                      CallOptions options) {
  return state_->run({Kind::all_reduce, inputs, output, output.elements, 0, options});
}
Operation Communicator::start_all_reduce(std::span<const ConstVector> inputs, Vector output,
                                         CallOptions options) {
  return state_->start({Kind::all_reduce, inputs, output, output.elements, 0, options});
}

Result<void> Communicator::reduce_scatter(std::span<const ConstVector> inputs, Vector output,
                                          std::size_t elements, CallOptions options) {
  return state_->run({Kind::reduce_scatter, inputs, output, elements, 0, options});
}
Operation Communicator::start_reduce_scatter(std::span<const ConstVector> inputs, Vector output,
                                             std::size_t elements, CallOptions options) {
  return state_->start({Kind::reduce_scatter, inputs, output, elements, 0, options});
}

Result<void> Communicator::all_gather(ConstVector slice, Vector whole, CallOptions options) {
  return state_->run({Kind::all_gather, std::span(&slice, 1), whole, whole.elements, 0, options});
}
Operation Communicator::start_all_gather(ConstVector slice, Vector whole, CallOptions options) {
  return state_->start({Kind::all_gather, std::span(&slice, 1), whole, whole.elements, 0, options});
}

Result<void> Communicator::broadcast(Vector vector, std::uint32_t root, CallOptions options) {
  const ConstVector own = vector;
  return state_->run({Kind::broadcast, std::span(&own, 1), vector, vector.elements, root, options});
}
Operation Communicator::start_broadcast(Vector vector, std::uint32_t root, CallOptions options) {
  const ConstVector own = vector;
  return state_->start({Kind::broadcast, std::span(&own, 1), vector, vector.elements, root, options});
}

Result<void> Communicator::barrier(CallOptions options) {
  return state_->run({Kind::barrier, {}, {}, 0, 0, options});
}
Operation Communicator::start_barrier(CallOptions options) {
  return state_->start({Kind::barrier, {}, {}, 0, 0, options});
}

void Communicator::abort(const Error& why) {
  state_->abort(why);
}

namespace {

template <class T, class State>
Result<void> reduce_produced(State& state, std::span<T> sum, const Communicator::Produce<T>& produce) {
  if (state.dead.load()) return state.begin(std::nullopt).map([](OperationName) {});
  Production<T> production(*state.segments, state.hosted(), state.ranges.back().last, sum.size());
  const Result<void> produced = production.run(produce);
  const Signature signature{Kind::all_reduce, ReduceOperator::sum, kernels::element_type_of<T>(), 0,
                            sum.size()};
  return state.run_folded(signature, production.contribution(), sum.data(),
                          produced ? nullptr : &produced.error());
}

}  // namespace

Result<void> Communicator::all_reduce(std::span<float> sum, const Produce<float>& produce) {
  return reduce_produced(*state_, sum, produce);
}

Result<void> Communicator::all_reduce(std::span<double> sum, const Produce<double>& produce) {
  return reduce_produced(*state_, sum, produce);
}

}  // namespace ds::collective

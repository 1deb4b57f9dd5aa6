#include "actors/parameters/shard_state.hpp"

namespace ds::parameters {
namespace {

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;

}  // namespace

bool RangeShard::on_replica_update(const ReplicaUpdate& update) {
  State& state = *state_;
  const auto follows = [&](bool sync) { return state.has_state && state.options.sync == sync; };
  return std::visit(Overloaded{
                        [&](const StoreSum& one) { return state.store(one); },
                        [&](const Commit& one) { return follows(true) && state.commit(one).has_value(); },
                        [&](const PushUpdate& one) { return follows(false) && state.apply(one).has_value(); },
                        [&](const Install& one) { return state.restore(one.image).has_value(); },
                        [&](const KeepWorkerState& one) {
                          if (!follows(false)) return false;
                          state.keep(one);
                          return true;
                        },
                    },
                    update);
}

}  // namespace ds::parameters

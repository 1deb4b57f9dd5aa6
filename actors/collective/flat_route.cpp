#include "actors/collective/flat_route.hpp"

#include <utility>
#include <vector>

namespace ds::collective {
namespace {

// The call as one step of all members; `owned` is filled and must outlive the task.
Task task_of(const Call& call, std::uint32_t world_size, std::vector<Slice>& owned) {
  append_ownership(call.signature, world_size, owned);
  const auto delivery = call.signature.kind == Kind::reduce_scatter ? Delivery::owner : Delivery::everyone;
  return {call.signature, call.name, 0, delivery, owned, call.contribution, std::span(&call.output, 1),
          call.failure};
}

class ExchangeRoute final : public Route {
 public:
  explicit ExchangeRoute(ExchangePath path, std::uint32_t world_size)
      : path_(std::move(path)), world_size_(world_size) {}
  Path path() const override { return Path::exchange; }
  void abort(const Error&) override {}
  Result<void> run(const Call& call, Interruption&) override {
    std::vector<Slice> owned;
    return path_.run(task_of(call, world_size_, owned));
  }

 private:
  ExchangePath path_;
  std::uint32_t world_size_;
};

class SharedRoute final : public Route {
 public:
  SharedRoute(std::unique_ptr<SharedGroup> group, std::uint32_t world_size)
      : group_(std::move(group)), world_size_(world_size) {}
  Path path() const override { return Path::shared_memory; }
  void abort(const Error& why) override { group_->abort(why); }
  Result<void> run(const Call& call, Interruption& interruption) override {
    thread_local std::vector<Slice> owned;  // kept, so that steady work allocates nothing
    owned.clear();
    return group_->run(task_of(call, world_size_, owned), interruption);
  }

 private:
  std::unique_ptr<SharedGroup> group_;
  std::uint32_t world_size_;
};

}  // namespace

std::unique_ptr<Route> make_flat_route(ExchangePath path, std::uint32_t world_size) {
  return std::make_unique<ExchangeRoute>(std::move(path), world_size);
}

std::unique_ptr<Route> make_flat_route(std::unique_ptr<SharedGroup> group, std::uint32_t world_size) {
  return std::make_unique<SharedRoute>(std::move(group), world_size);
}

}  // namespace ds::collective

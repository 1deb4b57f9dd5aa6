#include <cstring>
#include <vector>

#include "actors/collective/fold_plan.hpp"
#include "actors/collective/route.hpp"
#include "kernels/reduce_tree.hpp"

namespace ds::collective {
namespace {

class LoneRoute final : public Route {
 public:
  explicit LoneRoute(std::uint32_t leaves) : plan_(plan_member({0, leaves}, leaves)) {}

  Path path() const override { return Path::alone; }
  void abort(const Error&) override {}

  Result<void> run(const Call& call, Interruption&) override {
    if (call.failure) return tl::unexpected(*call.failure);
    const Signature& signature = call.signature;
    if (reduces(signature.kind)) {
      reduce(call);
    } else if (signature.kind == Kind::all_gather && signature.elements > 0 &&
               call.output != call.contribution.vectors[0]) {
      std::memcpy(call.output, call.contribution.vectors[0],
                  signature.elements * kernels::size_of(signature.type));
    }
    return {};
  }

 private:
  void reduce(const Call& call) const {
    std::vector<kernels::TreeInput> inputs;
    if (call.contribution.folded) {
      inputs.push_back({call.contribution.vectors[0], plan_.subtrees[0].accumulated(), 0});
    } else {
      for (std::size_t leaf = 0; leaf < plan_.combines.size(); ++leaf)
        inputs.push_back({call.contribution.vectors[leaf], false, plan_.combines[leaf]});
    }
    void* const outputs[] = {call.output};
    kernels::reduce_tree(
        {call.signature.type, call.signature.op, inputs, outputs, call.signature.elements, true, false});
  }

  MemberPlan plan_;
};

}  // namespace

std::unique_ptr<Route> make_lone_route(std::uint32_t leaves) {
  return std::make_unique<LoneRoute>(leaves);
}

void append_ownership(const Signature& signature, std::uint32_t world_size, std::vector<Slice>& owned) {
  for (std::uint32_t rank = 0; rank < world_size; ++rank) {
    if (signature.kind == Kind::broadcast) {
      owned.push_back(rank == signature.root ? Slice{0, signature.elements} : Slice{});
    } else {
      owned.push_back(slice_of(signature.elements, world_size, rank));
    }
  }
}

}  // namespace ds::collective

#include "actors/collective/call_mistake.hpp"

#include <fmt/format.h>

#include <string>

#include "actors/collective/agreement.hpp"

namespace ds::collective {

std::optional<Error> find_mistake(const Signature& signature, const CallArguments& arguments) {
  const auto refuse = [&](const std::string& what) {
    return Error{ErrorCode::invalid_argument,
                 fmt::format("rank {} called {} wrongly: {}", arguments.rank, describe(signature), what),
                 {}};
  };
  const Slice own = slice_of(signature.elements, arguments.world_size, arguments.rank);
  if (signature.kind == Kind::broadcast && signature.root >= arguments.world_size)
    return refuse(fmt::format("there are {} members", arguments.world_size));
  const std::size_t inputs = reduces(signature.kind) ? arguments.hosted : arguments.inputs.size();
  if (arguments.inputs.size() != inputs)
    return refuse(fmt::format("{} inputs for {} logical ranks", arguments.inputs.size(), inputs));
  for (const ConstVector& input : arguments.inputs) {
    const std::size_t elements = signature.kind == Kind::all_gather ? own.size() : signature.elements;
    if (input.type != signature.type)
      return refuse(fmt::format("an input is of {}", kernels::name_of(input.type)));
    if (input.elements != elements)
      return refuse(fmt::format("an input has {} elements where {} belong", input.elements, elements));
  }
  const std::size_t output = signature.kind == Kind::reduce_scatter ? own.size() : signature.elements;
  if (signature.kind != Kind::barrier && arguments.output_elements != output)
    return refuse(
        fmt::format("the output has {} elements where {} belong", arguments.output_elements, output));
  return std::nullopt;
}

}  // namespace ds::collective

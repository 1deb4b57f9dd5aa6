#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "actors/collective/call.hpp"
#include "actors/collective/vector_view.hpp"
#include "storage/result.hpp"

namespace ds::collective {

/// Who calls, and with what.
struct CallArguments {
  std::uint32_t rank = 0;
  std::uint32_t world_size = 1;
  std::uint32_t hosted = 0;  ///< logical ranks
  std::span<const ConstVector> inputs;
  std::size_t output_elements = 0;
};

/// What is wrong with the vectors of a call, if anything (`invalid_argument`). Pure.
std::optional<Error> find_mistake(const Signature& signature, const CallArguments& arguments);

}  // namespace ds::collective

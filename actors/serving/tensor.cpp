#include "actors/serving/tensor.hpp"

#include <array>
#include <limits>
#include <utility>

namespace ds::serving {
namespace {

struct Entry {
  Datatype type;
  std::string_view name;
  std::size_t size;
};

constexpr auto kTypes = std::to_array<Entry>({
    {Datatype::boolean, "BOOL", 1},
    {Datatype::uint8, "UINT8", 1},
    {Datatype::uint16, "UINT16", 2},
    {Datatype::uint32, "UINT32", 4},
    {Datatype::uint64, "UINT64", 8},
    {Datatype::int8, "INT8", 1},
    {Datatype::int16, "INT16", 2},
    {Datatype::int32, "INT32", 4},
    {Datatype::int64, "INT64", 8},
    {Datatype::fp16, "FP16", 2},
    {Datatype::fp32, "FP32", 4},
    {Datatype::fp64, "FP64", 8},
    {Datatype::bf16, "BF16", 2},
    {Datatype::bytes, "BYTES", 0},
});

const Entry& entry_of(Datatype type) {
  return kTypes.at(static_cast<std::size_t>(type));
}

}  // namespace

std::string_view to_string(Datatype type) {
  return entry_of(type).name;
}

std::optional<Datatype> datatype_from(std::string_view name) {
  for (const Entry& entry : kTypes) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

std::size_t size_of(Datatype type) {
  return entry_of(type).size;
}

std::optional<std::uint64_t> count_elements(std::span<const std::int64_t> shape) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  std::uint64_t count = 1;
  bool is_empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) {
      is_empty = true;
    } else if (count > kMost / static_cast<std::uint64_t>(size)) {
      return std::nullopt;
    } else {
      count *= static_cast<std::uint64_t>(size);
    }
  }
  return is_empty ? 0 : count;
}

}  // namespace ds::serving

#include "actors/train/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

namespace ds::train {

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");

Buffer to_safetensors(std::vector<NamedFloats> tensors, const std::map<std::string, std::string>& metadata) {
  std::ranges::sort(tensors, {}, &NamedFloats::name);
  nlohmann::json json{{"__metadata__", metadata}};
  std::uint64_t end = 0;
  for (const NamedFloats& tensor : tensors) {
    const std::uint64_t begin = end;
    end += tensor.values.size_bytes();
    json[tensor.name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  std::string header = json.dump();
  header.resize((header.size() + 7) / 8 * 8, ' ');  // so that the values are aligned in a mapped file
  const std::uint64_t header_size = header.size();
  return Buffer::make(sizeof header_size + header_size + end, [&](std::span<std::byte> out) {
    std::byte* next = out.data();
    const auto append = [&](const void* bytes, std::size_t size) {
      if (size != 0) std::memcpy(next, bytes, size);
      next += size;
    };
    append(&header_size, sizeof header_size);
    append(header.data(), header.size());
    for (const NamedFloats& tensor : tensors) append(tensor.values.data(), tensor.values.size_bytes());
  });
}

}  // namespace ds::train

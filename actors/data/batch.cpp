#include "actors/data/batch.hpp"

#include <algorithm>

namespace ds::data {

std::size_t bytes_of(Element element) {
  switch (element) {
    case Element::float32:
      return 4;
    case Element::int64:
      return 8;
    case Element::uint8:
      return 1;
  }
  return 0;
}

const HostTensor* Batch::find(const std::string& name) const {
  const auto found =
      std::ranges::find(fields, name, [](const auto& field) -> const std::string& { return field.first; });
  return found == fields.end() ? nullptr : &found->second;
}

}  // namespace ds::data

#include "actors/parameters/tree_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace ds::parameters {

bool TreeParts::holds(const Parts& parts, std::uint64_t first, const Part& part) {
  const auto found = parts.find(first);
  return found != parts.end() && found->second.node == part.node;
}

bool TreeParts::overlaps(const Parts& parts, std::uint64_t first, const Part& part) {
  const auto after = parts.lower_bound(first);
  if (after != parts.end() && after->first < part.last) return true;
  return after != parts.begin() && std::prev(after)->second.last > first;
}

Result<void> TreeParts::add(const std::vector<TreePart>& parts) {
  if (parts.size() > std::min<std::size_t>(leaves_, kMaxPartsPerPush))
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} parts of a sum over {} logical ranks", parts.size(), leaves_));
  Parts fresh;
  for (const TreePart& part : parts) {
    const std::uint64_t first = std::uint64_t{part.index} << std::min(part.level, 32U);
    if (part.level > 32 || first >= leaves_)
      return fail(ErrorCode::invalid_argument, fmt::format("the tree over {} logical ranks has no node {} of "
                                                           "level {}",
                                                           leaves_, part.index, part.level));
    Result<PayloadReader> reader = PayloadReader::open(part.gradient, elements_);
    if (!reader) return tl::unexpected(reader.error());
    const std::uint64_t last =
        std::min<std::uint64_t>(leaves_, (std::uint64_t{part.index} + 1) << part.level);
    Part one{collective::raised({part.level, part.index}, leaves_), last, *std::move(reader)};
    if (holds(parts_, first, one)) continue;
    if (overlaps(parts_, first, one) || overlaps(fresh, first, one))
      return fail(
          ErrorCode::conflict,
          fmt::format("the logical ranks from {} to {} are in another part of the sum", first, last - 1));
    fresh.emplace(first, std::move(one));
  }
  for (const auto& [first, part] : fresh) covered_ += part.last - first;
  parts_.merge(fresh);
  return {};
}

void TreeParts::clear() {
  parts_.clear();
  covered_ = 0;
}

std::vector<TreeParts::Input> TreeParts::take() {
  struct Nothing {};
  collective::SubtreeFold<Nothing> stack(leaves_);
  std::vector<Input> inputs;
  for (auto& [first, part] : parts_) {
    std::uint8_t combines = 0;
    stack.push(part.node, Nothing{}, [&](Nothing&, Nothing&&) { ++combines; });
    inputs.push_back({std::move(part.reader), combines});
  }
  clear();
  return inputs;
}

}  // namespace ds::parameters

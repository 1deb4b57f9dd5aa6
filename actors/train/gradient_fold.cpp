#include "actors/train/gradient_fold.hpp"

#include <cstring>
#include <utility>

#include "kernels/add_into.hpp"

namespace ds::train {
namespace {

std::span<const float> floats_of(const Buffer& buffer) {
  return {reinterpret_cast<const float*>(buffer.bytes().data()), buffer.size() / sizeof(float)};
}

}  // namespace

void GradientFold::begin() {
  for (auto& entry : fold_.entries()) {
    // A server may still look at what was lent to it, if its answer was not waited for.
    if (!entry.value.own.values().empty() && !entry.value.own.is_lent())
      spare_.push_back(std::move(entry.value.own));
  }
  fold_ = collective::SubtreeFold<Value>(leaves_);
}

void GradientFold::own(Value& value) {
  if (!value.own.values().empty() || value.lent.empty()) return;
  if (spare_.empty()) {
    value.own = parameters::FloatBlock(value.lent.size() / sizeof(float));
  } else {
    value.own = std::move(spare_.back());
    spare_.pop_back();
  }
  std::memcpy(value.own.values().data(), value.lent.bytes().data(), value.lent.size());
  value.lent = {};
}

void GradientFold::add(std::uint32_t logical, const Buffer& gradient) {
  fold_.push({0, logical}, Value{{}, gradient}, [this](Value& left, Value&& right) {
    own(left);
    const bool lent = right.own.values().empty();
    kernels::add_into(left.own.values(), lent ? floats_of(right.lent) : right.own.values());
    if (!lent) spare_.push_back(std::move(right.own));
  });
}

void GradientFold::settle() {
  if (!fold_.entries().empty()) own(fold_.entries().back().value);
}

std::vector<GradientFold::Sum> GradientFold::sums() {
  std::vector<Sum> sums;
  for (const auto& entry : fold_.entries()) {
    const bool lent = entry.value.own.values().empty();
    sums.push_back({entry.node, lent ? entry.value.lent : entry.value.own.lend()});
  }
  return sums;
}

}  // namespace ds::train

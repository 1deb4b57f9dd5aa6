#include "kernels/reduce_tree.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "kernels/convert.hpp"

namespace ds::kernels {
namespace {

template <class T>
constexpr bool kHalf = std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>;
template <class T>
using Accumulator = std::conditional_t<kHalf<T>, float, T>;

template <class T>
Accumulator<T> accumulator_from(T value) {
  if constexpr (kHalf<T>) {
    float wide = 0;
    widen(std::span(&wide, 1), std::span<const T>(&value, 1));
    return wide;
  } else {
    return value;
  }
}

/// One combination by the book, an element at a time.
template <class A>
A combine_one(ReduceOperator op, A a, A b) {
  if constexpr (std::is_integral_v<A>) {
    using U = std::make_unsigned_t<A>;
    if (op == ReduceOperator::sum) return static_cast<A>(static_cast<U>(a) + static_cast<U>(b));
    if (op == ReduceOperator::product) return static_cast<A>(static_cast<U>(a) * static_cast<U>(b));
    return op == ReduceOperator::minimum ? std::min(a, b) : std::max(a, b);
  } else {
    volatile A left = a, right = b;
    if (op == ReduceOperator::sum) return left + right;
    if (op == ReduceOperator::product) return left * right;
    if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<A>::quiet_NaN();
    if (a == b) return std::signbit(a) == (op == ReduceOperator::minimum) ? a : b;
    return (a < b) == (op == ReduceOperator::minimum) ? a : b;
  }
}

template <class T>
T finished(Accumulator<T> value) {
  if constexpr (std::is_integral_v<T>) {
    return value;
  } else {
    if (std::isnan(value)) value = std::numeric_limits<Accumulator<T>>::quiet_NaN();
    if constexpr (!kHalf<T>) return value;
    if constexpr (kHalf<T>) {
      T narrow_value;
      narrow(std::span(&narrow_value, 1), std::span<const float>(&value, 1));
      return narrow_value;
    }
  }
}

template <class T>
std::vector<T> random_bits(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::vector<T> values(size);
  for (T& value : values) {
    std::uint64_t bits = generator();
    // Now and then a zero of either sign, the neighbourhood of infinity, a NaN or a subnormal.
    if constexpr (!std::is_integral_v<T>) {
      const std::uint64_t low = generator() % 3;
      const unsigned kind = generator() % 16;
      const unsigned fraction = sizeof(T) == 8               ? 52
                                : sizeof(T) == 4             ? 23
                                : std::is_same_v<T, Float16> ? 10
                                                             : 7;
      const std::uint64_t sign = (bits & 1U) << (sizeof(T) * 8 - 1);
      const std::uint64_t infinity = ((std::uint64_t{1} << (sizeof(T) * 8 - 1)) - 1) >> fraction << fraction;
      if (kind == 0) bits = sign | low;
      if (kind == 1) bits = sign | (infinity + low - 1);
    }
    std::memcpy(static_cast<void*>(&value), &bits, sizeof value);
  }
  return values;
}

/// Combines neighbours level by level.
template <class A>
A tree_of(ReduceOperator op, std::vector<A> nodes) {
  while (nodes.size() > 1) {
    std::vector<A> parents;
    for (std::size_t k = 0; k < nodes.size(); k += 2)
      parents.push_back(k + 1 < nodes.size() ? combine_one(op, nodes[k], nodes[k + 1]) : nodes[k]);
    nodes = std::move(parents);
  }
  return nodes.front();
}

/// The stack program of the tree over that many inputs.
std::vector<std::uint8_t> combines_of(std::size_t inputs) {
  std::vector<std::uint8_t> counts(inputs);
  for (std::size_t i = 0; i < inputs; ++i) counts[i] = static_cast<std::uint8_t>(std::countr_one(i));
  std::size_t open = 1;
  for (std::size_t i = 0; i + 1 < inputs; ++i) open += 1 - std::size_t{counts[i]};
  counts.back() = static_cast<std::uint8_t>(open - 1);
  return counts;
}

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <class T>
void expect_the_book(ReduceOperator op, std::size_t inputs, std::size_t size, bool stream) {
  std::vector<std::vector<T>> vectors;
  std::vector<TreeInput> tree;
  const auto counts = combines_of(inputs);
  for (std::size_t k = 0; k < inputs; ++k) {
    vectors.push_back(random_bits<T>(size, 31 * k + size));
    tree.push_back({vectors[k].data(), false, counts[k]});
  }
  std::vector<T> expected(size);
  std::vector<Accumulator<T>> partial(size);
  for (std::size_t i = 0; i < size; ++i) {
    std::vector<Accumulator<T>> leaves;
    for (const auto& vector : vectors) leaves.push_back(accumulator_from(vector[i]));
    partial[i] = tree_of(op, leaves);
    expected[i] = inputs == 1 ? vectors[0][i] : finished<T>(partial[i]);
  }
  std::vector<T> other(size);
  // In place and out of place at once.
  void* outputs[] = {other.data(), vectors.back().data()};
  reduce_tree({element_type_of<T>(), op, tree, outputs, size, true, stream});
  EXPECT_TRUE(same(other, expected)) << name_of(element_type_of<T>()) << ' ' << name_of(op) << ' ' << inputs
                                     << " inputs of " << size;
  EXPECT_TRUE(same(vectors.back(), expected));
}

template <class T>
void expect_the_book_everywhere() {
  for (const auto op :
       {ReduceOperator::sum, ReduceOperator::product, ReduceOperator::minimum, ReduceOperator::maximum}) {
    for (const std::size_t inputs : {1, 2, 3, 4, 5, 7, 8, 13}) {
      for (const std::size_t size : {0, 1, 3, 17, 1021, 1024, 3001})
        expect_the_book<T>(op, inputs, size, size % 2 == 1);
    }
  }
}

TEST(ReduceTree, CombinesFloatsByTheBook) {
  expect_the_book_everywhere<float>();
}
TEST(ReduceTree, CombinesDoublesByTheBook) {
  expect_the_book_everywhere<double>();
}
TEST(ReduceTree, CombinesBfloat16InFloatAndRoundsOnce) {
  expect_the_book_everywhere<BFloat16>();
}
TEST(ReduceTree, CombinesBinary16InFloatAndRoundsOnce) {
  expect_the_book_everywhere<Float16>();
}
TEST(ReduceTree, CombinesInt32ByTheBook) {
  expect_the_book_everywhere<std::int32_t>();
}
TEST(ReduceTree, CombinesInt64ByTheBook) {
  expect_the_book_everywhere<std::int64_t>();
}

template <class T>
void expect_that_partial_results_change_nothing(ReduceOperator op) {
  constexpr std::size_t kSize = 2500;
  std::vector<std::vector<T>> v;
  for (std::uint64_t k = 0; k < 5; ++k) v.push_back(random_bits<T>(kSize, k));
  std::vector<T> whole(kSize), parts(kSize);
  void* to_whole[] = {whole.data()};
  const TreeInput all[] = {{v[0].data(), false, 0},
                           {v[1].data(), false, 1},
                           {v[2].data(), false, 0},
                           {v[3].data(), false, 2},
                           {v[4].data(), false, 1}};
  reduce_tree({element_type_of<T>(), op, all, to_whole, kSize, true, false});

  std::vector<Accumulator<T>> left(kSize);
  void* to_left[] = {left.data()};
  const TreeInput front[] = {all[0], all[1], all[2], all[3]};
  reduce_tree({element_type_of<T>(), op, front, to_left, kSize, false, false});
  void* to_parts[] = {parts.data()};
  const TreeInput rest[] = {{left.data(), true, 0}, {v[4].data(), false, 1}};
  reduce_tree({element_type_of<T>(), op, rest, to_parts, kSize, true, false});
  EXPECT_TRUE(same(whole, parts)) << name_of(element_type_of<T>()) << ' ' << name_of(op);
}

TEST(ReduceTree, GivesTheSameBitsThroughPartialResults) {
  for (const auto op :
       {ReduceOperator::sum, ReduceOperator::product, ReduceOperator::minimum, ReduceOperator::maximum}) {
    expect_that_partial_results_change_nothing<float>(op);
    expect_that_partial_results_change_nothing<double>(op);
    expect_that_partial_results_change_nothing<BFloat16>(op);
    expect_that_partial_results_change_nothing<Float16>(op);
    expect_that_partial_results_change_nothing<std::int64_t>(op);
  }
}

TEST(ReduceTree, MakesEveryNanOfAResultTheSame) {
  const std::vector<float> a{std::bit_cast<float>(0x7F800001U), 1, std::numeric_limits<float>::infinity()};
  const std::vector<float> b{1, std::bit_cast<float>(0xFFC12345U), -std::numeric_limits<float>::infinity()};
  std::vector<float> sum(3);
  void* outputs[] = {sum.data()};
  const TreeInput inputs[] = {{a.data(), false, 0}, {b.data(), false, 1}};
  reduce_tree({ElementType::float32, ReduceOperator::sum, inputs, outputs, 3, true, false});
  for (const float value : sum) EXPECT_EQ(std::bit_cast<std::uint32_t>(value), 0x7FC00000U);
}

TEST(ReduceTree, AccumulatesSixteenBitFloatsWithoutRoundingOnTheWay) {
  // 256 + 1 + 1 is 258 in float; rounding to bfloat16 after each addition would stay at 256.
  const std::vector<BFloat16> large{{0x4380}}, one{{0x3F80}};
  std::vector<BFloat16> sum(1);
  void* outputs[] = {sum.data()};
  const TreeInput inputs[] = {{large.data(), false, 0}, {one.data(), false, 1}, {one.data(), false, 1}};
  reduce_tree({ElementType::bfloat16, ReduceOperator::sum, inputs, outputs, 1, true, false});
  EXPECT_EQ(sum[0].bits, 0x4381);
}

TEST(ReduceTreeDeathTest, EndsTheProcessOnAProgramThatDoesNotFit) {
  const std::vector<float> a(1);
  std::vector<float> sum(1);
  void* outputs[] = {sum.data()};
  const TreeInput too_many[] = {{a.data(), false, 1}};
  EXPECT_DEATH(reduce_tree({ElementType::float32, ReduceOperator::sum, too_many, outputs, 1, true, false}),
               "");
  const TreeInput too_few[] = {{a.data(), false, 0}, {a.data(), false, 0}};
  EXPECT_DEATH(reduce_tree({ElementType::float32, ReduceOperator::sum, too_few, outputs, 1, true, false}),
               "");
}

}  // namespace
}  // namespace ds::kernels

#include "kernels/reduce_tree.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <type_traits>

#include "kernels/convert.hpp"
#include "kernels/copy_bytes.hpp"

// The vectors may be the same, but no iteration reads what another one writes.
#if defined(__clang__)
#define DS_INDEPENDENT_ITERATIONS _Pragma("clang loop vectorize(assume_safety)")
#else
#define DS_INDEPENDENT_ITERATIONS _Pragma("GCC ivdep")
#endif

namespace ds::kernels {
namespace {

constexpr std::size_t kBlockElements = 1024;

/// Integers are combined as unsigned, where overflow wraps.
template <class T>
using Wrapping =
    typename std::conditional_t<std::is_integral_v<T>, std::make_unsigned<T>, std::type_identity<T>>::type;

template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

/// Of equal numbers, which differ in the sign of zero at most, the one with the sign (minimum) or without it
/// (maximum). A NaN on the left wins here, one on the right by failing the comparison.
template <ReduceOperator op, class T>
inline T extreme(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return op == ReduceOperator::minimum ? std::min(a, b) : std::max(a, b);
  } else {
    const auto left = std::bit_cast<Bits<T>>(a), right = std::bit_cast<Bits<T>>(b);
    const T same = std::bit_cast<T>(op == ReduceOperator::minimum ? left | right : left & right);
    const bool wins = op == ReduceOperator::minimum ? a < b : a > b;
    T result = wins ? a : b;
    result = a == b ? same : result;
    return std::isnan(a) ? a : result;
  }
}

template <ReduceOperator op, class T>
inline T combine(T a, T b) {
  using W = Wrapping<T>;
  if constexpr (op == ReduceOperator::sum) return static_cast<T>(static_cast<W>(a) + static_cast<W>(b));
  if constexpr (op == ReduceOperator::product) return static_cast<T>(static_cast<W>(a) * static_cast<W>(b));
  return extreme<op>(a, b);
}

template <class T>
inline T canonical(T value) {
  if constexpr (std::is_integral_v<T>) {
    return value;
  } else {
    return std::isnan(value) ? std::numeric_limits<T>::quiet_NaN() : value;
  }
}

/// `out` may be `left`: element i is read before it is written, and no other is touched.
template <ReduceOperator op, bool finish, class T>
void combine_all(T* out, const T* left, const T* right, std::size_t count) {
  DS_INDEPENDENT_ITERATIONS
  for (std::size_t i = 0; i < count; ++i) {
    const T value = combine<op>(left[i], right[i]);
    out[i] = finish ? canonical(value) : value;
  }
}

template <class T>
using Combine = void (*)(T* out, const T* left, const T* right, std::size_t count);

template <class T, bool finish>
Combine<T> choose_combine(ReduceOperator op) {
  switch (op) {
    case ReduceOperator::sum:
      return combine_all<ReduceOperator::sum, finish, T>;
    case ReduceOperator::product:
      return combine_all<ReduceOperator::product, finish, T>;
    case ReduceOperator::minimum:
      return combine_all<ReduceOperator::minimum, finish, T>;
    case ReduceOperator::maximum:
      return combine_all<ReduceOperator::maximum, finish, T>;
  }
  std::abort();
}

template <class T>
void canonicalize(T* out, const T* in, std::size_t count) {
  DS_INDEPENDENT_ITERATIONS
  for (std::size_t i = 0; i < count; ++i) out[i] = canonical(in[i]);
}

/// Evaluates the stack program for one block after another. `E` are elements, `T` what they accumulate in.
template <class E, class T>
class TreeEvaluation {
 public:
  explicit TreeEvaluation(const TreeReduction& reduction)
      : reduction_(reduction),
        combine_(choose_combine<T, false>(reduction.op)),
        combine_last_(reduction.finish ? choose_combine<T, true>(reduction.op) : combine_) {}

  void run() {
    for (std::size_t first = 0; first < reduction_.elements; first += kBlockElements)
      run_block(first, std::min(kBlockElements, reduction_.elements - first));
    if (reduction_.stream) finish_streams();
  }

 private:
  void run_block(std::size_t first, std::size_t count) {
    if (reduction_.inputs.size() == 1) {
      const TreeInput& only = reduction_.inputs.front();
      if (!only.accumulated && reduction_.finish)
        return write(static_cast<const E*>(only.data) + first, first, count);
      stack_[0] = load(only, first, count, 0);
      if (reduction_.finish) {
        canonicalize(scratch_[0], stack_[0], count);
        stack_[0] = scratch_[0];
      }
      return write_result(first, count);
    }
    std::size_t depth = 0, left = reduction_.inputs.size() - 1;
    for (const TreeInput& input : reduction_.inputs) {
      stack_[depth] = load(input, first, count, depth);
      ++depth;
      for (std::uint8_t i = 0; i < input.combines; ++i, --depth) {
        T* out = scratch_[depth - 2];
        (--left == 0 ? combine_last_ : combine_)(out, stack_[depth - 2], stack_[depth - 1], count);
        stack_[depth - 2] = out;
      }
    }
    write_result(first, count);
  }

  const T* load(const TreeInput& input, std::size_t first, std::size_t count, std::size_t depth) {
    if constexpr (!std::is_same_v<E, T>) {
      if (!input.accumulated) {
        widen(std::span(scratch_[depth], count), std::span(static_cast<const E*>(input.data) + first, count));
        return scratch_[depth];
      }
    }
    return static_cast<const T*>(input.data) + first;
  }

  void write_result(std::size_t first, std::size_t count) {
    if constexpr (!std::is_same_v<E, T>) {
      if (reduction_.finish) {
        narrow(std::span(narrowed_, count), std::span(stack_[0], count));
        return write(narrowed_, first, count);
      }
    }
    write(stack_[0], first, count);
  }

  template <class Out>
  void write(const Out* block, std::size_t first, std::size_t count) {
    for (void* output : reduction_.outputs) {
      Out* to = static_cast<Out*>(output) + first;
      if (to != block) copy_bytes(to, block, count * sizeof(Out), reduction_.stream);
    }
  }

  const TreeReduction& reduction_;
  Combine<T> combine_;
  Combine<T> combine_last_;
  const T* stack_[kMaxTreeDepth];
  alignas(64) T scratch_[kMaxTreeDepth][kBlockElements];
  alignas(64) E narrowed_[kBlockElements];
};

void check(const TreeReduction& reduction) {
  std::size_t depth = 0;
  for (const TreeInput& input : reduction.inputs) {
    if (++depth > kMaxTreeDepth || input.combines >= depth) std::abort();
    depth -= input.combines;
  }
  if (depth != 1) std::abort();
}

}  // namespace

void reduce_tree(const TreeReduction& reduction) {
  check(reduction);
  switch (reduction.type) {
    case ElementType::float32:
      return TreeEvaluation<float, float>(reduction).run();
    case ElementType::float64:
      return TreeEvaluation<double, double>(reduction).run();
    case ElementType::bfloat16:
      return TreeEvaluation<BFloat16, float>(reduction).run();
    case ElementType::float16:
      return TreeEvaluation<Float16, float>(reduction).run();
    case ElementType::int32:
      return TreeEvaluation<std::int32_t, std::int32_t>(reduction).run();
    case ElementType::int64:
      return TreeEvaluation<std::int64_t, std::int64_t>(reduction).run();
  }
  std::abort();
}

}  // namespace ds::kernels

#include "kernels/lstm_cell.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "kernels/exponential.hpp"
#include "kernels/int8_code.hpp"

namespace ds::kernels {
namespace {

[[gnu::always_inline]] inline float sigmoid(float x) {
  return 1 / (1 + exponential(-x));
}
[[gnu::always_inline]] inline float hyperbolic_tangent(float x) {
  return 1 - 2 / (exponential(2 * x) + 1);
}

[[gnu::always_inline]] inline void step_row(const float* __restrict gates, const float* __restrict more,
                                            std::size_t width, float* __restrict cell,
                                            float* __restrict hidden) {
  for (std::size_t i = 0; i < width; ++i) {
    const float input = sigmoid(gates[i] + more[i]);
    const float forget = sigmoid(gates[width + i] + more[width + i]);
    const float fresh = hyperbolic_tangent(gates[2 * width + i] + more[2 * width + i]);
    const float output = sigmoid(gates[3 * width + i] + more[3 * width + i]);
    const float next = forget * cell[i] + input * fresh;
    cell[i] = next;
    hidden[i] = output * hyperbolic_tangent(next);
  }
}

using StepRow = void (*)(const float*, const float*, std::size_t, float*, float*);

void step_row_portable(const float* gates, const float* more, std::size_t width, float* cell, float* hidden) {
  step_row(gates, more, width, cell, hidden);
}
#ifdef DS_INT8_X86
DS_INT8_AVX2 void step_row_avx2(const float* gates, const float* more, std::size_t width, float* cell,
                                float* hidden) {
  step_row(gates, more, width, cell, hidden);
}
DS_INT8_AVX512 void step_row_avx512(const float* gates, const float* more, std::size_t width, float* cell,
                                    float* hidden) {
  step_row(gates, more, width, cell, hidden);
}
#endif

StepRow choose_step(Int8Code code) {
#ifdef DS_INT8_X86
  if (code == Int8Code::avx512_vnni) return step_row_avx512;
  if (code == Int8Code::avx2) return step_row_avx2;
#endif
  static_cast<void>(code);
  return step_row_portable;
}

}  // namespace

void lstm_cells(const float* gates, const float* more_gates, std::size_t rows, std::size_t width, float* cell,
                float* hidden, Int8Code code) {
  const StepRow step = choose_step(code);
  for (std::size_t r = 0; r < rows; ++r)
    step(gates + r * 4 * width, more_gates + r * 4 * width, width, cell + r * width, hidden + r * width);
}

void run_int8_lstm(const Int8LstmRun& run, Int8Code code) {
  const std::size_t width = run.recurrent->inputs();
  if (run.recurrent->outputs() != 4 * width) std::abort();
  if (run.steps.empty()) return;
  const auto most = static_cast<std::size_t>(run.steps.front());
  std::vector<std::size_t> first(run.steps.size());  // row of each step
  for (std::size_t t = 1; t < first.size(); ++t)
    first[t] = first[t - 1] + static_cast<std::size_t>(run.steps[t - 1]);
  std::vector<float> recurrent(most * 4 * width);
  Int8Rows quantized;
  for (std::size_t count = 0; count < first.size(); ++count) {
    const std::size_t t = run.is_reverse ? first.size() - 1 - count : count;
    const auto rows = static_cast<std::size_t>(run.steps[t]);
    if (rows > most) std::abort();
    quantized.quantize({run.hidden, rows * width}, rows, width, code);
    int8_linear(*run.recurrent, quantized, run.recurrent_bias, recurrent.data(), 4 * width, 0,
                run.recurrent->panels(), code);
    lstm_cells(run.gates + first[t] * 4 * width, recurrent.data(), rows, width, run.cell, run.hidden, code);
    for (std::size_t r = 0; r < rows; ++r)
      std::copy_n(run.hidden + r * width, width, run.out + (first[t] + r) * run.out_stride);
  }
}

}  // namespace ds::kernels

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/int8_linear.hpp"

namespace ds::kernels {

/// One step of LSTM cells: `gates` and `more_gates` (rows x 4 width, added; in PyTorch's order: input,
/// forget, cell, output) and `cell` (rows x width, changed) make `hidden` (rows x width, written). Exponents
/// are a polynomial of ours, off by about 1e-7: the same bits on every processor.
void lstm_cells(const float* gates, const float* more_gates, std::size_t rows, std::size_t width, float* cell,
                float* hidden, Int8Code code = best_int8_code());

/// A layer of LSTM cells in one direction, over sequences that may end early.
struct Int8LstmRun {
  const Int8Weights* recurrent = nullptr;  ///< 4 width x width
  std::span<const float> recurrent_bias;   ///< 4 width, or empty
  std::span<const std::int64_t> steps;     ///< sequences that have a step t, never rising
  const float* gates = nullptr;            ///< of the inputs: the steps' rows one after another, x 4 width
  bool is_reverse = false;                 ///< from every sequence's last step to its first
  float* hidden = nullptr;                 ///< `steps[0]` x width: the first state, then the last
  float* cell = nullptr;                   ///< the same
  float* out = nullptr;                    ///< hidden states, rows as in `gates`
  std::size_t out_stride = 0;              ///< floats from row to row
};
void run_int8_lstm(const Int8LstmRun& run, Int8Code code = best_int8_code());

}  // namespace ds::kernels

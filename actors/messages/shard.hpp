#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/fabric/buffer_inspect.hpp"

namespace ds::messages {

/// Which micro-batch of a job; see `train::MicroBatch`.
struct BatchName {
  std::uint64_t step = 0;
  std::uint32_t logical_rank = 0, micro = 0;
  bool operator==(const BatchName&) const = default;
};

/// Asks a data shard for batches. It answers each with `BatchMade`, in any order, and sends nothing else:
/// what was asked for and has not come is the credit that it has.
struct AskBatches {
  std::uint64_t worker = 0;
  std::string fingerprint;  ///< of the worker's training data: a shard that reads other data must not answer
  bool forget = false;      ///< first, all that this worker asked for before and that is not begun
  std::vector<BatchName> wanted;
  bool operator==(const AskBatches&) const = default;
};

/// A tensor of a batch.
struct BatchField {
  std::string name;
  std::uint8_t element = 0;  ///< `data::Element`
  std::vector<std::int64_t> shape;
  Buffer bytes;  ///< on the same host it stays where the shard has put it
  bool operator==(const BatchField&) const = default;
};

/// A batch, or why the shard could not make it.
struct BatchMade {
  BatchName name;
  std::uint64_t rows = 0, skipped = 0;
  std::vector<std::uint64_t> samples;
  std::string first_skipped;
  std::vector<BatchField> fields;
  std::string error;  ///< not empty: there is no batch
  bool operator==(const BatchMade&) const = default;
};

template <class I>
auto inspect(I& f, BatchName& x) {
  return f(x.step, x.logical_rank, x.micro);
}
template <class I>
auto inspect(I& f, AskBatches& x) {
  return f(x.worker, x.fingerprint, x.forget, x.wanted);
}
template <class I>
auto inspect(I& f, BatchField& x) {
  return f(x.name, x.element, x.shape, x.bytes);
}
template <class I>
auto inspect(I& f, BatchMade& x) {
  return f(x.name, x.rows, x.skipped, x.samples, x.first_skipped, x.fields, x.error);
}

}  // namespace ds::messages

#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "actors/fabric/buffer_inspect.hpp"
#include "actors/fabric/real.hpp"

// What workers and servers say to each other about one key range. Plain values that can be fields of
// messages; numbers in buffers are little-endian float32 unless said otherwise.
namespace ds::parameters {

/// How a vector is written in a buffer.
enum class Form : std::uint8_t {
  dense,    ///< every element
  runs,     ///< only some stretches; the others are +0.0 (of a gradient) or unchanged (of parameters)
  float16,  ///< the rest: `kernels::encode`, lossy
  bfloat16,
  int8,
  top_k,
};

/// Elements `first` to before `first + count` of a range.
struct Run {
  std::uint64_t first = 0, count = 0;
  bool operator==(const Run&) const = default;
};

/// A vector as long as the range, or parts of it.
struct Payload {
  Form form = Form::dense;
  std::vector<Run> runs;  ///< of `runs`, rising and apart; their values follow each other in `bytes`
  Buffer bytes;
  bool operator==(const Payload&) const = default;
};

/// A part of the parameter vector that is a matrix with many rows (an embedding): there only rows that are
/// not zero are pushed, and only rows that changed are pulled.
struct RowTable {
  std::uint64_t first = 0;  ///< element
  std::uint64_t rows = 0, width = 0;
  bool operator==(const RowTable&) const = default;
};

/// The sum of the gradients of the logical ranks below one node of the summation tree
/// (`collective::TreeNode`).
struct TreePart {
  std::uint32_t level = 0, index = 0;
  Payload gradient;
  bool operator==(const TreePart&) const = default;
};

/// sync: a worker's share of step `step` (committed steps before it), as its maximal subtrees. Answered with
/// `Prepared` once the parts of all logical ranks are there, summed and stored by the replicas too; nothing
/// is applied yet. One that comes again is answered again.
struct PushSum {
  std::uint64_t step = 0;
  std::vector<TreePart> parts;
  Real unscale = 1;                 ///< the sum is multiplied by it first (the loss scaler's inverse)
  Real clip_value = 0;              ///< > 0: then its elements are cut to ± this
  bool want_squares = false;        ///< of the sum as it is then
  bool want_uncut_squares = false;  ///< of the sum before it is cut
  std::uint64_t steps = 1;          ///< that will be made at once, see `Commit`; all workers say the same
  bool operator==(const PushSum&) const = default;
};

struct Prepared {
  std::uint64_t step = 0;
  bool finite = true;
  std::uint64_t not_finite = 0;  ///< the first such element of the range, if there is one
  Buffer squares;  ///< float64: `kernels::sum_squares` of the sum, block by block, where wanted and finite
  Buffer uncut_squares;  ///< likewise
  bool operator==(const Prepared&) const = default;
};

/// What all workers decided about a prepared step, each by itself and all alike. With the prepared sums it
/// says all there is to know to make the step, so whoever has both can.
struct Commit {
  std::uint64_t step = 0;  ///< committed steps before it
  bool updated = true;     ///< false: the step changes no parameter
  Real clip_factor = 1;    ///< float32: the sum is multiplied by it if below 1
  Real learning_rate = 0;
  std::uint64_t update = 0;  ///< updates made, this one included, counted from 1
  Buffer worker_state;  ///< what workers must have besides the parameters after the step; opaque to servers
  std::uint64_t steps = 1;  ///< that it makes at once: the batches whose gradients are in the sum; at least 1

  std::uint64_t step_after() const { return step + steps; }  ///< committed steps with it
  bool operator==(const Commit&) const = default;
};

/// Commits the step, unless it is committed already, and answers `Pulled` of after it once the replicas know
/// of the commit.
struct CommitAndPull {
  Commit commit;
  std::uint64_t have = 0;  ///< as in `Pull`
  bool operator==(const CommitAndPull&) const = default;
};

/// bounded, async: one logical rank's gradient of its share number `clock` (from 1), applied at once as an
/// update of its own, unless it was applied already. Answered with `Pushed` when the replicas have it too.
struct PushUpdate {
  std::uint32_t logical_rank = 0;
  std::uint64_t clock = 0;
  bool updated = true;  ///< false: it only moves the clock; `gradient` is empty
  Payload gradient;     ///< unscaled and clipped
  Real learning_rate = 0;
  bool operator==(const PushUpdate&) const = default;
};

struct Pushed {
  std::vector<std::uint64_t> clocks;  ///< by logical rank
  bool operator==(const Pushed&) const = default;
};

/// Answered with `Pulled` once every logical rank's clock is at least `at_least` (0: at once).
struct Pull {
  std::uint64_t have =
      0;  ///< the version that the asker has, from `Pulled`; 0: none. Only what changed comes
  std::uint64_t at_least = 0;
  bool operator==(const Pull&) const = default;
};

struct Pulled {
  std::uint64_t version = 0;  ///< counts what was applied, from 1
  std::uint64_t step = 0;     ///< sync: committed steps; else the smallest clock
  std::vector<std::uint64_t> clocks;
  Payload parameters;   ///< `dense` or `runs`
  Buffer worker_state;  ///< of the last commit or `Install`
  bool operator==(const Pulled&) const = default;
};

/// The whole state of a range.
struct RangeImage {
  std::uint64_t step = 0;             ///< sync
  std::uint64_t updates = 0;          ///< made
  std::vector<std::uint64_t> clocks;  ///< bounded, async
  Buffer parameters;
  std::vector<std::string> names;  ///< of `optimizer`, as in a `StateImage`
  std::vector<Buffer> optimizer;   ///< as long as the range
  Buffer worker_state;
  std::vector<Commit> last_commit;  ///< sync: that made step `step`, where it is known; at most one
  bool operator==(const RangeImage&) const = default;
};

/// Sets a range that has no state yet, in this generation; answered with `Done`.
struct Install {
  RangeImage image;
  bool operator==(const Install&) const = default;
};
struct Done {
  bool operator==(const Done&) const = default;
};

/// bounded, async: keeps what workers agreed on beside the parameters; answered with `Done`.
struct KeepWorkerState {
  std::uint64_t clock = 0;  ///< an older one than is kept changes nothing
  Buffer worker_state;
  bool operator==(const KeepWorkerState&) const = default;
};

/// Answered with a copy of the range's `RangeImage`, `parameters` empty: workers have them.
struct ReadRange {
  bool operator==(const ReadRange&) const = default;
};

using Request = std::variant<PushSum, CommitAndPull, PushUpdate, Pull, Install, KeepWorkerState, ReadRange>;
using Answer = std::variant<Prepared, Pulled, Pushed, RangeImage, Done>;

/// What a paused server has of a range.
struct HeldRange {
  std::uint32_t range = 0;
  std::uint64_t applied = 0;   ///< as `RangeShard::applied`
  std::uint64_t prepared = 0;  ///< sync: the newest step whose sum it has; else as `applied`
  bool operator==(const HeldRange&) const = default;
};

/// From a range's primary to its replicas, in order.
struct StoreSum {  ///< a prepared sum, what `PushSum` asked for already done to it
  std::uint64_t step = 0;
  Buffer sum;
  std::uint64_t steps = 1;  ///< as in `PushSum`
  bool operator==(const StoreSum&) const = default;
};
using ReplicaUpdate = std::variant<StoreSum, Commit, PushUpdate, Install, KeepWorkerState>;

template <class I>
auto inspect(I& f, Run& x) {
  return f(x.first, x.count);
}
template <class I>
auto inspect(I& f, Payload& x) {
  return f(x.form, x.runs, x.bytes);
}
template <class I>
auto inspect(I& f, RowTable& x) {
  return f(x.first, x.rows, x.width);
}
template <class I>
auto inspect(I& f, TreePart& x) {
  return f(x.level, x.index, x.gradient);
}
template <class I>
auto inspect(I& f, PushSum& x) {
  return f(x.step, x.parts, x.unscale, x.clip_value, x.want_squares, x.want_uncut_squares, x.steps);
}
template <class I>
auto inspect(I& f, Prepared& x) {
  return f(x.step, x.finite, x.not_finite, x.squares, x.uncut_squares);
}
template <class I>
auto inspect(I& f, Commit& x) {
  return f(x.step, x.updated, x.clip_factor, x.learning_rate, x.update, x.worker_state, x.steps);
}
template <class I>
auto inspect(I& f, CommitAndPull& x) {
  return f(x.commit, x.have);
}
template <class I>
auto inspect(I& f, PushUpdate& x) {
  return f(x.logical_rank, x.clock, x.updated, x.gradient, x.learning_rate);
}
template <class I>
auto inspect(I& f, Pushed& x) {
  return f(x.clocks);
}
template <class I>
auto inspect(I& f, Pull& x) {
  return f(x.have, x.at_least);
}
template <class I>
auto inspect(I& f, Pulled& x) {
  return f(x.version, x.step, x.clocks, x.parameters, x.worker_state);
}
template <class I>
auto inspect(I& f, RangeImage& x) {
  return f(x.step, x.updates, x.clocks, x.parameters, x.names, x.optimizer, x.worker_state, x.last_commit);
}
template <class I>
auto inspect(I& f, Install& x) {
  return f(x.image);
}
template <class I>
auto inspect(I& f, Done&) {
  return f();
}
template <class I>
auto inspect(I& f, KeepWorkerState& x) {
  return f(x.clock, x.worker_state);
}
template <class I>
auto inspect(I& f, ReadRange&) {
  return f();
}
template <class I>
auto inspect(I& f, HeldRange& x) {
  return f(x.range, x.applied, x.prepared);
}
template <class I>
auto inspect(I& f, StoreSum& x) {
  return f(x.step, x.sum, x.steps);
}

}  // namespace ds::parameters

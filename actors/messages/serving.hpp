#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/fabric/buffer.hpp"
#include "actors/fabric/buffer_inspect.hpp"
#include "actors/fabric/fabric.hpp"
#include "actors/fabric/real.hpp"

namespace ds::messages {

/// `serving::TensorSpec`
struct ServedSpec {
  std::string name;
  std::uint8_t datatype = 0;  ///< `serving::Datatype`
  std::vector<std::int64_t> shape;
  bool operator==(const ServedSpec&) const = default;
};

/// `serving::Padding`, as far as others need it.
struct ServedPadding {
  std::vector<std::vector<std::int64_t>> buckets;  ///< of each length; empty: nothing is padded
  std::vector<std::uint32_t> inputs, dimensions;   ///< places of those that are padded, and along what
  std::vector<Real> values;                        ///< of each; an input with two lengths stands there twice
  std::vector<std::uint32_t> cut;                  ///< places of outputs
  bool operator==(const ServedPadding&) const = default;
};

/// What a replica says first to every head it meets, and again once its model is loaded. The head answers
/// with `AssignReplica` or `StopWorker`.
struct ReplicaHello {
  std::uint64_t worker = 0;
  std::string job;
  fabric::ActorAddress actor;
  bool ready = false;
  std::uint32_t max_batch_size = 0;  ///< of its model, once it is ready
  std::vector<ServedSpec> inputs, outputs;
  std::vector<std::string> classes;  ///< that its first output scores; empty: none that have names
  std::string quantization;  ///< what the comparison with fp32 said, JSON; empty: the job asks for none
  ServedPadding padding;
  std::string digest = {};  ///< SHA-256 of the file that its job names, hexadecimal; empty: it names none
  bool operator==(const ReplicaHello&) const = default;
};

/// Its model can't be loaded: that of every other replica can't be either, unless `only_here`.
struct ReplicaFailed {
  std::uint64_t worker = 0;
  std::string why;
  bool only_here = false;
  bool is_other_file = false;  ///< what its job names is not the file that replicas of its version serve
  bool operator==(const ReplicaFailed&) const = default;
};

/// Gives a replica its job: the text of the `serve` job's file, and which checkpoint it serves.
struct AssignReplica {
  std::string job, file, directory, text;
  std::string checkpoint_job;  ///< empty: the file names a file
  std::uint64_t checkpoint_step = 0;
  bool is_archive = false;  ///< what is had in that checkpoint's place is a TorchScript file
  std::string origin;       ///< of the model, for errors; empty: as the file names it
  std::string training_directory, training_text;  ///< the file of the checkpoint's job
  std::string quantization;  ///< of a replica before, which is accepted; empty: there was none
  std::string digest = {};   ///< what the file has to be that the job names, as above; empty: not known
  bool operator==(const AssignReplica&) const = default;
};

/// A tensor of a request or of its answer.
struct ServedTensor {
  std::string name;
  std::uint8_t datatype = 0;  ///< `serving::Datatype`
  std::vector<std::int64_t> shape;
  Buffer bytes;
  bool operator==(const ServedTensor&) const = default;
};

/// A request on its way to a replica, which answers with an `InferAnswer` and never later than `budget_us`.
struct InferCall {
  std::uint64_t number = 0;  ///< of the router's
  std::uint32_t rows = 1;
  std::uint32_t priority = 0;   ///< 1 is the highest; 0: not given
  std::uint64_t budget_us = 0;  ///< that are left to its deadline
  std::string tenant;
  std::vector<ServedTensor> inputs;  ///< in the order of the model's
  /// A replica has died that had it: it runs in no batch with others, and only after `BeginInfer`.
  bool alone = false;
  bool operator==(const InferCall&) const = default;
};

/// Those that came together; each is answered for itself.
struct InferCalls {
  std::vector<InferCall> calls;
  bool operator==(const InferCalls&) const = default;
};

/// The replica is about to run the call of that number, and nothing else; to the router, which answers
/// `InferBegun`. Until then it has not begun.
struct BeginInfer {
  std::uint64_t number = 0;
  bool operator==(const BeginInfer&) const = default;
};
struct InferBegun {
  bool is_wanted = false;  ///< else nobody waits for it any more
  bool operator==(const InferBegun&) const = default;
};

/// Nobody waits any more for the answer to the call of that number. It is refused as cancelled unless it
/// runs.
struct CancelInfer {
  std::uint64_t number = 0;
  bool operator==(const CancelInfer&) const = default;
};

struct InferAnswer {
  std::uint64_t number = 0;  ///< of the call
  std::uint8_t failure = 0;  ///< 0: none; else 1 + `ErrorCode`
  std::string message;
  bool elsewhere = false;            ///< it failed, and another replica may do better
  std::uint32_t retry_after_ms = 0;  ///< when it is full
  std::vector<ServedTensor> outputs;
  std::uint64_t batch_wait_ns = 0, compute_ns = 0;
  std::uint32_t batch_rows = 0;  ///< of the batch that it ran in
  std::uint8_t released = 0;     ///< why that batch ran: `serving::Release`
  bool is_first = false;         ///< of its batch
  /// Of that batch's inputs that are padded, with the first of it; 0 else.
  std::uint64_t real_elements = 0, padding_elements = 0;
  bool operator==(const InferAnswer&) const = default;
};

/// To the router whose calls they were: what the replica has to say at a time.
struct InferAnswers {
  std::vector<InferAnswer> answers;
  bool operator==(const InferAnswers&) const = default;
};

template <class I>
auto inspect(I& f, ServedSpec& x) {
  return f(x.name, x.datatype, x.shape);
}
template <class I>
auto inspect(I& f, ServedPadding& x) {
  return f(x.buckets, x.inputs, x.dimensions, x.values, x.cut);
}
template <class I>
auto inspect(I& f, ReplicaHello& x) {
  return f(x.worker, x.job, x.actor, x.ready, x.max_batch_size, x.inputs, x.outputs, x.classes,
           x.quantization, x.padding, x.digest);
}
template <class I>
auto inspect(I& f, ReplicaFailed& x) {
  return f(x.worker, x.why, x.only_here, x.is_other_file);
}
template <class I>
auto inspect(I& f, AssignReplica& x) {
  return f(x.job, x.file, x.directory, x.text, x.checkpoint_job, x.checkpoint_step, x.is_archive, x.origin,
           x.training_directory, x.training_text, x.quantization, x.digest);
}
template <class I>
auto inspect(I& f, ServedTensor& x) {
  return f(x.name, x.datatype, x.shape, x.bytes);
}
template <class I>
auto inspect(I& f, InferCall& x) {
  return f(x.number, x.rows, x.priority, x.budget_us, x.tenant, x.inputs, x.alone);
}
template <class I>
auto inspect(I& f, InferCalls& x) {
  return f(x.calls);
}
template <class I>
auto inspect(I& f, BeginInfer& x) {
  return f(x.number);
}
template <class I>
auto inspect(I& f, InferBegun& x) {
  return f(x.is_wanted);
}
template <class I>
auto inspect(I& f, CancelInfer& x) {
  return f(x.number);
}
template <class I>
auto inspect(I& f, InferAnswer& x) {
  return f(x.number, x.failure, x.message, x.elsewhere, x.retry_after_ms, x.outputs, x.batch_wait_ns,
           x.compute_ns, x.batch_rows, x.released, x.is_first, x.real_elements, x.padding_elements);
}
template <class I>
auto inspect(I& f, InferAnswers& x) {
  return f(x.answers);
}

}  // namespace ds::messages

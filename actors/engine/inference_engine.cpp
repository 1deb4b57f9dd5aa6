#include "actors/engine/inference_engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "actors/replica/model_runner.hpp"
#include "actors/replica/padding_trial.hpp"
#include "actors/serving/batch_queue.hpp"
#include "actors/serving/refusal_text.hpp"

namespace ds {
namespace {

using Clock = std::chrono::steady_clock;
using Tensors = InferenceEngine::Tensors;

std::int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
}

serving::BatchingOptions to_batching(const InferenceEngine::Options& options) {
  serving::BatchingOptions batching;
  batching.mode = options.batching;
  batching.max_size = options.max_batch_size;
  batching.max_depth = options.max_depth;
  batching.max_bytes = options.max_bytes;
  return batching;
}

Result<std::unique_ptr<infer::ServedModel>> load(const InferenceEngine::Options& options) {
  auto archive = replica::read_archive(options.model_path);
  if (!archive) return tl::unexpected(archive.error());
  infer::ModelOptions model;
  model.name = "model";
  model.threads = std::max(options.threads, 1U);
  model.max_batch_size = options.max_batch_size;
  model.int8 = options.int8;
  model.bf16 = options.bf16;
  model.device = options.device;
  auto loaded =
      infer::ServedModel::load({*std::move(archive), options.model_path, options.inputs, {}}, model);
  if (!loaded) {
    Error error = loaded.error();  // of a job file, of which nobody knows here
    if (error.hint.starts_with("model.inputs")) error.hint.replace(0, sizeof "model.inputs" - 1, "inputs");
    return tl::unexpected(std::move(error));
  }
  if (!options.padding) return loaded;
  if (const auto tried = replica::use_padding(**loaded, *options.padding); !tried)
    return tl::unexpected(tried.error());
  return loaded;
}

Error to_error(serving::Refusal why, serving::RefusedTicket refused, const serving::BatchQueue& queue) {
  using serving::Refusal;
  refused.waiting = queue.depth();
  refused.waiting_bytes = queue.bytes();
  auto text =
      serving::refusal_text(why, refused, queue.options(), {"max_batch_size", "max_depth", "max_bytes"});
  switch (why) {
    case Refusal::deadline:
      return {ErrorCode::deadline_exceeded, "it can't be answered within the engine's timeout", {}};
    case Refusal::too_large:
      return {ErrorCode::invalid_argument, std::move(text), {}};
    case Refusal::draining:
      return {ErrorCode::unavailable, "the engine is about to stop", {}};
    case Refusal::queue_full:
    case Refusal::too_many_bytes:
      break;
  }
  return {ErrorCode::resource_exhausted, std::move(text), "send fewer at a time, or raise the bound"};
}

std::uint64_t shape_key(const Tensors& inputs, const std::optional<serving::Padding>& padding) {
  std::vector<std::span<const std::int64_t>> shapes;
  for (const serving::Tensor& input : inputs) shapes.emplace_back(input.shape);
  return serving::shape_key(shapes, padding ? &*padding : nullptr);
}

bool has_all_bytes(const serving::Tensor& tensor) {
  const auto count = serving::count_elements(tensor.shape);
  const std::size_t size = serving::size_of(tensor.datatype);
  if (!count) return false;
  if (size > 0) return tensor.bytes.size() / size == *count && tensor.bytes.size() % size == 0;
  std::size_t at = 0, texts = 0;
  for (; at + sizeof(std::uint32_t) <= tensor.bytes.size(); ++texts) {
    std::uint32_t length = 0;
    std::memcpy(&length, tensor.bytes.bytes().data() + at, sizeof length);
    at += sizeof length + length;
  }
  return at == tensor.bytes.size() && texts == *count;
}

}  // namespace

/// The thread is the one executor of the queue; both are used under the lock, the model by the thread alone.
class InferenceEngine::Core {
 public:
  explicit Core(Options options) : options_(std::move(options)), queue_(to_batching(options_)) {}

  /// The model is loaded on the thread that will run it.
  Result<void> start() {
    std::promise<Result<void>> loaded;
    auto outcome = loaded.get_future();
    thread_ = std::thread([this, promise = std::move(loaded)]() mutable { run(std::move(promise)); });
    return outcome.get();
  }

  ~Core() {
    {
      const std::lock_guard lock(mutex_);
      queue_.drain();
      is_stopping_ = true;
    }
    has_news_.notify_all();
    if (thread_.joinable()) thread_.join();
  }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  const serving::ModelMetadata& metadata() const { return metadata_; }

  std::future<Result<Tensors>> ask(Tensors inputs) {
    std::promise<Result<Tensors>> promise;
    auto answer = promise.get_future();
    auto request = check(std::move(inputs));
    if (!request) {
      promise.set_value(tl::unexpected(request.error()));
      return answer;
    }
    serving::Ticket ticket;
    ticket.rows = request->rows;
    ticket.shape_key = shape_key(request->inputs, metadata_.padding);
    for (const serving::Tensor& input : request->inputs) ticket.bytes += input.bytes.size();
    {
      const std::lock_guard lock(mutex_);
      const auto now = now_us();
      ticket.deadline_us =
          now + std::chrono::duration_cast<std::chrono::microseconds>(options_.timeout).count();
      const auto id = ticket.id = ++tickets_;
      const serving::RefusedTicket told{ticket.rows, ticket.bytes};
      if (const auto refused = queue_.admit(std::move(ticket), now)) {
        promise.set_value(tl::unexpected(to_error(*refused, told, queue_)));
        return answer;
      }
      waiting_.emplace(id, Waiting{std::move(request->inputs), std::move(promise)});
    }
    has_news_.notify_one();
    return answer;
  }

  serving::BatchCounters counters() const {
    const std::lock_guard lock(mutex_);
    return queue_.counters();
  }

 private:
  struct Request {
    Tensors inputs;  ///< in the model's order
    std::uint32_t rows = 0;
  };
  struct Waiting {
    Tensors inputs;
    std::promise<Result<Tensors>> promise;
  };

  Result<Request> check(Tensors inputs) const {
    serving::InferenceRequest request;
    request.inputs = std::move(inputs);
    for (const serving::Tensor& input : request.inputs) {
      if (!has_all_bytes(input)) {
        return fail(ErrorCode::invalid_argument,
                    fmt::format("input {} has {} bytes, which are not the elements of shape {}", input.name,
                                input.bytes.size(), serving::format_shape(input.shape)));
      }
    }
    const auto rows = serving::check_inputs(metadata_, request);
    if (!rows) return tl::unexpected(rows.error());
    Request checked{{}, static_cast<std::uint32_t>(*rows)};
    for (const auto& spec : metadata_.inputs)
      checked.inputs.push_back(
          std::move(*std::ranges::find(request.inputs, spec.name, &serving::Tensor::name)));
    return checked;
  }

  void run(std::promise<Result<void>> loaded) {
    auto model = load(options_);
    if (!model) return loaded.set_value(tl::unexpected(model.error()));
    metadata_ = (*model)->metadata();
    metadata_.padding = (*model)->padding();
    if (metadata_.padding) metadata_.outputs = cut_specs(*metadata_.padding, std::move(metadata_.outputs));
    for (const replica::Observation& seen : replica::warm_up(**model))
      queue_.observe(seen.rows, seen.took_us, now_us());
    loaded.set_value({});
    std::unique_lock lock(mutex_);
    while (true) {
      const auto batch = queue_.next(now_us());
      refuse_late();
      if (batch) {
        run_one(**model, *batch, lock);
      } else if (is_stopping_ && queue_.is_empty()) {
        return;
      } else {
        wait(lock);
      }
    }
  }

  void wait(std::unique_lock<std::mutex>& lock) {
    const auto now = now_us();
    const auto wake = queue_.wake_us(now);
    if (!wake) {
      has_news_.wait(lock);
    } else if (*wake > now) {
      has_news_.wait_for(lock, std::chrono::microseconds(*wake - now));
    }
  }

  void refuse_late() {
    for (const serving::Expired& expired : queue_.take_expired(now_us())) {
      auto found = waiting_.extract(expired.id);
      found.mapped().promise.set_value(tl::unexpected(to_error(expired.why, {}, queue_)));
    }
  }

  void run_one(infer::ServedModel& model, const serving::Batch& batch, std::unique_lock<std::mutex>& lock) {
    std::vector<Tensors> requests;
    std::vector<std::promise<Result<Tensors>>> promises;
    for (const auto id : batch.ids) {
      auto found = waiting_.extract(id);
      requests.push_back(std::move(found.mapped().inputs));
      promises.push_back(std::move(found.mapped().promise));
    }
    lock.unlock();
    replica::BatchOutcome outcome = replica::run_batch(model, requests);
    for (std::size_t i = 0; i < promises.size(); ++i) promises[i].set_value(std::move(outcome.answers[i]));
    lock.lock();
    queue_.on_done(batch, outcome.was_split ? 0 : outcome.took_us, now_us());
  }

  const Options options_;
  serving::ModelMetadata metadata_;  ///< constant once the model is there
  mutable std::mutex mutex_;
  std::condition_variable has_news_;
  serving::BatchQueue queue_;
  std::map<std::uint64_t, Waiting> waiting_;
  std::uint64_t tickets_ = 0;
  bool is_stopping_ = false;
  std::thread thread_;
};

Result<InferenceEngine> InferenceEngine::open(Options options) {
  if (options.max_batch_size == 0)
    return fail(ErrorCode::invalid_argument, "max_batch_size is 0: a batch has at least one row");
  auto core = std::make_unique<Core>(std::move(options));
  if (const auto started = core->start(); !started) return tl::unexpected(started.error());
  return InferenceEngine(std::move(core));
}

InferenceEngine::InferenceEngine(const std::string& model_path, const std::string& device,
                                 std::uint32_t max_batch_size, std::vector<serving::TensorSpec> inputs) {
  auto made = open({.model_path = model_path,
                    .device = device,
                    .max_batch_size = max_batch_size,
                    .inputs = std::move(inputs)});
  if (!made) throw InferenceError(made.error());
  core_ = std::move(made->core_);
}

InferenceEngine::InferenceEngine(std::unique_ptr<Core> core) : core_(std::move(core)) {}
InferenceEngine::InferenceEngine(InferenceEngine&&) noexcept = default;
InferenceEngine::~InferenceEngine() = default;

const serving::ModelMetadata& InferenceEngine::metadata() const {
  return core_->metadata();
}
Result<Tensors> InferenceEngine::predict(Tensors inputs) {
  return core_->ask(std::move(inputs)).get();
}
std::future<Result<Tensors>> InferenceEngine::predict_async(Tensors inputs) {
  return core_->ask(std::move(inputs));
}
serving::BatchCounters InferenceEngine::counters() const {
  return core_->counters();
}

serving::Tensor make_tensor(std::string name, std::vector<std::int64_t> shape,
                            std::span<const float> values) {
  return {std::move(name), serving::Datatype::fp32, std::move(shape), Buffer::copy_of(std::as_bytes(values))};
}
serving::Tensor make_tensor(std::string name, std::vector<std::int64_t> shape,
                            std::span<const std::int64_t> values) {
  return {std::move(name), serving::Datatype::int64, std::move(shape),
          Buffer::copy_of(std::as_bytes(values))};
}
serving::Tensor make_tensor(std::string name, std::span<const std::string> texts) {
  std::string bytes;
  for (const std::string& text : texts) {
    const auto size = static_cast<std::uint32_t>(text.size());
    bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
    bytes += text;
  }
  return {std::move(name),
          serving::Datatype::bytes,
          {static_cast<std::int64_t>(texts.size())},
          Buffer::copy_of(std::string_view(bytes))};
}

std::vector<float> floats_of(const serving::Tensor& tensor) {
  if (tensor.datatype != serving::Datatype::fp32) return {};
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  if (!values.empty()) std::memcpy(values.data(), tensor.bytes.bytes().data(), values.size() * sizeof(float));
  return values;
}

std::vector<std::int64_t> integers_of(const serving::Tensor& tensor) {
  if (tensor.datatype != serving::Datatype::int64) return {};
  std::vector<std::int64_t> values(tensor.bytes.size() / sizeof(std::int64_t));
  if (!values.empty())
    std::memcpy(values.data(), tensor.bytes.bytes().data(), values.size() * sizeof(std::int64_t));
  return values;
}

std::vector<std::string> texts_of(const serving::Tensor& tensor) {
  std::vector<std::string> texts;
  if (tensor.datatype != serving::Datatype::bytes) return texts;
  std::string_view rest = tensor.bytes.text();
  while (rest.size() >= sizeof(std::uint32_t)) {
    std::uint32_t size = 0;
    std::memcpy(&size, rest.data(), sizeof size);
    texts.emplace_back(rest.substr(sizeof size, size));
    rest.remove_prefix(std::min(rest.size(), sizeof size + size));
  }
  return texts;
}

}  // namespace ds

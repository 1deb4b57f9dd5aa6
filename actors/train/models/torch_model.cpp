#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <torch/version.h>

#include <chrono>
#include <utility>

#include "actors/train/model.hpp"
#include "actors/train/models/flat_tensors.hpp"
#include "actors/train/models/gradient_sink.hpp"
#include "actors/train/models/half_precision.hpp"
#include "actors/train/models/loss.hpp"
#include "actors/train/models/module_network.hpp"
#include "actors/train/models/network.hpp"
#include "actors/train/models/ready_ranges.hpp"
#include "actors/train/models/settings.hpp"
#include "actors/train/models/torch_process.hpp"

namespace ds::train {
namespace {

using Clock = std::chrono::steady_clock;  // for the seconds that are reported; no result depends on it
double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// Matrix products and convolutions in bfloat16 while it lives; the parameters stay float32.
class Autocast {
 public:
  explicit Autocast(bool on) : on_(on) {
    if (on_) switch_to(true);
  }
  ~Autocast() {
    if (!on_) return;
    switch_to(false);
    at::autocast::clear_cache();  // it holds copies of parameters that are about to change
  }
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  static void switch_to(bool on) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCPU, on);
#else
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
    at::autocast::set_cpu_enabled(on);
#endif
  }
  bool on_;
};

at::ScalarType type_of(data::Element element) {
  switch (element) {
    case data::Element::float32:
      return at::kFloat;
    case data::Element::int64:
      return at::kLong;
    case data::Element::uint8:
      return at::kByte;
  }
  return at::kFloat;
}

/// A tensor over the batch's memory, which torch only reads.
at::Tensor borrow(const data::HostTensor& tensor) {
  if (tensor.bytes.empty()) return at::zeros(tensor.shape, type_of(tensor.element));
  return at::from_blob(const_cast<std::byte*>(tensor.bytes.bytes().data()), tensor.shape,
                       type_of(tensor.element));
}

class TorchModel final : public Model {
 public:
  TorchModel(const ModelRequest& request, std::unique_ptr<Network> network, FlatTensors tensors)
      : request_(request), network_(std::move(network)), tensors_(std::move(tensors)) {
    install_hooks();
  }
  ~TorchModel() override {
    for (std::size_t i = 0; i < hooks_.size(); ++i) accumulators_[i]->del_post_hook(hooks_[i]);
  }

  /// Runs one row of zeros, and makes the loss for the shape that comes out.
  Result<void> try_out();

  const std::vector<TensorSlot>& parameter_slots() const override { return tensors_.parameter_slots(); }
  const std::vector<TensorSlot>& buffer_slots() const override { return tensors_.buffer_slots(); }
  const std::vector<TensorSlot>& counter_slots() const override { return tensors_.counter_slots(); }
  std::span<float> parameters() override { return tensors_.parameters(); }
  std::span<float> gradients() override {
    gradients_.settle();
    return gradients_.all();
  }
  void zero_gradients() override { gradients_.zero(); }
  void put_gradients(std::span<float> memory) override { gradients_.move_to(memory); }
  void measure_norms(bool on) override { gradients_.measure(on); }
  std::span<float> buffers() override { return tensors_.buffers(); }
  std::span<std::int64_t> counters() override { return tensors_.counters(); }
  std::shared_ptr<const void> memory() const override { return tensors_.memory(); }

  Result<Contribution> accumulate(const data::Batch& batch, std::uint64_t random_seed, double divisor,
                                  double scale, const OnReady& on_ready) override;
  Result<Judgement> judge(const data::Batch& batch, bool with_scores) override;
  Result<Buffer> to_torchscript(const std::map<std::string, std::string>& extra_files) override;
  Result<Buffer> to_state_dict() override;

 private:
  struct Rows {
    std::vector<at::Tensor> inputs;
    at::Tensor label;
  };

  void install_hooks();
  void finish(std::size_t parameter);
  Result<Rows> to_rows(const data::Batch& batch) const;
  Result<void> check_labels(const at::Tensor& label) const;
  at::Tensor forward(const std::vector<at::Tensor>& inputs);
  void fill_classes(const at::Tensor& output, const at::Tensor& label, bool with_scores,
                    Judgement& into) const;

  ModelRequest request_;
  std::unique_ptr<Network> network_;
  FlatTensors tensors_;
  std::optional<Loss> loss_;
  std::vector<std::shared_ptr<torch::autograd::Node>> accumulators_;  ///< live as long as somebody holds them
  std::vector<std::uintptr_t> hooks_;
  GradientSink gradients_{tensors_.parameter_slots(), tensors_.gradients()};
  ReadyRanges ready_{tensors_.parameter_slots()};
  const OnReady* on_ready_ = nullptr;  ///< of the call that is running
};

/// Calls back when a parameter has its gradient.
class FinishedHook final : public torch::autograd::FunctionPostHook {
 public:
  explicit FinishedHook(std::function<void()> finished) : finished_(std::move(finished)) {}
  torch::autograd::variable_list operator()(const torch::autograd::variable_list& outputs,
                                            const torch::autograd::variable_list&) override {
    finished_();
    return outputs;
  }

 private:
  std::function<void()> finished_;
};

void TorchModel::install_hooks() {
  for (std::size_t i = 0; i < tensors_.trained().size(); ++i) {
    accumulators_.push_back(torch::autograd::impl::grad_accumulator(tensors_.trained()[i]));
    hooks_.push_back(
        accumulators_.back()->add_post_hook(std::make_unique<FinishedHook>([this, i] { finish(i); })));
  }
}

void TorchModel::finish(std::size_t parameter) {
  // Torch leaves a gradient that it made as it is, where there was none before: it is read once, here.
  gradients_.add(parameter, std::exchange(tensors_.trained()[parameter].mutable_grad(), at::Tensor()));
  const auto range = ready_.finish(parameter);
  if (range && on_ready_ != nullptr && *on_ready_) (*on_ready_)(range->first, range->second);
}

/// Everything torch-like of a batch, after looking at what would crash or spoil silently.
Result<TorchModel::Rows> TorchModel::to_rows(const data::Batch& batch) const {
  Rows rows;
  for (const data::FieldShape& field : request_.fields) {
    const data::HostTensor* tensor = batch.find(field.name);
    std::vector<std::int64_t> expected{static_cast<std::int64_t>(batch.rows)};
    expected.insert(expected.end(), field.shape.begin(), field.shape.end());
    if (tensor == nullptr)
      return fail(ErrorCode::internal, fmt::format("a batch has no field `{}`", field.name));
    const auto bytes = static_cast<std::uint64_t>(product_of(expected)) * data::bytes_of(field.element);
    if (tensor->element != field.element || tensor->shape != expected || tensor->bytes.size() != bytes) {
      return fail(ErrorCode::internal,
                  fmt::format("a batch's {} where {} belong",
                              to_text(data::FieldShape{field.name, tensor->element, tensor->shape}),
                              to_text(expected)));
    }
    if (field.name == "label") {
      rows.label = borrow(*tensor);
    } else {
      rows.inputs.push_back(borrow(*tensor));
    }
  }
  return rows;
}

Result<void> TorchModel::check_labels(const at::Tensor& label) const {
  if (request_.classes == 0) return {};
  const std::int64_t rows = label.size(0), elements = rows == 0 ? 0 : label.numel() / rows;
  const auto* classes = label.data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < rows * elements; ++i) {
    if (classes[i] >= -1 && classes[i] < std::int64_t{request_.classes}) continue;
    return fail(ErrorCode::invalid_argument,
                fmt::format("row {} of the batch has the label {}, the classes are 0 to {}", i / elements,
                            classes[i], request_.classes - 1));
  }
  return {};
}

at::Tensor TorchModel::forward(const std::vector<at::Tensor>& inputs) {
  const Autocast autocast(request_.precision == "bf16");
  const HalfPrecision half(request_.precision == "fp16");
  return network_->forward(inputs);
}

Result<void> TorchModel::try_out() {
  const std::vector<float> buffers(this->buffers().begin(), this->buffers().end());
  const std::vector<std::int64_t> counters(this->counters().begin(), this->counters().end());
  const data::FieldShape* label = find_label(request_);
  if (label == nullptr) return fail(ErrorCode::invalid_argument, "data.train: training needs a label");
  std::vector<at::Tensor> inputs;
  std::string shapes;
  for (const data::FieldShape& field : request_.fields) {
    if (field.name == "label") continue;
    std::vector<std::int64_t> shape{1};
    shape.insert(shape.end(), field.shape.begin(), field.shape.end());
    inputs.push_back(at::zeros(shape, type_of(field.element)));
    shapes += (shapes.empty() ? "" : ", ") + fmt::format("`{}` {}", field.name, to_text(field.shape));
  }
  return guarded(fmt::format("model: a sample of {} does not go through it", shapes),
                 ErrorCode::invalid_argument, [&]() -> Result<void> {
                   const at::AutoGradMode with_gradient(true);
                   network_->train(false);
                   const auto turn = seed_torch(0);
                   const at::Tensor output = forward(inputs);
                   network_->settle();
                   tensors_.check();
                   std::ranges::copy(buffers, this->buffers().begin());
                   std::ranges::copy(counters, this->counters().begin());
                   if (!output.is_floating_point() || output.dim() == 0 || output.size(0) != 1) {
                     return fail(
                         ErrorCode::invalid_argument,
                         fmt::format("model: for one row it gives {} of type {}, expected floats [1, …]",
                                     to_text(output.sizes().vec()), c10::toString(output.scalar_type())));
                   }
                   if (!output.requires_grad())
                     return fail(ErrorCode::invalid_argument,
                                 "model: no parameter that can be trained takes part in its output");
                   Result<Loss> loss =
                       Loss::create(request_.loss, request_.classes, *label, output.sizes().slice(1).vec());
                   if (!loss) return tl::unexpected(loss.error());
                   loss_ = *std::move(loss);
                   return {};
                 });
}

Result<Model::Contribution> TorchModel::accumulate(const data::Batch& batch, std::uint64_t random_seed,
                                                   double divisor, double scale, const OnReady& on_ready) {
  return guarded("training the model", ErrorCode::invalid_argument, [&]() -> Result<Contribution> {
    use_threads(static_cast<int>(request_.threads));
    const Result<Rows> rows = to_rows(batch);
    if (!rows) return tl::unexpected(rows.error());
    Contribution made;
    ready_.restart();
    if (batch.rows > 0) {
      const Clock::time_point begin = Clock::now();
      const at::Tensor label = loss_->to_label(rows->label);
      if (const Result<void> fits = check_labels(label); !fits) return tl::unexpected(fits.error());
      const at::AutoGradMode with_gradient(true);
      network_->train(true);
      auto turn = seed_torch(random_seed);
      const at::Tensor output = loss_->to_output(forward(rows->inputs));
      turn.unlock();  // the backward pass draws nothing
      const at::Tensor loss = loss_->sum(output, label).div(divisor);
      made.loss = loss.item<float>();
      const Clock::time_point middle = Clock::now();
      on_ready_ = &on_ready;
      struct Reset {
        const OnReady*& pointer;
        ~Reset() { pointer = nullptr; }
      } const reset{on_ready_};
      (scale == 1 ? loss : loss * scale).backward();
      network_->settle();
      tensors_.check();
      made.forward_seconds = seconds_between(begin, middle);
      made.backward_seconds = seconds_between(middle, Clock::now());
      made.squared_norm = gradients_.take_squared_norm();
    }
    if (ready_.front() > 0 && on_ready) {  // what had no part in the loss
      gradients_.settle();
      on_ready(0, ready_.front());
    }
    return made;
  });
}

Result<Model::Judgement> TorchModel::judge(const data::Batch& batch, bool with_scores) {
  return guarded("evaluating the model", ErrorCode::invalid_argument, [&]() -> Result<Judgement> {
    use_threads(static_cast<int>(request_.threads));
    const Result<Rows> rows = to_rows(batch);
    if (!rows) return tl::unexpected(rows.error());
    Judgement verdict;
    if (batch.rows == 0) return verdict;
    const at::Tensor label = loss_->to_label(rows->label);
    if (const Result<void> fits = check_labels(label); !fits) return tl::unexpected(fits.error());
    const at::NoGradGuard without_gradient;
    network_->train(false);
    const auto turn = seed_torch(0);
    const at::Tensor output = loss_->to_output(forward(rows->inputs));
    network_->settle();
    verdict.loss = loss_->sum(output, label).item<float>();
    verdict.rows = batch.rows;
    if (loss_->fit() == Fit::numbers) return verdict;
    verdict.rows = static_cast<std::uint64_t>(
        label.ne(-1).reshape({label.size(0), -1}).any(1).sum().item<std::int64_t>());
    verdict.elements = static_cast<std::uint64_t>(label.numel()) / batch.rows;
    fill_classes(output, label, with_scores, verdict);
    return verdict;
  });
}

void TorchModel::fill_classes(const at::Tensor& output, const at::Tensor& label, bool with_scores,
                              Judgement& into) const {
  const auto to_vector = [](const at::Tensor& classes) {
    const at::Tensor flat = classes.contiguous();
    const auto* begin = flat.data_ptr<std::int64_t>();
    return std::vector<std::int64_t>(begin, begin + flat.numel());
  };
  const bool one = loss_->fit() == Fit::one_score;
  into.predicted = to_vector(one ? output.gt(0).to(at::kLong) : output.argmax(1));
  into.expected = to_vector(label);
  if (!with_scores) return;
  at::Tensor chances;
  if (one) {
    const at::Tensor second = output.sigmoid();
    chances = at::stack({1 - second, second}, -1);
  } else {
    chances = output.softmax(1).movedim(1, -1);
  }
  chances = chances.contiguous();
  const auto* begin = chances.data_ptr<float>();
  into.scores.assign(begin, begin + chances.numel());
}

Result<Buffer> TorchModel::to_torchscript(const std::map<std::string, std::string>& extra_files) {
  return guarded("exporting to TorchScript", ErrorCode::internal, [&]() -> Result<Buffer> {
    Result<std::string> bytes = network_->to_torchscript(extra_files);
    if (!bytes) return tl::unexpected(bytes.error());
    const auto owner = std::make_shared<const std::string>(*std::move(bytes));
    return Buffer(owner, std::as_bytes(std::span(*owner)));
  });
}

Result<Buffer> TorchModel::to_state_dict() {
  return guarded("exporting a state_dict", ErrorCode::internal, [&]() -> Result<Buffer> {
    c10::Dict<std::string, at::Tensor> tensors;
    for (const auto& [name, tensor] : tensors_.copies()) tensors.insert(name, tensor);
    const std::vector<char> bytes = torch::jit::pickle_save(tensors);
    return Buffer::copy_of(std::string_view(bytes.data(), bytes.size()));
  });
}

/// The network that the job file names.
Result<std::unique_ptr<Network>> make_network(const ModelRequest& request) {
  if (request.model.zoo.empty() == request.model.torchscript.empty())
    return fail(ErrorCode::invalid_argument, "model: needs either zoo or torchscript");
  if (!request.model.torchscript.empty()) {
    const auto labels = std::ranges::count(request.fields, "label", &data::FieldShape::name);
    return load_script_network(request.model.torchscript,
                               request.fields.size() - static_cast<std::size_t>(labels));
  }
  Result<Registry> registry = request.model.plugin.empty() ? Result<Registry>(Registry())
                                                           : Registry::with_plugin(request.model.plugin);
  if (!registry) return tl::unexpected(registry.error());
  const Result<Registry::Maker> maker = registry->find(request.model.zoo);
  if (!maker) return tl::unexpected(maker.error());
  if (const auto* module = std::get_if<ModuleMaker>(&*maker)) return make_module_network(*module, request);
  const Result<ScriptText> text = std::get<TextMaker>(*maker)(request);
  if (!text) return tl::unexpected(text.error());
  return make_script_network(*text, request.seed);
}

Result<void> check_precision(const std::string& precision) {
  if (precision == "fp32" || precision == "bf16" || precision == "fp16") return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("precision: no precision \"{}\", there are fp32, bf16 and fp16", precision));
}

}  // namespace

Result<std::unique_ptr<Model>> Model::create(const ModelRequest& request) {
  return guarded("making the model", ErrorCode::invalid_argument, [&]() -> Result<std::unique_ptr<Model>> {
    if (const Result<void> fits = check_precision(request.precision); !fits)
      return tl::unexpected(fits.error());
    prepare_process();
    use_threads(static_cast<int>(request.threads));
    Result<std::unique_ptr<Network>> network = make_network(request);
    if (!network) return tl::unexpected(network.error());
    Result<FlatTensors> tensors = FlatTensors::take(**network);
    if (!tensors) return tl::unexpected(tensors.error());
    auto model = std::make_unique<TorchModel>(request, *std::move(network), *std::move(tensors));
    if (const Result<void> runs = model->try_out(); !runs) return tl::unexpected(runs.error());
    return model;
  });
}

}  // namespace ds::train

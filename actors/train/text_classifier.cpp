#include "actors/train/text_classifier.hpp"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <torch/script.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <sstream>
#include <utility>
#include <vector>

namespace ds::train {
namespace {

/// Padding words have a zero embedding and are masked, so the maximum over time never sees them; a row
/// without words gives zeros.
constexpr const char* kForward = R"(
def forward(self, words, dropout_mask: Optional[Tensor] = None):
    embedded = torch.embedding(self.embedding.weight, words, 0, False, False)
    convolved = torch.conv1d(embedded.transpose(1, 2), self.convolution.weight, self.convolution.bias, [1], [1], [1], 1)
    present = torch.ne(words, 0).unsqueeze(1)
    features = torch.max(torch.relu(convolved) * present, 2)[0]
    if dropout_mask is not None:
        features = features * dropout_mask
    elif self.training:
        features = torch.dropout(features, self.dropout, True)
    return torch.linear(features, self.output.weight, self.output.bias)
)";

/// Runs `body`, and turns what torch throws into an error of ours.
template <class Body>
auto guarded(const char* what, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const c10::Error& e) {
    return fail(ErrorCode::internal, fmt::format("{}: torch: {}", what, e.what_without_backtrace()));
  } catch (const std::exception& e) {
    return fail(ErrorCode::internal, fmt::format("{}: {}", what, e.what()));
  }
}

/// Things that torch lets a process set once. Profiling executors recompile a model after some calls, with
/// other bits.
void prepare_process() {
  static std::once_flag once;
  std::call_once(once, [] {
    torch::jit::getProfilingMode() = false;
    torch::jit::getExecutorMode() = false;
    try {
      at::set_num_interop_threads(1);
    } catch (const c10::Error&) {
      // Somebody used torch in this process before: the number is fixed then, and nothing here runs on that
      // pool.
    }
  });
}

/// How a convolution's sums are cut depends on the number of threads, and OpenMP keeps that number for each
/// calling thread. OpenBLAS has threads of its own, as many as the machine has cores unless told otherwise.
void use_threads(int threads) {
  thread_local int used = 0;  // setting it makes torch's thread pool anew
  if (used == threads) return;
  at::set_num_threads(threads);
  using SetThreads = void (*)(int);
  const auto set_blas_threads = reinterpret_cast<SetThreads>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"));
  if (set_blas_threads != nullptr) set_blas_threads(threads);
  used = threads;
}

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

/// The module with these tensors as its parameters, `layer.parameter` in a submodule for each layer.
torch::jit::Module make_module(const ModelShape& shape, const NamedTensors& parameters) {
  const auto unit = std::make_shared<torch::jit::CompilationUnit>();
  torch::jit::Module module("__torch__.TextClassifier", unit);
  std::map<std::string, torch::jit::Module> layers;
  for (const char* layer : {"embedding", "convolution", "output"}) {
    layers.emplace(layer, torch::jit::Module(fmt::format("__torch__.{}", layer), unit));
  }
  for (const auto& [name, tensor] : parameters) {
    const std::size_t dot = name.find('.');
    layers.at(name.substr(0, dot)).register_parameter(name.substr(dot + 1), tensor, false);
  }
  for (auto& [name, layer] : layers) {
    layer.register_attribute("training", c10::BoolType::get(), false);
    module.register_module(name, layer);
  }
  module.register_attribute("training", c10::BoolType::get(), false);
  module.register_attribute("dropout", c10::FloatType::get(), shape.dropout);
  module.define(kForward);
  return module;
}

/// Views of `flat`, one a parameter.
NamedTensors views_of(const at::Tensor& flat, const ModelShape& shape) {
  NamedTensors views;
  for (const ParameterSlot& slot : parameter_slots(shape)) {
    views.emplace_back(slot.name, flat.narrow(0, static_cast<std::int64_t>(slot.offset),
                                              static_cast<std::int64_t>(slot.size))
                                      .view(slot.shape));
  }
  return views;
}

std::span<float> elements(at::Tensor& flat) {
  return {flat.data_ptr<float>(), static_cast<std::size_t>(flat.numel())};
}

/// A tensor over the caller's memory, which torch only reads.
template <class T>
at::Tensor borrow(std::span<const T> values, std::vector<std::int64_t> shape) {
  return at::from_blob(const_cast<T*>(values.data()), shape, c10::CppTypeToScalarType<T>::value);
}

Buffer buffer_of(std::string bytes) {
  const auto owner = std::make_shared<const std::string>(std::move(bytes));
  return {owner, std::as_bytes(std::span(*owner))};
}

using Clock = std::chrono::steady_clock;
double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

struct TextClassifier::Torch {
  ModelShape shape;
  int threads = 1;
  at::Tensor parameters;
  at::Tensor gradients;
  torch::jit::Module module;

  at::Tensor forward(const TokenBatch& batch, std::span<const float> dropout_mask) {
    const torch::jit::GraphOptimizerEnabledGuard unoptimised(false);  // a setting of the thread
    const auto rows = static_cast<std::int64_t>(batch.labels.size());
    std::vector<c10::IValue> inputs{borrow(batch.words, {rows, std::int64_t{shape.length}})};
    if (!dropout_mask.empty()) inputs.emplace_back(borrow(dropout_mask, {rows, std::int64_t{shape.width}}));
    return module.forward(std::move(inputs)).toTensor();
  }

  /// The sum over the rows whose label is not -1.
  static at::Tensor loss(const at::Tensor& scores, const at::Tensor& labels) {
    return at::cross_entropy_loss(scores, labels, {}, at::Reduction::Sum, -1);
  }

  /// Tensors of their own: an archive writes the whole memory that a view lies in.
  NamedTensors copies() {
    NamedTensors named = views_of(parameters, shape);
    for (auto& [name, tensor] : named) tensor = tensor.clone();
    return named;
  }
};

TextClassifier::TextClassifier(std::unique_ptr<Torch> torch) : torch_(std::move(torch)) {}
TextClassifier::~TextClassifier() = default;

Result<std::unique_ptr<TextClassifier>> TextClassifier::create(const ModelShape& shape,
                                                               std::uint32_t threads) {
  return guarded("making the model", [&]() -> Result<std::unique_ptr<TextClassifier>> {
    prepare_process();
    use_threads(static_cast<int>(threads));
    auto torch = std::make_unique<Torch>();
    torch->shape = shape;
    torch->threads = static_cast<int>(threads);
    const auto count = static_cast<std::int64_t>(parameter_count(shape));
    torch->parameters = at::zeros({count}, at::kFloat);
    torch->gradients = at::zeros({count}, at::kFloat);
    const NamedTensors parameters = views_of(torch->parameters, shape);
    const NamedTensors gradients = views_of(torch->gradients, shape);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].second.set_requires_grad(true);
      parameters[i].second.mutable_grad() = gradients[i].second;  // backward then adds in place
    }
    torch->module = make_module(shape, parameters);
    return std::unique_ptr<TextClassifier>(new TextClassifier(std::move(torch)));
  });
}

std::span<float> TextClassifier::parameters() {
  return elements(torch_->parameters);
}
std::span<float> TextClassifier::gradients() {
  return elements(torch_->gradients);
}

Result<TextClassifier::Contribution> TextClassifier::accumulate(const TokenBatch& batch,
                                                                std::span<const float> dropout_mask,
                                                                double divisor) {
  return guarded("training the model", [&]() -> Result<Contribution> {
    use_threads(torch_->threads);
    const at::AutoGradMode with_gradient(true);
    const Clock::time_point begin = Clock::now();
    const at::Tensor labels = borrow(batch.labels, {static_cast<std::int64_t>(batch.labels.size())});
    const at::Tensor loss = Torch::loss(torch_->forward(batch, dropout_mask), labels).div(divisor);
    const double value = loss.item<float>();
    const Clock::time_point middle = Clock::now();
    loss.backward();
    return Contribution{value, seconds_between(begin, middle), seconds_between(middle, Clock::now())};
  });
}

Result<TextClassifier::Verdict> TextClassifier::evaluate(const TokenBatch& batch) {
  return guarded("evaluating the model", [&]() -> Result<Verdict> {
    use_threads(torch_->threads);
    const at::NoGradGuard without_gradient;
    const at::Tensor labels = borrow(batch.labels, {static_cast<std::int64_t>(batch.labels.size())});
    const at::Tensor scores = torch_->forward(batch, {});
    const at::Tensor correct = scores.argmax(1).eq(labels).sum();
    return Verdict{Torch::loss(scores, labels).item<float>(),
                   static_cast<std::uint64_t>(correct.item<std::int64_t>())};
  });
}

Result<Buffer> TextClassifier::to_torchscript(const std::map<std::string, std::string>& extra_files) {
  return guarded("exporting to TorchScript", [&]() -> Result<Buffer> {
    const NamedTensors parameters = torch_->copies();
    for (const auto& [name, tensor] : parameters) tensor.set_requires_grad(true);  // for whoever trains on
    const torch::jit::Module module = make_module(torch_->shape, parameters);
    std::ostringstream out;
    module.save(out, torch::jit::ExtraFilesMap(extra_files.begin(), extra_files.end()));
    return buffer_of(std::move(out).str());
  });
}

Result<Buffer> TextClassifier::to_state_dict() {
  return guarded("exporting a state_dict", [&]() -> Result<Buffer> {
    const at::NoGradGuard without_gradient;
    c10::Dict<std::string, at::Tensor> tensors;
    for (const auto& [name, tensor] : torch_->copies()) tensors.insert(name, tensor);
    const std::vector<char> bytes = torch::jit::pickle_save(tensors);
    return Buffer::copy_of(std::string_view(bytes.data(), bytes.size()));
  });
}

}  // namespace ds::train

#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "tests/unit/train/plain_modules.hpp"

#include <torch/script.h>

#include <memory>
#include <stdexcept>

namespace ds::train {
namespace {

namespace nn = torch::nn;

std::int64_t setting(const ModelRequest& request, const std::string& name, std::size_t place = 0) {
  return static_cast<std::int64_t>(request.model.settings.at(name).at(place));
}

nn::Embedding embedding_of(const ModelRequest& request, std::int64_t width) {
  return nn::Embedding(nn::EmbeddingOptions(request.vocabulary, width).padding_idx(0));
}

/// Of the places that hold a token.
torch::Tensor mean_of_present(const torch::Tensor& x, const torch::Tensor& tokens) {
  const torch::Tensor present = tokens.ne(0).unsqueeze(2);
  return (x * present).sum(1) / present.sum(1);
}

struct TextClassifier : nn::Module {
  explicit TextClassifier(const ModelRequest& request) {
    const std::int64_t width = setting(request, "width");
    embedding = register_module("embedding", embedding_of(request, width));
    convolution = register_module("convolution", nn::Conv1d(nn::Conv1dOptions(width, width, 3).padding(1)));
    output = register_module("output", nn::Linear(width, request.classes));
  }

  torch::Tensor forward(const torch::Tensor& tokens) {
    const torch::Tensor features = torch::relu(convolution(embedding(tokens).transpose(1, 2)));
    return output(std::get<0>(features.masked_fill(tokens.eq(0).unsqueeze(1), 0).max(2)));
  }

  nn::Embedding embedding{nullptr};
  nn::Conv1d convolution{nullptr};
  nn::Linear output{nullptr};
};

struct ResNetBlock : nn::Module {
  ResNetBlock(std::int64_t inputs, std::int64_t outputs, std::int64_t stride) {
    const auto convolve = [&](std::int64_t from, std::int64_t side, std::int64_t by) {
      return nn::Conv2d(nn::Conv2dOptions(from, outputs, side).stride(by).padding(side / 2).bias(false));
    };
    conv1 = register_module("conv1", convolve(inputs, 3, stride));
    bn1 = register_module("bn1", nn::BatchNorm2d(outputs));
    conv2 = register_module("conv2", convolve(outputs, 3, 1));
    bn2 = register_module("bn2", nn::BatchNorm2d(outputs));
    if (inputs != outputs || stride != 1) {
      downsample = register_module("downsample",
                                   nn::Sequential(convolve(inputs, 1, stride), nn::BatchNorm2d(outputs)));
    }
  }

  torch::Tensor forward(const torch::Tensor& x) {
    const torch::Tensor y = bn2(conv2(torch::relu(bn1(conv1(x)))));
    return torch::relu(y + (downsample ? downsample->forward(x) : x));
  }

  nn::Conv2d conv1{nullptr}, conv2{nullptr};
  nn::BatchNorm2d bn1{nullptr}, bn2{nullptr};
  nn::Sequential downsample{nullptr};
};

/// Of small grey images, with one block in each of two stages.
struct ResNet : nn::Module {
  explicit ResNet(const ModelRequest& request) {
    const std::int64_t width = setting(request, "width");
    conv1 = register_module("conv1", nn::Conv2d(nn::Conv2dOptions(1, width, 3).padding(1).bias(false)));
    bn1 = register_module("bn1", nn::BatchNorm2d(width));
    layer1 = register_module("layer1", nn::Sequential(ResNetBlock(width, width, 1)));
    layer2 = register_module("layer2", nn::Sequential(ResNetBlock(width, 2 * width, 2)));
    fc = register_module("fc", nn::Linear(2 * width, request.classes));
  }

  torch::Tensor forward(const torch::Tensor& images) {
    const torch::Tensor x = torch::relu(bn1(conv1(images)));
    return fc(layer2->forward(layer1->forward(x)).mean({2, 3}));
  }

  nn::Conv2d conv1{nullptr};
  nn::BatchNorm2d bn1{nullptr};
  nn::Sequential layer1{nullptr}, layer2{nullptr};
  nn::Linear fc{nullptr};
};

struct Transformer : nn::Module {
  Transformer(const ModelRequest& request, std::int64_t length) {
    const std::int64_t width = setting(request, "width");
    embedding = register_module("embedding", embedding_of(request, width));
    position = register_module("position", nn::Embedding(length, width));
    norm = register_module("norm", nn::LayerNorm(nn::LayerNormOptions({width})));
    const auto layer = nn::TransformerEncoderLayerOptions(width, setting(request, "heads"))
                           .dim_feedforward(setting(request, "feed_forward"))
                           .dropout(0)
                           .activation(torch::kGELU);
    encoder = register_module(
        "encoder", nn::TransformerEncoder(nn::TransformerEncoderOptions(layer, setting(request, "layers"))));
    output = register_module("output", nn::Linear(width, request.classes));
  }

  torch::Tensor forward(const torch::Tensor& tokens) {
    const torch::Tensor x = norm(embedding(tokens) + position(torch::arange(tokens.size(1))));
    const torch::Tensor y = encoder->forward(x.transpose(0, 1), {}, tokens.eq(0)).transpose(0, 1);
    return output(mean_of_present(y, tokens));
  }

  nn::Embedding embedding{nullptr}, position{nullptr};
  nn::LayerNorm norm{nullptr};
  nn::TransformerEncoder encoder{nullptr};
  nn::Linear output{nullptr};
};

struct Lstm : nn::Module {
  explicit Lstm(const ModelRequest& request) {
    const std::int64_t width = setting(request, "width"), inputs = setting(request, "embedding");
    embedding = register_module("embedding", embedding_of(request, inputs));
    lstm = register_module("lstm", nn::LSTM(nn::LSTMOptions(inputs, width)
                                                .num_layers(setting(request, "layers"))
                                                .batch_first(true)
                                                .bidirectional(true)));
    output = register_module("output", nn::Linear(2 * width, request.classes));
  }

  torch::Tensor forward(const torch::Tensor& tokens) {
    namespace rnn = nn::utils::rnn;
    const auto packed = rnn::pack_padded_sequence(embedding(tokens), tokens.ne(0).sum(1), true, false);
    const auto states = std::get<0>(lstm->forward_with_packed_input(packed));
    const auto padded = rnn::pad_packed_sequence(states, true, 0, tokens.size(1));
    return output(mean_of_present(std::get<0>(padded), tokens));
  }

  nn::Embedding embedding{nullptr};
  nn::LSTM lstm{nullptr};
  nn::Linear output{nullptr};
};

template <class Module, class... Arguments>
PlainModel plain(const Arguments&... arguments) {
  const auto module = std::make_shared<Module>(arguments...);
  PlainModel model;
  for (const auto& one : module->named_parameters()) model.parameters[one.key()] = one.value();
  for (const auto& one : module->named_buffers()) model.buffers[one.key()] = one.value();
  model.forward = [module](const torch::Tensor& input) { return module->forward(input); };
  return model;
}

PlainModel loaded(const std::string& path) {
  torch::jit::Module module = torch::jit::load(path);
  module.train(true);
  PlainModel model;
  for (const auto& one : module.named_parameters()) model.parameters[one.name] = one.value;
  for (const auto& one : module.named_buffers()) model.buffers[one.name] = one.value;
  model.forward = [module](const torch::Tensor& input) mutable { return module.forward({input}).toTensor(); };
  return model;
}

}  // namespace

PlainModel make_plain_model(const ModelRequest& request) {
  const std::string& name = request.model.zoo;
  if (name.empty()) return loaded(request.model.torchscript);
  if (name == "text_classifier") return plain<TextClassifier>(request);
  if (name == "resnet") return plain<ResNet>(request);
  if (name == "transformer") return plain<Transformer>(request, request.fields.at(0).shape.at(0));
  if (name == "lstm") return plain<Lstm>(request);
  throw std::invalid_argument("no plain model is written for " + name);
}

}  // namespace ds::train

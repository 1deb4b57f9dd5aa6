// A user's models: one of torch::nn modules, one as TorchScript source.
#include <torch/nn/functional/dropout.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>

#include "actors/train/models/layers.hpp"
#include "actors/train/models/plugin_module.hpp"

namespace {

class Perceptron final : public ds::train::PluginModule {
 public:
  Perceptron(std::int64_t inputs, std::int64_t width, std::int64_t classes)
      : first_(inputs, width), norm_(width), second_(width, classes) {
    register_module("first", first_);
    register_module("norm", norm_);
    register_module("second", second_);
  }

  at::Tensor forward(const std::vector<at::Tensor>& inputs) override {
    const at::Tensor hidden = norm_(first_(inputs.at(0).flatten(1))).relu();
    return second_(at::dropout(hidden, 0.25, is_training()));
  }

 private:
  torch::nn::Linear first_;
  torch::nn::BatchNorm1d norm_;
  torch::nn::Linear second_;
};

ds::Result<std::shared_ptr<ds::train::PluginModule>> make_perceptron(const ds::train::ModelRequest& request) {
  const auto width = request.model.settings.find("width");
  if (width == request.model.settings.end())
    return ds::fail(ds::ErrorCode::invalid_argument, "model.width: perceptron needs it");
  std::int64_t inputs = 1;
  for (const std::int64_t length : request.fields.at(0).shape) inputs *= length;
  return std::make_shared<Perceptron>(inputs, static_cast<std::int64_t>(width->second.at(0)),
                                      std::int64_t{request.classes});
}

ds::Result<ds::train::ScriptText> make_linear(const ds::train::ModelRequest& request) {
  ds::train::ScriptText text;
  text.name = "Linear";
  text.source = "def forward(self, x):\n    x = x.flatten(1)\n";
  std::int64_t inputs = 1;
  for (const std::int64_t length : request.fields.at(0).shape) inputs *= length;
  text.source +=
      "    return " + ds::train::add_linear(text, "fc", inputs, std::int64_t{request.classes}, "x") + "\n";
  return text;
}

ds::Result<ds::train::ScriptText> make_broken(const ds::train::ModelRequest&) {
  ds::train::ScriptText text;
  text.name = "Broken";
  text.source = "def forward(self, x):\n    return self.nothing(x)\n";
  return text;
}

void register_models(ds::train::Registrar& registrar) {
  registrar.add("perceptron", make_perceptron);
  registrar.add("linear", make_linear);
  registrar.add("broken", make_broken);
}

}  // namespace

extern "C" const ds::train::Plugin* ds_plugin() {
  static const ds::train::Plugin kPlugin{ds::train::kPluginVersion, &register_models};
  return &kPlugin;
}

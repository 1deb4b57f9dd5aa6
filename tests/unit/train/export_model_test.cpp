#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it
#include <gtest/gtest.h>

#include <torch/script.h>

#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <sstream>

#include "actors/train/state_description.hpp"
#include "tests/unit/train/training_job.hpp"

namespace ds::train {
namespace {

class ExportModel : public TrainingJob {
 protected:
  std::string export_to_file(const StateImage& image, ExportFormat format, const std::string& name) const {
    const auto bytes = export_model(image, format);
    if (!bytes) throw std::runtime_error(bytes.error().message);
    return write(name, std::string(bytes->text()));
  }

  static bool python_has_torch() {
    return std::system("/usr/bin/python3 -c 'import torch' >/dev/null 2>&1") == 0;
  }

  int python(const std::string& script) const {
    const std::string file = write("check.py", script);
    return std::system(("cd '" + folder_.string() + "' && /usr/bin/python3 " + file).c_str());
  }
};

TEST_F(ExportModel, GivesATorchScriptArchiveThatAnswersAsTheSessionDoes) {
  const scheduler::JobSpec spec = job(600);
  const StateImage image = train(spec, 1, 60);
  const std::string file = export_to_file(image, ExportFormat::torchscript, "model.pt");
  torch::jit::ExtraFilesMap extra{{"vocabulary.json", ""}, {"labels.json", ""}, {"preprocessing.json", ""}};
  torch::jit::Module module = torch::jit::load(file, c10::nullopt, extra);
  const auto words = nlohmann::json::parse(extra["vocabulary.json"]).get<std::vector<std::string>>();
  const auto labels = nlohmann::json::parse(extra["labels.json"]).get<std::vector<std::string>>();
  EXPECT_EQ(labels, (std::vector<std::string>{"class 0", "class 1", "class 2"}));
  EXPECT_EQ(nlohmann::json::parse(extra["preprocessing.json"])["length"], 12);
  for (int label = 0; label < 3; ++label) {
    const auto clue = std::ranges::find(words, "clue" + std::to_string(label) + "x1") - words.begin();
    ASSERT_LT(clue, static_cast<std::ptrdiff_t>(words.size()));
    const torch::Tensor row =
        torch::tensor({std::int64_t{5}, std::int64_t{clue}, std::int64_t{6}, std::int64_t{0}}).view({1, 4});
    EXPECT_EQ(module.forward({row}).toTensor().argmax(1).item<std::int64_t>(), label);
  }
  EXPECT_FALSE(module.is_training());
}

TEST_F(ExportModel, SaysHowManyWordsATokenHas) {
  const auto files_of = [&](std::uint32_t ngrams) {
    scheduler::JobSpec spec = job();
    spec.data.transforms[0].what = scheduler::Tokenize{"word", 8000, ngrams};
    const std::string file = export_to_file(train(spec, 1, 1), ExportFormat::torchscript, "model.pt");
    torch::jit::ExtraFilesMap extra{{"vocabulary.json", ""}, {"preprocessing.json", ""}};
    torch::jit::load(file, c10::nullopt, extra);
    const auto words = nlohmann::json::parse(extra["vocabulary.json"]).get<std::vector<std::string>>();
    return std::pair{
        nlohmann::json::parse(extra["preprocessing.json"])["ngrams"].get<int>(),
        std::ranges::count_if(words, [](const auto& one) { return one.find(' ') != std::string::npos; }) > 0};
  };
  EXPECT_EQ(files_of(1), std::pair(1, false));
  EXPECT_EQ(files_of(3), std::pair(3, true));
}

TEST_F(ExportModel, GivesATorchScriptArchiveThatCanBeTrainedOn) {
  const std::string file = export_to_file(train(job(), 1, 1), ExportFormat::torchscript, "model.pt");
  torch::jit::Module module = torch::jit::load(file);
  module.train();
  const torch::Tensor rows = torch::randint(1, 20, {8, 12}, torch::kInt64);
  const torch::Tensor first = module.forward({rows}).toTensor();
  EXPECT_FALSE(first.equal(module.forward({rows}).toTensor())) << "dropout draws anew";
  EXPECT_NO_THROW(first.sum().backward());
}

TEST_F(ExportModel, GivesEqualSafetensorsForEqualStatesOnly) {
  const StateImage image = train(job(), 1, 2), later = train(job(), 1, 3);
  EXPECT_TRUE(safetensors(image) == safetensors(image));
  EXPECT_FALSE(safetensors(image) == safetensors(later));
}

TEST_F(ExportModel, RefusesAStateThatIsNotWhole) {
  const StateImage image = train(job(), 1, 1);
  for (const ExportFormat format :
       {ExportFormat::torchscript, ExportFormat::state_dict, ExportFormat::safetensors}) {
    StateImage broken = image;
    broken.tensors.erase(broken.tensors.begin());
    EXPECT_EQ(export_model(broken, format).error().code, ErrorCode::data_loss);
    broken = image;
    broken.tensors[0].second = broken.tensors[0].second.slice(0, 40);
    EXPECT_EQ(export_model(broken, format).error().code, ErrorCode::data_loss);
    broken = image;
    broken.description = "{}";
    EXPECT_EQ(export_model(broken, format).error().code, ErrorCode::data_loss);
  }
}

TEST_F(ExportModel, GivesFilesThatPythonLoadsWithoutOurCode) {
  if (!python_has_torch()) GTEST_SKIP() << "/usr/bin/python3 has no torch";
  const StateImage image = train(job(), 2, 3);
  export_to_file(image, ExportFormat::torchscript, "model.pt");
  export_to_file(image, ExportFormat::state_dict, "state.pt");
  export_to_file(image, ExportFormat::safetensors, "model.safetensors");
  EXPECT_EQ(python(R"(
import json, struct, torch
extra = {'vocabulary.json': '', 'labels.json': '', 'preprocessing.json': ''}
module = torch.jit.load('model.pt', _extra_files=extra)
labels, words = json.loads(extra['labels.json']), json.loads(extra['vocabulary.json'])
assert labels == ['class 0', 'class 1', 'class 2'], labels
state = torch.load('state.pt')
assert set(state) == set(module.state_dict()), set(state)
for name, tensor in module.state_dict().items():
    assert torch.equal(state[name], tensor), name
assert state['embedding.weight'].shape == (len(words), 16)
assert state['embedding.weight'].abs().sum() > 0 and state['embedding.weight'][0].abs().sum() == 0

with open('model.safetensors', 'rb') as file:
    header = json.loads(file.read(struct.unpack('<Q', file.read(8))[0]))
    data = file.read()
assert json.loads(header.pop('__metadata__')['description'])['labels'] == labels
assert set(header) == set(state)
for name, entry in header.items():
    begin, end = entry['data_offsets']
    values = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32).view(entry['shape'])
    assert torch.equal(values, state[name]), name

scores = module(torch.tensor([[5, 6, 7, 0], [8, 0, 0, 0]]))
assert scores.shape == (2, 3) and torch.isfinite(scores).all()
plain = torch.nn.Conv1d(16, 16, 3, padding=1)
plain.load_state_dict({'weight': state['convolution.weight'], 'bias': state['convolution.bias']})
)"),
            0);
}

}  // namespace
}  // namespace ds::train

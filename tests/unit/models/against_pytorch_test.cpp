#include <algorithm>
#include <cmath>

#include "tests/unit/models/python.hpp"
#include "tests/unit/models/zoo_cases.hpp"

namespace ds::train {
namespace {

class AgainstPyTorch : public WithPython {
 protected:
  void SetUp() override {
    if (!python_has_torch()) GTEST_SKIP() << "/usr/bin/python3 has no torch";
  }

  /// Writes a model's state, script and scores for some rows.
  void write_model(ModelRequest request, std::map<std::string, std::vector<double>> settings) const {
    request.model.settings = std::move(settings);
    const auto model = Model::create(request);
    ASSERT_TRUE(model) << model.error().message;
    const data::Batch batch = make_rows(request, 6);
    write(batch);
    write("state.pt", (*model)->to_state_dict()->text());
    write("script.pt", (*model)->to_torchscript({})->text());
    const auto judged = (*model)->judge(batch, true);
    ASSERT_TRUE(judged) << judged.error().message;
    write("scores.bin", Buffer::copy_of(std::as_bytes(std::span(judged->scores))).text());
  }

  const data::FieldShape text_ = wholes("text", {9}), label_ = wholes("label", {});
};

TEST_F(AgainstPyTorch, ExportsOfAllZooModelsLoadAndTrain) {
  std::string script = kPrelude;
  for (ZooCase& each : zoo_cases()) {
    const auto model = Model::create(each.request);
    ASSERT_TRUE(model) << model.error().message;
    const data::Batch batch = make_rows(each.request, 3);
    train_briefly(**model, each.request);
    write(each.name + ".bin", batch.fields[0].second.bytes.text());
    write(each.name + ".pt", (*model)->to_torchscript({})->text());
    write(each.name + "_state.pt", (*model)->to_state_dict()->text());
    std::string shape = "3";
    for (const std::int64_t length : each.request.fields[0].shape) shape += ", " + std::to_string(length);
    const char* type = each.request.fields[0].element == data::Element::float32 ? "torch.float32"
                       : each.request.fields[0].element == data::Element::int64 ? "torch.int64"
                                                                                : "torch.uint8";
    script += "cases = globals().get('cases', []) + [('" + each.name + "', [" + shape + "], " + type + ", " +
              std::to_string((*model)->judge(batch, false)->loss) + ")]\n";
  }
  EXPECT_EQ(python(script + R"(
for name, shape, dtype, loss in cases:
    model = torch.jit.load(name + ".pt")
    state = torch.load(name + "_state.pt")
    model.load_state_dict(state)
    assert not model.training
    assert set(model.state_dict()) == set(state), name
    x = load(name, shape, dtype)
    before = model(x)
    near(before, model(x), 0)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(x).square().mean().backward()
    optimizer.step()
    model.eval()
    assert float((model(x) - before).abs().max()) > 0, name
)"),
            0);
}

TEST_F(AgainstPyTorch, TransformerIsATransformerEncoder) {
  write_model(request_for("transformer", text_, label_, 3),
              {{"width", {16}}, {"heads", {4}}, {"layers", {2}}, {"feed_forward", {24}}});
  EXPECT_EQ(python(std::string(kPrelude) + R"(
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 16, padding_idx=0)
        self.position = nn.Embedding(9, 16)
        self.norm = nn.LayerNorm(16)
        layer = nn.TransformerEncoderLayer(16, 4, 24, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.output = nn.Linear(16, 3)
    def forward(self, tokens):
        x = self.norm(self.embedding(tokens) + self.position.weight)
        x = self.encoder(x, src_key_padding_mask=tokens.eq(0))
        present = tokens.ne(0).unsqueeze(2)
        return self.output((x * present).sum(1) / present.sum(1))
net = Net()
net.load_state_dict(torch.load("state.pt"))
net.eval()
tokens = load("text", [6, 9], torch.int64)
assert tokens.eq(0).any()
near(net(tokens).softmax(1), load("scores", [6, 3]), 1e-5)
near(torch.jit.load("script.pt")(tokens), net(tokens), 1e-4)
)"),
            0);
}

TEST_F(AgainstPyTorch, LstmIsAPackedLstm) {
  for (const double last : {0.0, 1.0}) {
    write_model(
        request_for("lstm", text_, label_, 3),
        {{"width", {10}}, {"embedding", {6}}, {"layers", {2}}, {"bidirectional", {1}}, {"last", {last}}});
    EXPECT_EQ(python(std::string(kPrelude) + "last = " + (last == 1 ? "True" : "False") + R"(
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 10, 2, batch_first=True, bidirectional=True)
        self.output = nn.Linear(20, 3)
    def forward(self, tokens):
        lengths = tokens.ne(0).sum(1)
        packed = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
        out, (h, c) = self.lstm(packed)
        if last:
            return self.output(torch.cat([h[-2], h[-1]], 1))
        out, _ = pad_packed_sequence(out, batch_first=True)
        return self.output(out.sum(1) / lengths.unsqueeze(1))
net = Net()
net.load_state_dict(torch.load("state.pt"))
tokens = load("text", [6, 9], torch.int64)
near(net(tokens).softmax(1), load("scores", [6, 3]), 1e-5)
)"),
              0);
  }
}

TEST_F(AgainstPyTorch, ResNetIsABasicBlockResNet) {
  write_model(request_for("resnet", numbers("image", {3, 70, 66}), label_, 3),
              {{"blocks", {2, 1}}, {"width", {8}}});
  EXPECT_EQ(python(std::string(kPrelude) + R"(
class Block(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(i, o, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(o)
        self.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(o)
        self.downsample = None
        if stride != 1 or i != o:
            self.downsample = nn.Sequential(nn.Conv2d(i, o, 1, stride, bias=False), nn.BatchNorm2d(o))
    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Block(8, 8, 1), Block(8, 8, 1))
        self.layer2 = nn.Sequential(Block(8, 16, 2))
        self.fc = nn.Linear(16, 3)
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.fc(self.layer2(self.layer1(x)).mean([2, 3]))
net = Net()
net.load_state_dict(torch.load("state.pt"))
image = load("image", [6, 3, 70, 66])
net.eval()
near(net(image).softmax(1), load("scores", [6, 3]), 1e-5)
net.train()
script = torch.jit.load("script.pt").train()
near(net(image), script(image), 1e-4)
for name, value in net.state_dict().items(): near(value.float(), script.state_dict()[name].float(), 1e-4)
)"),
            0);
}

TEST_F(AgainstPyTorch, LossesHavePyTorchsValuesAndGradients) {
  const auto term = [](const char* name, double weight) {
    scheduler::LossTerm made;
    made.name = name;
    made.weight = weight;
    return made;
  };
  ModelRequest request = request_for("mlp", numbers("features", {5}), label_, 4);
  request.model.settings["hidden"] = {};
  request.loss = {term("cross_entropy", 0.7), term("bce", 0.3), term("focal", 2), term("dice", 1.5)};
  request.loss[0].label_smoothing = 0.2;
  request.loss[0].classes = {1, 2, 0.5, 1};
  request.loss[2].gamma = 3;
  const auto model = Model::create(request);
  ASSERT_TRUE(model) << model.error().message;
  const data::Batch batch = make_rows(request, 6);
  write(batch);
  write("state.pt", (*model)->to_state_dict()->text());
  const auto made = (*model)->accumulate(batch, 1, 6, 1, {});
  ASSERT_TRUE(made);
  const std::vector<float> values{static_cast<float>(made->loss)};
  write("loss.bin", Buffer::copy_of(std::as_bytes(std::span(values))).text());
  write("gradient.bin", Buffer::copy_of(std::as_bytes((*model)->gradients())).text());
  EXPECT_EQ(python(std::string(kPrelude) + R"(
state = torch.load("state.pt")
weight = state["output.weight"].requires_grad_()
bias = state["output.bias"].requires_grad_()
label = load("label", [6], torch.int64)
out = F.linear(load("features", [6, 5]), weight, bias)
hot = F.one_hot(label, 4).float()
p = out.softmax(1)
right = p.gather(1, label[:, None])[:, 0]
classes = torch.tensor([1, 2, 0.5, 1])
loss = 0.7 * F.cross_entropy(out, label, classes, reduction="sum", label_smoothing=0.2)
loss = loss + 0.3 * F.binary_cross_entropy_with_logits(out, hot, reduction="none").mean(1).sum()
loss = loss + 2 * (-(1 - right) ** 3 * right.log()).sum()
dice = 1 - (2 * p * hot + 1) / (p + hot + 1)
loss = (loss + 1.5 * dice[:, 1:].mean(1).sum()) / 6
loss.backward()
near(loss.reshape(1), load("loss", [1]), 1e-5)
near(torch.cat([weight.grad.flatten(), bias.grad]), load("gradient", [24]), 1e-5)
)"),
            0);
}

}  // namespace
}  // namespace ds::train

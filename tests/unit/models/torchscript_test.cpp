#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/unit/models/python.hpp"
#include "tests/unit/models/samples.hpp"

namespace ds::train {
namespace {

/// A net with all that can go wrong: tied weights, batch norm, a frozen layer, a mask that is no number, a
/// half-precision buffer, dropout, and a counter that is replaced.
constexpr const char* kMakeNet = R"(
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(DROPOUT)
        self.first = nn.Linear(4, 4)
        self.tied = nn.Linear(4, 4)
        self.tied.weight = self.first.weight
        self.frozen = nn.Linear(4, 4)
        for p in self.frozen.parameters(): p.requires_grad = False
        self.fc = nn.Linear(4, 3)
        self.register_buffer("mask", torch.tensor([True, True, False, True]))
        self.register_buffer("scale", torch.tensor(1.5, dtype=torch.float16))
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
    def forward(self, image):
        if self.training:
            self.calls = self.calls + 1
        x = F.relu(self.bn(self.conv(image))).mean([2, 3])
        x = self.drop(x) * self.mask * self.scale
        x = torch.tanh(self.first(x)) + torch.tanh(self.tied(x))
        return self.fc(self.frozen(x))
torch.manual_seed(3)
net = Net()
)";

std::string make_net(double dropout) {
  std::string script = kMakeNet;
  script.replace(script.find("DROPOUT"), 7, std::to_string(dropout));
  return kPrelude + script;
}

class TorchScript : public WithPython {
 protected:
  void SetUp() override {
    if (!python_has_torch()) GTEST_SKIP() << "/usr/bin/python3 has no torch";
  }

  ModelRequest request(const std::string& file = "net.pt") const {
    ModelRequest request = request_for("", numbers("image", {1, 6, 6}), wholes("label", {}), 3);
    request.model.torchscript = path(file);
    return request;
  }

  std::string refusal(const ModelRequest& request) const {
    const auto model = Model::create(request);
    if (model) return "made";
    EXPECT_EQ(model.error().code, ErrorCode::invalid_argument) << model.error().message;
    return model.error().message;
  }
};

void descend(Model& model, const data::Batch& batch, int steps, float rate = 0.2F) {
  for (int step = 0; step < steps; ++step) {
    std::ranges::fill(model.gradients(), 0.0F);
    const auto made =
        model.accumulate(batch, static_cast<std::uint64_t>(step), static_cast<double>(batch.rows), 1, {});
    ASSERT_TRUE(made) << made.error().message;
    for (std::size_t i = 0; i < model.parameters().size(); ++i)
      model.parameters()[i] -= rate * model.gradients()[i];
  }
}

TEST_F(TorchScript, TrainsAsPyTorchDoes) {
  const data::Batch batch = make_rows(request(), 8);
  write(batch);
  ASSERT_EQ(python(make_net(0) + R"(
torch.jit.script(net).save("net.pt")
image, label = load("image", [8, 1, 6, 6]), load("label", [8], torch.int64)
optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.2)
for step in range(10):
    optimizer.zero_grad()
    F.cross_entropy(net(image), label).backward()
    optimizer.step()
torch.save(net.state_dict(), "theirs.pt")
)"),
            0);
  const auto model = Model::create(request());
  ASSERT_TRUE(model) << model.error().message;
  descend(**model, batch, 10);
  EXPECT_EQ((*model)->counters()[0], 10) << "batch norm's";
  EXPECT_EQ((*model)->counters()[1], 10) << "the replaced one";
  write("ours.pt", (*model)->to_state_dict()->text());
  write("trained.pt", (*model)->to_torchscript({{"notes.txt", "hello"}})->text());
  EXPECT_EQ(python(make_net(0) + R"(
ours, theirs = torch.load("ours.pt"), torch.load("theirs.pt")
assert set(ours) == set(theirs), set(ours) ^ set(theirs)
for name in theirs: near(ours[name].float(), theirs[name].float(), 2e-5)
net.load_state_dict(ours)
net.eval()
files = {"notes.txt": ""}
trained = torch.jit.load("trained.pt", _extra_files=files)
assert files["notes.txt"] in (b"hello", "hello")
assert not trained.training and not trained.bn.training
image = load("image", [8, 1, 6, 6])
near(trained(image), net(image), 1e-5)
assert [p.requires_grad for p in trained.parameters()] == [p.requires_grad for p in torch.jit.script(net).parameters()]
import os
assert os.path.getsize("trained.pt") < 40000
)"),
            0);
}

TEST_F(TorchScript, HasTheGradientsOfSparseTurnedAndUnusedParameters) {
  ModelRequest request = request_for("", wholes("text", {5}), wholes("label", {}), 3);
  request.model.torchscript = path("net.pt");
  request.vocabulary = 8;
  const data::Batch batch = make_rows(request, 6);
  write(batch);
  ASSERT_EQ(python(std::string(kPrelude) + R"(
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(8, 4, sparse=True)
        self.turned = nn.Parameter(torch.randn(4, 3))
        self.unused = nn.Linear(4, 4)
        self.shift = nn.Parameter(torch.randn(1, 3))
    def forward(self, text):
        return self.embedding(text).mean(1) @ self.turned + (self.shift + self.shift.expand(text.size(0), 3))
torch.manual_seed(3)
net = Net()
torch.jit.script(net).save("net.pt")
text, label = load("text", [6, 5], torch.int64), load("label", [6], torch.int64)
F.cross_entropy(net(text), label).backward()
for name, p in net.named_parameters():
    g = torch.zeros_like(p) if p.grad is None else p.grad
    open(name + ".bin", "wb").write((g.to_dense() if g.is_sparse else g).contiguous().numpy().tobytes())
)"),
            0);
  const auto model = Model::create(request);
  ASSERT_TRUE(model) << model.error().message;
  std::vector<float> gradients((*model)->parameters().size(), 7.0F);
  (*model)->put_gradients(gradients);
  std::vector<float> told(gradients.size());
  const Model::OnReady on_ready = [&](std::uint64_t first, std::uint64_t last) {
    std::ranges::copy(std::span(gradients).subspan(first, last - first),
                      told.begin() + static_cast<std::ptrdiff_t>(first));
  };
  ASSERT_TRUE((*model)->accumulate(batch, 0, 6, 1, on_ready));
  EXPECT_EQ(told, gradients);
  for (const TensorSlot& slot : (*model)->parameter_slots()) {
    const std::string theirs = read(slot.name + ".bin");
    ASSERT_EQ(theirs.size(), slot.size * sizeof(float)) << slot.name;
    std::vector<float> expected(slot.size);
    std::memcpy(expected.data(), theirs.data(), theirs.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(gradients[slot.offset + i], expected[i], 1e-6) << slot.name << " " << i;
  }
}

TEST_F(TorchScript, KeepsWhatTrainsApartFromWhatDoesNot) {
  ASSERT_EQ(python(make_net(0.5) + "torch.jit.script(net).save('net.pt')\n"), 0);
  const auto model = Model::create(request());
  ASSERT_TRUE(model) << model.error().message;
  const auto has = [](const std::vector<TensorSlot>& slots, const std::string& name) {
    return std::ranges::find(slots, name, &TensorSlot::name) != slots.end();
  };
  EXPECT_TRUE(has((*model)->parameter_slots(), "conv.weight"));
  EXPECT_TRUE(has((*model)->parameter_slots(), "first.weight"));
  EXPECT_FALSE(has((*model)->parameter_slots(), "tied.weight")) << "it is first.weight";
  EXPECT_TRUE(has((*model)->buffer_slots(), "frozen.weight"));
  EXPECT_TRUE(has((*model)->buffer_slots(), "bn.running_mean"));
  EXPECT_TRUE(has((*model)->buffer_slots(), "scale"));
  EXPECT_FALSE(has((*model)->buffer_slots(), "mask"));
  EXPECT_TRUE(has((*model)->counter_slots(), "bn.num_batches_tracked"));
  EXPECT_TRUE(has((*model)->counter_slots(), "calls"));
}

TEST_F(TorchScript, GivesTheSameBitsFromTheSameStateAtEveryCall) {
  ASSERT_EQ(python(make_net(0.5) + "torch.jit.script(net).save('net.pt')\n"), 0);
  const auto model = Model::create(request()), other = Model::create(request());
  ASSERT_TRUE(model) << model.error().message;
  const data::Batch batch = make_rows(request(), 8);
  descend(**model, batch, 50);
  // Another takes over its state, as a newcomer to a gang does.
  std::ranges::copy((*model)->parameters(), (*other)->parameters().begin());
  std::ranges::copy((*model)->buffers(), (*other)->buffers().begin());
  std::ranges::copy((*model)->counters(), (*other)->counters().begin());
  descend(**model, batch, 5);
  descend(**other, batch, 5);
  EXPECT_TRUE(std::ranges::equal((*model)->parameters(), (*other)->parameters()));
  EXPECT_TRUE(std::ranges::equal((*model)->buffers(), (*other)->buffers()));
  EXPECT_TRUE(std::ranges::equal((*model)->counters(), (*other)->counters()));
}

TEST_F(TorchScript, UsesDropoutAndBatchStatisticsInTrainingOnly) {
  ASSERT_EQ(python(make_net(0.5) + "torch.jit.script(net).save('net.pt')\n"), 0);
  const auto model = Model::create(request());
  ASSERT_TRUE(model) << model.error().message;
  const data::Batch batch = make_rows(request(), 8);
  const auto train = [&](std::uint64_t seed) { return (*model)->accumulate(batch, seed, 8, 1, {})->loss; };
  const std::vector<float> before((*model)->buffers().begin(), (*model)->buffers().end());
  const double judged = (*model)->judge(batch, false)->loss;
  EXPECT_TRUE(std::ranges::equal(before, (*model)->buffers()));
  EXPECT_EQ((*model)->counters()[0], 0);
  EXPECT_EQ(train(1), train(1)) << "the seed decides";
  EXPECT_NE(train(1), train(2));
  EXPECT_NE(train(1), train(1ULL << 32U | 1U)) << "all 64 bits of it";
  EXPECT_FALSE(std::ranges::equal(before, (*model)->buffers()));
  EXPECT_EQ((*model)->counters()[0], 6);
  EXPECT_NE((*model)->judge(batch, false)->loss, judged) << "the statistics moved";
}

TEST_F(TorchScript, RefusesWhatIsNoTorchScriptAndNamesTheFile) {
  ASSERT_EQ(python(make_net(0) + R"(
import zipfile
torch.jit.script(net).save("net.pt")
torch.save(net.state_dict(), "state.pt")
whole = open("net.pt", "rb").read()
for i in range(0, 20): open("cut%d.pt" % i, "wb").write(whole[:len(whole) * i // 20])
with zipfile.ZipFile("other.pt", "w") as z: z.writestr("hello.txt", "hello")
open("text.pt", "w").write("hello" * 1000)
with zipfile.ZipFile("net.pt") as old, zipfile.ZipFile("positions.pt", "w") as new:
    for record in old.namelist():
        data = old.read(record)
        if record.endswith(".debug_pkl"): data = b"nonsense"
        if "/code/" in record: data = data.replace(b"torch.tanh", b"torch.tahn")
        new.writestr(record, data)
import random
random.seed(1)
for i in range(60):
    bad = bytearray(whole)
    for _ in range(1 + i % 5): bad[random.randrange(len(bad))] = random.randrange(256)
    open("flipped%d.pt" % i, "wb").write(bad)
)"),
            0);
#if defined(__SANITIZE_ADDRESS__)
  const __lsan::ScopedDisabler torch_leaks_what_it_read_of_a_damaged_archive;
#endif
  for (const char* file : {"state.pt", "other.pt", "text.pt", "missing.pt"})
    EXPECT_NE(refusal(request(file)).find("model.torchscript: " + path(file)), std::string::npos)
        << refusal(request(file));
  EXPECT_NE(refusal(request("positions.pt")).find("tahn"), std::string::npos)
      << refusal(request("positions.pt"));
  for (int i = 0; i < 20; ++i) EXPECT_NE(refusal(request("cut" + std::to_string(i) + ".pt")), "made");
  for (int i = 0; i < 60; ++i) {
    const auto model =
        Model::create(request("flipped" + std::to_string(i) + ".pt"));  // may be a harmless byte
    EXPECT_TRUE(model || !model.error().message.empty());
  }
}

TEST_F(TorchScript, RefusesCodeThatReachesOutOfTheProcess) {
  ASSERT_EQ(python(std::string(kPrelude) + R"(
from typing import Tuple
class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(36, 3)
        self.calls = 0
class Reads(Base):
    def forward(self, x):
        return self.fc(x.flatten(1)) + torch.from_file("/etc/passwd", False, 3, dtype=torch.uint8)
class Hidden(Base):
    def forward(self, x):
        if bool(x.sum() > 1e9):
            for i in range(3):
                x = x + torch.from_file("/etc/passwd", False, 36, dtype=torch.uint8).view(1, 6, 6)
        return self.fc(x.flatten(1))
class Writes(Base):
    def forward(self, x):
        torch.ops.aten.save(x, "written.txt")
        return self.fc(x.flatten(1))
class OtherMethod(Base):
    @torch.jit.export
    def other(self, x):
        return torch.from_file("/etc/passwd", False, 3)
    def forward(self, x):
        return self.fc(x.flatten(1))
class OnLoad(Base):
    @torch.jit.export
    def __getstate__(self) -> Tuple[torch.Tensor, bool]:
        return self.fc.weight, self.training
    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, bool]) -> None:
        torch.ops.aten.save(state[0], "written.txt")
    def forward(self, x):
        return self.fc(x.flatten(1))
class Forks(Base):
    def forward(self, x):
        return torch.jit.wait(torch.jit.fork(self.fc, x.flatten(1)))
class Counts(Base):
    def forward(self, x):
        self.calls = self.calls + 1
        return self.fc(x.flatten(1))
class Quantized(Base):
    def forward(self, x):
        return torch.ops.quantized.add(x, x, 1.0, 0)
for c in (Reads, Hidden, Writes, OtherMethod, OnLoad, Forks, Counts, Quantized):
    torch.jit.script(c()).save(c.__name__ + ".pt")
)"),
            0);
  const auto expect = [&](const std::string& name, const std::string& reason) {
    const std::string message = refusal(request(name + ".pt"));
    EXPECT_NE(message.find(reason), std::string::npos) << name << ": " << message;
    EXPECT_NE(message.find(path(name + ".pt")), std::string::npos) << message;
  };
  expect("Reads", "the operator aten::from_file");
  expect("Hidden", "the operator aten::from_file");
  expect("Writes", "the operator aten::save");
  expect("OtherMethod", "the operator aten::from_file");
  expect("OnLoad", "__setstate__");
  expect("Forks", "the operator prim::fork");
  expect("Counts", "forward assigns self.calls, which is no tensor");
  expect("Quantized", "the operator quantized::add");
  EXPECT_FALSE(std::filesystem::exists(path("written.txt")));
}

TEST_F(TorchScript, NamesLayerAndShapesOfWhatDoesNotFit) {
  ASSERT_EQ(python(std::string(kPrelude) + R"(
class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(100, 3)
    def forward(self, x):
        return self.fc(x.flatten(1))
class Narrow(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = Inner()
    def forward(self, x):
        return self.head(x)
class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(36, 3)
    def forward(self, x, y):
        return self.fc(x.flatten(1)) + y
class Optional(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(36, 3)
    def forward(self, x, scale: float = 2.0):
        return self.fc(x.flatten(1)) * scale
class Pair(Optional):
    def forward(self, x):
        return self.fc(x.flatten(1)), x
class Fixed(Optional):
    def forward(self, x):
        return self.fc(x.flatten(1)).detach()
class Integer(Optional):
    def forward(self, x):
        return self.fc(x.flatten(1)).argmax(1)
class Changes(Optional):
    def __init__(self):
        super().__init__()
        self.register_buffer("small", torch.zeros(3, dtype=torch.int32))
    def forward(self, x):
        self.small.add_(1)
        return self.fc(x.flatten(1))
class Shares(Optional):
    def __init__(self):
        super().__init__()
        self.register_buffer("part", self.fc.weight.detach()[1])
    def forward(self, x):
        return self.fc(x.flatten(1)) + self.part.sum()
class Wide(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(36, 10)
    def forward(self, x):
        return self.fc(x.flatten(1))
class Nothing(nn.Module):
    def forward(self, x):
        return x
class Raises(Optional):
    def forward(self, x):
        if x.size(1) == 1:
            raise ValueError("only colour images")
        return self.fc(x.flatten(1))
for c in (Narrow, Two, Optional, Pair, Fixed, Integer, Changes, Shares, Wide, Nothing, Raises):
    torch.jit.script(c()).save(c.__name__ + ".pt")
)"),
            0);
  const auto expect = [&](const std::string& name, const std::string& reason) {
    const std::string message = refusal(request(name + ".pt"));
    EXPECT_NE(message.find(reason), std::string::npos) << name << ": " << message;
  };
  expect("Narrow", "layer head.fc: mat1 and mat2 shapes cannot be multiplied (1x36 and 100x3)");
  expect("Two", "forward takes 2 arguments, the data has 1 field");
  expect("Optional", "made");
  expect("Pair", "forward must return a tensor");
  expect("Fixed", "no parameter that can be trained takes part");
  expect("Integer", "expected floats");
  expect("Changes", "forward changes the buffer small");
  expect("Shares", "share memory");
  expect("Wide", "the model gives [10], the label [] of 3 classes needs [3]");
  expect("Nothing", "no parameters to train");
  expect("Raises", "only colour images");
}

TEST_F(TorchScript, TrainsTracedModulesDoublesAndModulesOfManyKinds) {
  ASSERT_EQ(python(std::string(kPrelude) + R"(
class Double(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(36, 3).double()
    def forward(self, x):
        return self.fc(x.flatten(1).to(self.fc.weight.dtype))
class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 8, padding_idx=0)
        self.lstm = nn.LSTM(8, 8, batch_first=True, bidirectional=True)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True), 2, enable_nested_tensor=False)
        self.fc = nn.Linear(16, 3)
    def forward(self, tokens):
        x, _ = self.lstm(self.embedding(tokens))
        return self.fc(self.encoder(x).mean(1))
net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
torch.jit.script(Double()).save("double.pt")
torch.jit.script(net).save("sequential.pt")
torch.jit.trace(net.eval(), torch.zeros(1, 1, 6, 6)).save("traced.pt")
torch.jit.script(Text()).save("text.pt")
)"),
            0);
  for (const std::string file : {"double.pt", "sequential.pt", "traced.pt", "text.pt"}) {
    ModelRequest request = this->request(file);
    if (file == "text.pt") {
      request.fields[0] = wholes("text", {7});
      request.vocabulary = 50;
    }
    const auto model = Model::create(request);
    ASSERT_TRUE(model) << file << ": " << model.error().message;
    const data::Batch batch = make_rows(request, 6);
    const double before = (*model)->judge(batch, false)->loss;
    descend(**model, batch, 40, 0.05F);
    EXPECT_LT((*model)->judge(batch, false)->loss, before) << file;
  }
}

}  // namespace
}  // namespace ds::train

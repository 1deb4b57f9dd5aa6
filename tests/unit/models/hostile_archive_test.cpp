#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include <map>
#include <optional>

#include "actors/train/models/allowed_operators.hpp"
#include "actors/train/models/pickle_names.hpp"
#include "actors/train/models/script_archive.hpp"
#include "tests/unit/models/python.hpp"

namespace ds::train {
namespace {

::testing::AssertionResult says(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "not in '" << text << "': " << part;
}

TEST(AllowedOperators, AreThoseThatCompute) {
  for (const char* name : {"aten::conv2d", "aten::relu", "aten::relu_", "aten::lstm", "aten::embedding_bag",
                           "aten::__getitem__", "aten::_convolution", "aten::scaled_dot_product_attention",
                           "aten::zero_", "prim::If", "prim::CallMethod"})
    EXPECT_TRUE(is_allowed_operator(name)) << name;
}

TEST(AllowedOperators, AreNoneThatReachOutNorAnyThatNobodyHasListed) {
  for (const char* name : {"aten::from_file",
                           "aten::save",
                           "aten::wait",
                           "aten::to_here",
                           "aten::manual_seed",
                           "aten::set_data",
                           "aten::_sparse_coo_tensor_unsafe",
                           "aten::of_a_torch_to_come",
                           "prim::fork",
                           "prim::rpc_async",
                           "prim::PythonOp",
                           "prim::TimePoint",
                           "prim::awaitable_wait",
                           "quantized::add",
                           "c10d::send",
                           "profiler::x",
                           "aten::",
                           "aten::_",
                           "prim::",
                           "relu",
                           "",
                           "xaten::relu"})
    EXPECT_FALSE(is_allowed_operator(name)) << name;
}

TEST(PickleNames, AreFoundBehindAnyOtherInstruction) {
  using namespace std::string_literals;
  const auto pickle =
      "\x80\x02"s + "c__torch__\nNet\n" + "q\x01)\x81}(X\x02\0\0\0c\nK\x63M\x01\x02J\x01\x02\x03\x04"s +
      "G\1\2\3\4\5\6\7\x08\x8a\x08\1\2\3\4\5\6\7\x08r\1\2\3\4h\x63"s + "ctorch.jit._pickle\nbuild_intlist\n" +
      "u\x85\x86\x87NQ\x88\x89"
      "Rtb.";
  const auto names = names_in_pickle(pickle);
  ASSERT_TRUE(names) << names.error().message;
  EXPECT_EQ(*names, (std::vector<std::string>{"__torch__.Net", "torch.jit._pickle.build_intlist"}));
  for (std::size_t cut = 0; cut < pickle.size(); ++cut)
    EXPECT_FALSE(names_in_pickle(std::string_view(pickle).substr(0, cut))) << cut;
}

TEST(PickleNames, AreNotGuessedWhereAnInstructionIsUnknown) {
  const auto names = names_in_pickle("\x80\x02i__torch__\nNet\n.");
  ASSERT_FALSE(names);
  EXPECT_TRUE(says(names.error().message, "0x69"));
}

/// Archives that Python writes and damages.
class HostileArchives : public WithPython {
 protected:
  void SetUp() override {
    if (!python_has_torch()) GTEST_SKIP() << "/usr/bin/python3 has no torch";
  }

  /// What is wrong with it; empty: nothing.
  std::string refusal(const std::string& file, ArchiveUse use = ArchiveUse::serving) const {
    std::map<std::string, std::string> none;
    const auto module = read_script_archive(read(file), file, use, std::nullopt, none);
    return module ? std::string() : module.error().message;
  }
};

/// `rewrite(FROM, TO, change)`: an archive anew, each of its records through `change(name, bytes)`.
constexpr const char* kRewrite = R"(
import zipfile
def rewrite(old, new, change):
    with zipfile.ZipFile(old) as given, zipfile.ZipFile(new, "w") as made:
        for record in given.namelist():
            name, data = change(record, given.read(record))
            made.writestr(name, data)
)";

TEST_F(HostileArchives, RunNothingBeforeTheyAreChecked) {
  ASSERT_EQ(python(std::string(kPrelude) + kRewrite + R"(
import os
from typing import Tuple
class OnLoad(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(3))
    @torch.jit.export
    def __getstate__(self) -> Tuple[torch.Tensor, bool]:
        return self.w, self.training
    @torch.jit.export
    def __setstate__(self, state: Tuple[torch.Tensor, bool]) -> None:
        torch.ops.aten.save(state[0], "FOLDER/written")
        self.w, self.training = state
    def forward(self, x):
        return x
class Scales(nn.Module):
    def forward(self, x, scale: float = 2.0):
        return x * scale
class Constant(nn.Module):
    limit: torch.jit.Final[float]
    def __init__(self):
        super().__init__()
        self.limit = 2.0
    def forward(self, x):
        return x * self.limit
def in_folder(text): return text.replace("FOLDER", os.getcwd()).encode()
def save(module, name):
    torch.jit.script(module).save(name)
    rewrite(name, "copy.pt", lambda record, data: (record, data.replace(b"FOLDER", os.getcwd().encode())))
    os.rename("copy.pt", name)
save(OnLoad(), "OnLoad.pt")
# Torch looks for records in any case.
rewrite("OnLoad.pt", "OnLoadInCapitals.pt", lambda record, data: (record.replace("/code/", "/CODE/"), data))
save(Scales(), "Scales.pt")
def computed(kind, plain, value):
    def change(record, data):
        assert not record.endswith(".py") or plain in data, data
        return record, data.replace(plain, b": " + kind + b"=" + in_folder(value)) if record.endswith(".py") else data
    return change
rewrite("Scales.pt", "Default.pt",
        computed(b"Tensor", b": float=2.", 'torch.from_file("FOLDER/written", True, 3)'))
def computed_constant(record, data):
    plain = b"limit : Final[float] = 2."
    assert not record.endswith(".py") or plain in data, data
    return record, data.replace(plain, in_folder('limit : Final[Tensor] = torch.from_file("FOLDER/written", True, 3)'))
save(Constant(), "Plain.pt")
rewrite("Plain.pt", "Constant.pt", computed_constant)
def with_old_format(old, new):
    rewrite(old, new, lambda record, data: (record, data))
    with zipfile.ZipFile(new, "a") as made:
        made.writestr(zipfile.ZipFile(old).namelist()[0].split("/")[0] + "/Model.json", b"{}")
with_old_format("Scales.pt", "OldFormat.pt")
)"),
            0);
  EXPECT_TRUE(says(refusal("OnLoad.pt"), "runs while loading (__setstate__)"));
  EXPECT_TRUE(says(refusal("OnLoadInCapitals.pt"), "runs while loading (__setstate__)"));
  EXPECT_TRUE(says(refusal("Default.pt"), "runs while loading (the default of scale is computed)"));
  EXPECT_TRUE(says(refusal("Constant.pt"), "runs while loading (a constant of class Constant is computed)"));
  EXPECT_TRUE(says(refusal("OldFormat.pt"), "it has model.json"));
  EXPECT_FALSE(std::filesystem::exists(path("written")));
  EXPECT_EQ(refusal("Scales.pt"), "");
  EXPECT_EQ(refusal("Plain.pt"), "");
}

TEST_F(HostileArchives, HaveNoObjectsOfClassesOfExtensions) {
  ASSERT_EQ(python(std::string(kPrelude) + kRewrite + R"(
class Profiles(nn.Module):
    def forward(self, x):
        profile = torch.classes.profiling._ScriptProfile()
        profile.enable()
        return x
class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.packed = torch.ops.quantized.linear_prepack(torch.quantize_per_tensor(torch.ones(4, 4), 1.0, 0, torch.qint8), None)
    def forward(self, x):
        return x
torch.backends.quantized.engine = "qnnpack"
torch.jit.script(Profiles()).save("Profiles.pt")
torch.jit.script(Packed()).save("Packed.pt")
# The same to torch.
rewrite("Profiles.pt", "Spaced.pt", lambda record, data: (record, data.replace(b"torch.classes", b"torch. classes")))
)"),
            0);
  EXPECT_TRUE(says(refusal("Profiles.pt"), "class of an extension (torch.classes)"));
  EXPECT_TRUE(says(refusal("Spaced.pt"), "class of an extension (torch.classes)"));
  EXPECT_TRUE(says(refusal("Packed.pt"), "class of an extension (__torch__.torch.classes.quantized"));
}

TEST_F(HostileArchives, AreRefusedInTheWordsOfTheJobThatNamesThem) {
  ASSERT_EQ(python(std::string(kPrelude) + R"(
class Reads(nn.Module):
    def forward(self, x):
        return x + torch.from_file("/etc/passwd", False, 3, dtype=torch.uint8)
torch.jit.script(Reads()).save("Reads.pt")
)"),
            0);
  EXPECT_TRUE(
      says(refusal("Reads.pt"),
           "model.source: Reads.pt: its code has the operator aten::from_file, which serving does not"));
  EXPECT_TRUE(says(refusal("Reads.pt", ArchiveUse::training),
                   "model.torchscript: Reads.pt: its code has the operator aten::from_file, which training"));
}

TEST_F(HostileArchives, AreNotTakenForModelsOfEveryCommonKind) {
  ASSERT_EQ(python(std::string(kPrelude) + R"(
from typing import Dict, List, NamedTuple, Optional, Tuple
import enum, warnings
class Block(nn.Module):
    def __init__(self, wide):
        super().__init__()
        self.a, self.b = nn.Conv2d(wide, wide, 3, padding=1, bias=False), nn.Conv2d(wide, wide, 1, groups=2)
        self.norm, self.other = nn.BatchNorm2d(wide), nn.GroupNorm(2, wide)
    def forward(self, x):
        return F.relu_(self.norm(self.a(x))) + F.hardswish(self.other(self.b(x)))
class Images(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 7, stride=2, padding=3), nn.BatchNorm2d(8), nn.ReLU6(inplace=True), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.ModuleList([Block(8), Block(8)])
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.drop, self.head = nn.Dropout(0.2), nn.Linear(4, 10)
    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = torch.cat([x, block(x)], dim=1).chunk(2, dim=1)[0]
        x = F.interpolate(self.up(x), scale_factor=2.0, mode="bilinear", align_corners=False)
        x = F.pixel_unshuffle(F.pixel_shuffle(F.pad(x, [0, 0, 0, 0]), 2), 2)
        return self.head(self.drop(F.adaptive_avg_pool2d(x, 1).flatten(1)))
class Kind(enum.Enum):
    MEAN = 1
    MAX = 2
class Pair(NamedTuple):
    values: torch.Tensor
    lengths: torch.Tensor
class Texts(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.bag = nn.Embedding(50, 16, padding_idx=0), nn.EmbeddingBag(50, 16, mode="mean")
        self.lstm = nn.LSTM(16, 8, num_layers=2, bidirectional=True, batch_first=True)
        self.gru, self.cell = nn.GRU(16, 16, batch_first=True), nn.LSTMCell(16, 16)
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.norm, self.kind = nn.LayerNorm(16), Kind.MEAN
        self.names = {"a": 1, "b": 2}
    def forward(self, x: torch.Tensor, lengths: Optional[torch.Tensor] = None, label: str = "a", sizes: Tuple[int, int] = (1, -1), tiny: float = -1.5):
        if lengths is None:
            lengths = torch.full([x.size(0)], x.size(1), dtype=torch.int64)
        words = self.words(x)
        packed = nn.utils.rnn.pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
        out, _ = self.lstm(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(out, batch_first=True)
        y = self.norm(self.gru(padded)[0]) + self.encoder(words) + self.attention(words, words, words)[0]
        h, c = self.cell(y[:, 0])
        if self.kind == Kind.MEAN:
            y = y.mean(1)
        else:
            y = y.max(1)[0]
        if label.lower().startswith("z"):
            raise ValueError("no label {}".format(label))
        parts: Dict[str, torch.Tensor] = {}
        for i, name in enumerate(["h", "c"]):
            parts[name] = h if i == 0 else c
        pair = Pair(torch.einsum("ij,ij->ij", y, parts["h"]), lengths)
        return torch.where(pair.values > 0, pair.values, self.bag(x)) * float(self.names[label]) + tiny
class Boxes(nn.Module):
    def forward(self, boxes, scores):
        keep = torch.nonzero(scores > 0.5).squeeze(1)
        order = torch.argsort(scores[keep], descending=True)
        top, _ = torch.topk(boxes[keep][order], 1, dim=0)
        grid = F.affine_grid(torch.eye(2, 3).unsqueeze(0), [1, 1, 4, 4], False)
        warnings.warn("grids are costly")
        top = top.clamp(min=0.0) + F.grid_sample(torch.ones(1, 1, 4, 4), grid, align_corners=False).sum()
        return torch.stack([top, top.to(torch.float64).exp().log1p().type_as(top)]), torch.unique(order)
class Spectra(nn.Module):
    def forward(self, x):
        spectrum = torch.stft(x, 16, window=torch.hann_window(16), return_complex=True)
        back = torch.istft(spectrum, 16, window=torch.hann_window(16))
        return torch.linalg.norm(torch.fft.rfft(back).abs()), torch.quantile(x, 0.5), torch.cdist(x, x)
models = {"Images": Images(), "Texts": Texts(), "Boxes": Boxes(), "Spectra": Spectra()}
for name, model in models.items():
    torch.jit.script(model.eval()).save(name + ".pt")
torch.jit.freeze(torch.jit.script(models["Images"])).save("Frozen.pt")
torch.jit.trace(models["Images"], torch.rand(1, 3, 32, 32)).save("Traced.pt")
torch.jit.script(models["Texts"]).save("WithFiles.pt", _extra_files={"notes.pkl": "any text: __setstate__"})
)"),
            0);
  for (const char* name : {"Images", "Texts", "Boxes", "Spectra", "Frozen", "Traced", "WithFiles"})
    EXPECT_EQ(refusal(std::string(name) + ".pt"), "");
}

}  // namespace
}  // namespace ds::train

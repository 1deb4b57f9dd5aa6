#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/train/models/script_archive.hpp"

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/serialization/import.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "actors/train/models/torch_process.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::train {
namespace {

constexpr std::size_t kLargestFile = std::size_t{8} << 30U;

/// Of the two namespaces that are allowed: what reaches out of the process, or is not a function of the
/// arguments.
constexpr std::array kRefused{"aten::from_file", "aten::save",       "aten::load",
                              "aten::wait",      "prim::PythonOp",   "prim::rpc_async",
                              "prim::rpc_sync",  "prim::rpc_remote", "prim::fork",
                              "prim::awaitable", "prim::TimePoint",  "prim::IgnoredPythonOp",
                              "prim::id",        "aten::manual_seed"};

tl::unexpected<Error> refuse(const std::string& path, const std::string& problem) {
  return fail(ErrorCode::invalid_argument, fmt::format("model.torchscript: {}: {}", path, problem),
              "torch.jit.script(module).save(FILE) makes such a file");
}

/// Renames the records that say which of the user's lines the code came from. Torch reads them when it words
/// an error, in a function that must not throw, and ends the process where they are damaged.
void hide_source_positions(std::string& bytes) {
  constexpr std::string_view kEnding = ".debug_pkl";
  for (std::size_t at = bytes.find(kEnding); at != std::string::npos; at = bytes.find(kEnding, at + 1))
    bytes.replace(at, kEnding.size(), ".debug_off");
}

/// Reads `bytes`, which outlive it, where they are. Torch's own reader of memory does not look where it ends.
class BytesReader final : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit BytesReader(const std::string& bytes) : bytes_(bytes) {}
  size_t size() const override { return bytes_.size(); }
  size_t read(std::uint64_t at, void* to, size_t count, const char* what) const override {
    TORCH_CHECK(at <= bytes_.size() && count <= bytes_.size() - at, "the archive ends too early: ", what);
    std::memcpy(to, bytes_.data() + at, count);
    return count;
  }

 private:
  const std::string& bytes_;
};

/// What the archive's code and pickles must not have, looked for in their bytes before anything is read.
Result<void> check_records(const std::string& path, const std::string& bytes) {
  caffe2::serialize::PyTorchStreamReader archive(std::make_shared<BytesReader>(bytes));
  if (!archive.hasRecord("data.pkl") || !archive.hasRecord("constants.pkl"))
    return refuse(path, "it is an archive, but no TorchScript module");
  for (const std::string& name : archive.getAllRecords()) {
    if (name.ends_with(".debug_off") || (!name.starts_with("code/") && !name.ends_with(".pkl"))) continue;
    const auto [data, size] = archive.getRecord(name);
    const std::string_view text(static_cast<const char*>(data.get()), size);
    if (text.find("__setstate__") != std::string_view::npos)
      return refuse(path, fmt::format("{} has code that runs while loading (__setstate__)", name));
    if (text.find("torch.classes") != std::string_view::npos)
      return refuse(path, fmt::format("{} uses a class of an extension (torch.classes)", name));
  }
  return {};
}

using Visit = std::function<std::optional<std::string>(const torch::jit::Node&)>;

/// The first problem that `visit` finds with a node.
std::optional<std::string> walk(const torch::jit::Block& block, const Visit& visit) {
  for (const torch::jit::Node* node : block.nodes()) {
    if (auto problem = visit(*node)) return problem;
    for (const torch::jit::Block* inner : node->blocks()) {
      if (auto problem = walk(*inner, visit)) return problem;
    }
  }
  return std::nullopt;
}

std::optional<std::string> find_refused_operator(const torch::jit::Node& node) {
  const std::string name = node.kind().toQualString();
  if ((name.starts_with("aten::") || name.starts_with("prim::")) &&
      std::ranges::find(kRefused, name) == kRefused.end())
    return std::nullopt;
  return fmt::format("its code has the operator {}, which training does not allow", name);
}

std::optional<std::string> find_hidden_state(const torch::jit::Node& node) {
  if (node.kind() != c10::prim::SetAttr) return std::nullopt;
  if (node.input(1)->type()->isSubtypeOf(*c10::TensorType::get())) return std::nullopt;
  return fmt::format("forward assigns self.{}, which is no tensor: state belongs in buffers",
                     node.s(c10::attr::name));
}

std::optional<std::string> find_problem(const torch::jit::Module& module, std::optional<std::size_t> inputs) {
  for (const torch::jit::Function* function : module._ivalue()->compilation_unit()->get_functions()) {
    const auto* compiled = torch::jit::tryToGraphFunction(*const_cast<torch::jit::Function*>(function));
    if (compiled == nullptr) continue;
    if (auto problem = walk(*compiled->graph()->block(), find_refused_operator)) return problem;
  }
  const auto forward = module.find_method("forward");
  if (!forward) return "it has no forward";
  const auto& arguments = forward->function().getSchema().arguments();  // the first is self
  const auto needed = std::ranges::count_if(
      arguments, [](const c10::Argument& argument) { return !argument.default_value().has_value(); });
  if (inputs && (static_cast<std::size_t>(needed) > *inputs + 1 || arguments.size() < *inputs + 1)) {
    return fmt::format("its forward takes {} arguments, the data has {} fields besides the label",
                       arguments.size() - 1, *inputs);
  }
  const auto graph = forward->graph()->copy();
  torch::jit::Inline(*graph);
  return walk(*graph->block(), find_hidden_state);
}

}  // namespace

Result<torch::jit::Module> load_script_archive(const std::string& path, std::size_t inputs) {
  Result<std::string> bytes = storage::read_file(path, kLargestFile);
  if (!bytes) return refuse(path, bytes.error().message);
  std::map<std::string, std::string> none;
  return read_script_archive(*std::move(bytes), path, inputs, none);
}

Result<torch::jit::Module> read_script_archive(std::string bytes, const std::string& origin,
                                               std::optional<std::size_t> inputs,
                                               std::map<std::string, std::string>& extra_files,
                                               c10::Device device) {
  hide_source_positions(bytes);
  try {
    if (const Result<void> fits = check_records(origin, bytes); !fits) return tl::unexpected(fits.error());
    torch::jit::ExtraFilesMap extra(extra_files.begin(), extra_files.end());
    torch::jit::Module module = torch::jit::load(std::make_shared<BytesReader>(bytes), device, extra);
    for (auto& [name, text] : extra_files) text = std::move(extra[name]);
    if (const auto problem = find_problem(module, inputs)) return refuse(origin, *problem);
    return module;
  } catch (const std::exception& thrown) {
    const Error error = to_error(thrown, "not a TorchScript module", ErrorCode::invalid_argument);
    if (error.code != ErrorCode::invalid_argument) return tl::unexpected(error);
    return refuse(origin, error.message);
  }
}

}  // namespace ds::train

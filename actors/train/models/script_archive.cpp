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
#include <cctype>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "actors/train/models/allowed_operators.hpp"
#include "actors/train/models/loading_code.hpp"
#include "actors/train/models/pickle_names.hpp"
#include "actors/train/models/torch_process.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::train {
namespace {

constexpr std::size_t kLargestFile = std::size_t{8} << 30U;

/// What of a job's file names the archive, and what it is for.
struct Words {
  std::string_view key, purpose;
};

Words words_of(ArchiveUse use) {
  return use == ArchiveUse::training ? Words{"model.torchscript", "training"}
                                     : Words{"model.source", "serving"};
}

/// Refuses an archive.
struct Refuser {
  std::string origin;
  Words words;

  tl::unexpected<Error> operator()(
      const std::string& problem,
      const char* hint = "torch.jit.script(module).save(FILE) makes such a file") const {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: {}: {}", words.key, origin, problem), hint);
  }
};

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

/// Torch finds a record by its name in any case.
std::string to_lower(std::string name) {
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

/// Classes that are written in C++, of torch's and of extensions: reading an object of theirs runs them.
bool is_class_of_extension(std::string_view type) {
  return type.starts_with("__torch__.torch.classes.");
}

/// What may be looked up while objects are read: the archive's own classes, and what torch's pickler names.
bool is_allowed_in_pickle(std::string_view name) {
  constexpr std::array<std::string_view, 4> kBuilders{"collections.OrderedDict",
                                                      "torch._utils._rebuild_tensor_v2",
                                                      "torch._utils._rebuild_qtensor", "builtins.complex"};
  if (name.starts_with("__torch__.")) return !is_class_of_extension(name);
  if (std::ranges::find(kBuilders, name) != kBuilders.end() || name.starts_with("torch.jit._pickle."))
    return true;
  return name.starts_with("torch.") && name.find('.', 6) == std::string_view::npos;  // torch.FloatStorage
}

/// What a record must not have.
std::optional<std::string> find_problem_in_record(const std::string& name, std::string_view data) {
  if (name == "data.pkl" || name == "constants.pkl") {
    const auto names = names_in_pickle(data);
    if (!names) return fmt::format("{} is no pickle of TorchScript's: {}", name, names.error().message);
    for (const std::string& one : *names) {
      if (is_class_of_extension(one)) return fmt::format("{} uses a class of an extension ({})", name, one);
      if (!is_allowed_in_pickle(one)) return fmt::format("{} uses {}, which no model needs", name, one);
    }
  } else if (name.starts_with("code/") && name.ends_with(".py")) {
    if (const auto found = find_code_run_while_loading(data))
      return fmt::format("{} has code that runs while loading ({})", name, *found);
  } else if (name == "model.json" || name.ends_with(".debug_pkl")) {
    return fmt::format("it has {}, which only archives of very old torches have: save it again", name);
  }
  return std::nullopt;
}

/// Looks at all that torch would read, before it reads any of it.
Result<void> check_records(const Refuser& refuse, const std::string& bytes) {
  caffe2::serialize::PyTorchStreamReader archive(std::make_shared<BytesReader>(bytes));
  if (!archive.hasRecord("data.pkl") || !archive.hasRecord("constants.pkl"))
    return refuse("it is an archive, but no TorchScript module");
  for (const std::string& spelled : archive.getAllRecords()) {
    const std::string name = to_lower(spelled);
    if (name.starts_with("data/") || name.starts_with("constants/")) continue;  // tensors
    const auto [data, size] = archive.getRecord(spelled);
    if (const auto problem = find_problem_in_record(name, {static_cast<const char*>(data.get()), size}))
      return refuse(*problem);
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

bool has_class_of_extension(at::ArrayRef<const torch::jit::Value*> values) {
  return std::ranges::any_of(values, [](const torch::jit::Value* value) {
    const auto type = value->type()->cast<c10::ClassType>();
    return type && type->name() && is_class_of_extension(type->name()->qualifiedName());
  });
}

std::optional<std::string> find_refused_operator(const torch::jit::Node& node, std::string_view purpose) {
  const std::string name = node.kind().toQualString();
  if (!is_allowed_operator(name))
    return fmt::format(
        "its code has the operator {}, which {} does not allow: it is none of those that compute", name,
        purpose);
  if (has_class_of_extension(node.inputs()) || has_class_of_extension(node.outputs()))
    return "its code uses a class of an extension (torch.classes)";
  return std::nullopt;
}

std::optional<std::string> find_hidden_state(const torch::jit::Node& node) {
  if (node.kind() != c10::prim::SetAttr) return std::nullopt;
  if (node.input(1)->type()->isSubtypeOf(*c10::TensorType::get())) return std::nullopt;
  return fmt::format("forward assigns self.{}, which is no tensor: state belongs in buffers",
                     node.s(c10::attr::name));
}

std::optional<std::string> find_problem(const torch::jit::Module& module, std::optional<std::size_t> inputs,
                                        std::string_view purpose) {
  const auto check = [&](const torch::jit::Node& node) { return find_refused_operator(node, purpose); };
  for (const torch::jit::Function* function : module._ivalue()->compilation_unit()->get_functions()) {
    const auto* compiled = torch::jit::tryToGraphFunction(*const_cast<torch::jit::Function*>(function));
    if (compiled == nullptr) return fmt::format("its function {} has no code to look at", function->name());
    if (auto problem = walk(*compiled->graph()->block(), check)) return problem;
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
  if (!bytes) return Refuser{path, words_of(ArchiveUse::training)}(bytes.error().message);
  std::map<std::string, std::string> none;
  return read_script_archive(*std::move(bytes), path, ArchiveUse::training, inputs, none);
}

Result<torch::jit::Module> read_script_archive(std::string bytes, const std::string& origin, ArchiveUse use,
                                               std::optional<std::size_t> inputs,
                                               std::map<std::string, std::string>& extra_files,
                                               c10::Device device) {
  const Refuser refuse{origin, words_of(use)};
  hide_source_positions(bytes);
  try {
    if (const Result<void> fits = check_records(refuse, bytes); !fits) return tl::unexpected(fits.error());
    torch::jit::ExtraFilesMap extra(extra_files.begin(), extra_files.end());
    torch::jit::Module module = torch::jit::load(std::make_shared<BytesReader>(bytes), device, extra);
    for (auto& [name, text] : extra_files) text = std::move(extra[name]);
    if (const auto problem = find_problem(module, inputs, refuse.words.purpose))
      return refuse(*problem, "change the module's code and save it again");
    return module;
  } catch (const std::exception& thrown) {
    const Error error = to_error(thrown, "not a TorchScript module", ErrorCode::invalid_argument);
    if (error.code != ErrorCode::invalid_argument) return tl::unexpected(error);
    return refuse(error.message);
  }
}

}  // namespace ds::train

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "actors/train/model.hpp"
#include "actors/train/models/script_text.hpp"

namespace ds::train {

/// A model of a plugin that is written with torch::nn (plugin_module.hpp).
class PluginModule;

using TextMaker = std::function<Result<ScriptText>(const ModelRequest&)>;
using ModuleMaker = std::function<Result<std::shared_ptr<PluginModule>>(const ModelRequest&)>;

/// What a plugin registers its models with. A name is `[a-z0-9_]+`.
class Registrar {
 public:
  virtual ~Registrar() = default;
  /// A model given as TorchScript source; like a zoo model in all respects.
  virtual void add(const std::string& name, TextMaker maker) = 0;
  /// A model of torch::nn modules. It has no export to TorchScript. Torch's generator is seeded with
  /// `request.seed` before it is made.
  virtual void add(const std::string& name, ModuleMaker maker) = 0;
};

/// Changes whenever something of what a plugin sees does.
inline constexpr std::uint32_t kPluginVersion = 1;

/// What a plugin's entry gives:
///
///     extern "C" const ds::train::Plugin* ds_plugin() {
///       static const ds::train::Plugin plugin{ds::train::kPluginVersion, &register_models};
///       return &plugin;
///     }
struct Plugin {
  std::uint32_t version;
  void (*register_models)(Registrar& registrar);
};

/// The models that can be asked for by name.
class Registry final : public Registrar {
 public:
  using Maker = std::variant<TextMaker, ModuleMaker>;

  /// The zoo alone.
  Registry();
  /// The zoo and a plugin's models; the library stays loaded until the process ends. `invalid_argument` names
  /// the file when it is none, has no entry, is of another version or registers a name that exists.
  static Result<Registry> with_plugin(const std::string& path);

  void add(const std::string& name, TextMaker maker) override;
  void add(const std::string& name, ModuleMaker maker) override;

  /// `invalid_argument` for an unknown name: with the known ones, and the nearest.
  Result<Maker> find(const std::string& name) const;
  std::vector<std::string> names() const;

 private:
  void add_any(const std::string& name, Maker maker);

  std::map<std::string, Maker> makers_;
  std::string problem_;  ///< the first thing wrong with what was added
};

}  // namespace ds::train

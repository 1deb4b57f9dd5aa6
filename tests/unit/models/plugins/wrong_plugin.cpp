// Plugins that must be refused; which one is the build's choice.
#include <stdexcept>

#include "actors/train/models/registry.hpp"

namespace {

void register_models([[maybe_unused]] ds::train::Registrar& registrar) {
#if defined(DS_TAKEN_NAME)
  registrar.add("resnet", [](const ds::train::ModelRequest&) -> ds::Result<ds::train::ScriptText> {
    return ds::fail(ds::ErrorCode::internal, "never asked");
  });
#elif defined(DS_THROWS)
  throw std::runtime_error("no licence");
#endif
}

}  // namespace

#if defined(DS_NO_ENTRY)
void (*register_models_of_no_use)(ds::train::Registrar&) = &register_models;
#else
extern "C" const ds::train::Plugin* ds_plugin() {
#if defined(DS_WRONG_VERSION)
  constexpr std::uint32_t kVersion = ds::train::kPluginVersion + 1;
#else
  constexpr std::uint32_t kVersion = ds::train::kPluginVersion;
#endif
  static const ds::train::Plugin kPlugin{kVersion, &register_models};
  return &kPlugin;
}
#endif

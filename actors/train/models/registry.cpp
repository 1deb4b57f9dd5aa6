#include "actors/train/models/registry.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <exception>
#include <filesystem>

#include "actors/train/models/zoo.hpp"
#include "storage/dataset/nearest_name.hpp"

namespace ds::train {
namespace {

tl::unexpected<Error> refuse(const std::string& path, const std::string& problem) {
  return fail(ErrorCode::invalid_argument, fmt::format("model.plugin: {}: {}", path, problem));
}

bool is_name(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

Registry::Registry()
    : makers_{{"text_classifier", TextMaker(make_text_classifier)},
              {"bag_of_words", TextMaker(make_bag_of_words)},
              {"mlp", TextMaker(make_mlp)},
              {"resnet", TextMaker(make_resnet)},
              {"transformer", TextMaker(make_transformer)},
              {"lstm", TextMaker(make_lstm)},
              {"unet", TextMaker(make_unet)}} {}

Result<Registry> Registry::with_plugin(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return refuse(path, "there is no such file");
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return refuse(path, fmt::format("it cannot be loaded: {}", dlerror()));
  using Entry = const Plugin* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "ds_plugin"));
  if (entry == nullptr)
    return refuse(path, "it has no function ds_plugin (see actors/train/models/registry.hpp)");
  Registry registry;
  try {
    const Plugin* plugin = entry();
    if (plugin == nullptr) return refuse(path, "its ds_plugin gives nothing");
    if (plugin->version != kPluginVersion) {
      return refuse(path, fmt::format("it was built for version {} of the interface, this is version {}",
                                      plugin->version, kPluginVersion));
    }
    if (plugin->register_models == nullptr) return refuse(path, "its register_models is null");
    plugin->register_models(registry);
  } catch (const std::exception& thrown) {
    return refuse(path, fmt::format("registering its models failed: {}", thrown.what()));
  }
  if (!registry.problem_.empty()) return refuse(path, registry.problem_);
  return registry;
}

void Registry::add(const std::string& name, TextMaker maker) {
  add_any(name, std::move(maker));
}
void Registry::add(const std::string& name, ModuleMaker maker) {
  add_any(name, std::move(maker));
}

void Registry::add_any(const std::string& name, Maker maker) {
  if (!problem_.empty()) return;
  if (!is_name(name)) {
    problem_ = fmt::format("\"{}\" is no name for a model: a-z, 0-9 and _ are allowed", name);
  } else if (!makers_.emplace(name, std::move(maker)).second) {
    problem_ = fmt::format("it registers {}, which exists", name);
  }
}

Result<Registry::Maker> Registry::find(const std::string& name) const {
  if (const auto found = makers_.find(name); found != makers_.end()) return found->second;
  const auto nearest = storage::find_nearest_name(name, names());
  return fail(ErrorCode::invalid_argument,
              fmt::format("model.zoo: no model \"{}\", there are {}", name, fmt::join(names(), ", ")),
              nearest ? fmt::format("did you mean {}?", *nearest) : "");
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, maker] : makers_) names.push_back(name);
  return names;
}

}  // namespace ds::train

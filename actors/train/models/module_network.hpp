#pragma once

#include <memory>

#include "actors/train/models/network.hpp"
#include "actors/train/models/registry.hpp"

namespace ds::train {

/// A plugin's module; seeds torch's generator and makes it.
Result<std::unique_ptr<Network>> make_module_network(const ModuleMaker& maker, const ModelRequest& request);

}  // namespace ds::train

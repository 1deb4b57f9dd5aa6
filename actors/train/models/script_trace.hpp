#pragma once

#include <string>

namespace ds::train {

/// The layer and the reason in what TorchScript's interpreter throws, which is a page of source lines;
/// another message stays as it is. Pure.
std::string shorten_trace(const std::string& message);

}  // namespace ds::train

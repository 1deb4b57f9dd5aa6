#pragma once

#include <string_view>

namespace ds::scheduler {

/// Whether a job file may ask for GPUs of the kind `text`, and a node state that it has some: up to 63
/// letters, digits, spaces and `-`, `_`, `.`, from a letter on and not to a space. Words that mean something
/// else where a kind may stand (`true`, `none`, `all`) are none. Pure.
bool is_gpu_kind_name(std::string_view text);

}  // namespace ds::scheduler

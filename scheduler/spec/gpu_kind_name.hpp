#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ds::scheduler {

/// Whether a job file may ask for GPUs of the kind `text`, and a node state that it has some: up to 63
/// letters, digits, spaces and `-`, `_`, `.`, from a letter on and not to a space. Words that mean something
/// else where a kind may stand (`true`, `none`, `all`) are none. Pure.
bool is_gpu_kind_name(std::string_view text);

/// Between kinds of which a job takes any, the most wanted first: `H200|A100`. No part of a kind.
inline constexpr char kGpuKindSeparator = '|';
/// The kinds that these are; none where they are empty, which is any. Pure.
std::vector<std::string_view> split_gpu_kinds(std::string_view kinds);
/// `H200, A100 or L4`. Pure.
std::string gpu_kinds_text(std::string_view kinds);

}  // namespace ds::scheduler

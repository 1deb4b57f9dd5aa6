#pragma once

#include <cstdint>
#include <set>

#include "storage/result.hpp"

namespace ds::node {

/// A TCP port of this machine that nobody has bound now, none of `given`. `resource_exhausted` when there
/// is none.
///
/// It is below the ports that the kernel takes for outgoing connections and for whoever asks for any, so that
/// only a program which names just this port can take it before its user binds it.
Result<std::uint16_t> choose_free_port(const std::set<std::uint16_t>& given);

}  // namespace ds::node

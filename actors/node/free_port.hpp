#pragma once

#include <cstdint>
#include <set>

namespace ds::node {

/// A TCP port of this machine that nobody has bound now, none of `given`; 0 when none was found.
///
/// It is below the ports that the kernel takes for outgoing connections and for whoever asks for any, so that
/// only a program which names just this port can take it before its user binds it.
std::uint16_t choose_free_port(const std::set<std::uint16_t>& given);

}  // namespace ds::node

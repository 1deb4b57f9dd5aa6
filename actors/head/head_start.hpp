#pragma once

#include <cstdint>
#include <string>

#include "scheduler/ledger/ledger.hpp"

namespace ds::head {

/// Why a head that starts at `now_ms` with what this ledger knows begins as it does: which start this is, for
/// how long nobody decided anything, and how many jobs it takes over. Left out is what isn't known: the
/// number with a journal of a version that counted none, and the time where a clock was set back. Pure.
std::string describe_start(const scheduler::Ledger& ledger, std::int64_t now_ms);

}  // namespace ds::head

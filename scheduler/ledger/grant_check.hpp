#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "scheduler/ledger/ledger.hpp"
#include "scheduler/spec/tenant_tree.hpp"

namespace ds::scheduler {

/// What a node has for workers. None: it is not known now.
using FindNodeSize = std::function<std::optional<NodeHolding>(const std::string& node)>;

/// What is wrong with the leases of `granted`, which the ledger has just taken: more of a node is given away
/// than it has, or a queue has more slots than it may. None: nothing.
///
/// Policies keep to these rules by themselves. This knows nothing of how they count, so that a mistake in one
/// of them is found before anybody hears of the grant. (No GPU is given twice: the ledger refuses that.) What
/// was granted before is not looked at: a node may come back smaller, a quota may be lowered. Costs the
/// logarithm of what there is for each grant, and once the number of queues. Pure.
std::optional<std::string> find_wrong_grant(const Ledger& ledger, std::span<const std::uint64_t> granted,
                                            const FindNodeSize& find_node, const TenantTree& tenants);

/// Whether a queue has more slots or GPUs than it may, workers that are leaving included. Costs the number of
/// queues. Pure.
bool is_quota_passed(const Ledger& ledger, const TenantTree& tenants);

}  // namespace ds::scheduler

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ds::scheduler {

/// One queue of the tree of tenants: what its jobs, and those of the queues below it, may use together.
struct QueueSpec {
  std::string name;
  std::size_t parent = 0;                          ///< index; smaller than the queue's own
  std::size_t depth = 0;                           ///< steps from the root
  std::uint64_t guaranteed = 0;                    ///< slots it can always have back
  std::optional<std::uint64_t> borrowing_limit{};  ///< slots beyond those at most; none: what there is
  std::optional<std::uint64_t>
      lending_limit{};                ///< of a tenant: idle ones of those that others may use; none: all
  std::uint64_t guaranteed_gpus = 0;  ///< GPUs it can always have back; see `guarantees_gpus`
  std::optional<std::uint64_t> gpu_limit{};  ///< GPUs at most; none: what there is
  double weight = 1;                         ///< its share of what is borrowed, beside its siblings'
  bool is_leaf = true;

  /// Slots that it may use at most; none: no limit of its own.
  std::optional<std::uint64_t> most() const {
    if (!borrowing_limit) return std::nullopt;
    return guaranteed + *borrowing_limit;
  }
  /// Slots that are kept for it even while it does not use them.
  std::uint64_t reserved() const { return lending_limit ? guaranteed - *lending_limit : 0; }
  bool operator==(const QueueSpec&) const = default;
};

/// The tenants of a cluster and their queues. A plain value; see `parse_tenant_file`.
///
/// Queue 0 is the root: the whole cluster. Its children are the tenants. Jobs are in leaves. Without tenants
/// the root is the one queue for everybody, whatever tenant and queue a job names.
struct TenantTree {
  std::vector<QueueSpec> queues{QueueSpec{}};

  static constexpr std::size_t kRoot = 0;
  bool has_tenants() const { return queues.size() > 1; }
  const QueueSpec& operator[](std::size_t queue) const { return queues[queue]; }

  /// The leaf for a job of this tenant and queue, which is named alone (`prod`) or by its path, with the
  /// tenant or without (`nlp/research/prod`); none when there is no such. `default` names the tenant itself
  /// when it has no queue of that name.
  std::optional<std::size_t> find(std::string_view tenant, std::string_view queue) const;
  /// Of the tenants, without their queues.
  std::vector<std::string> tenant_names() const;
  /// Slots, to all tenants.
  std::uint64_t guaranteed_together() const;
  std::uint64_t guaranteed_gpus_together() const;
  /// Whether anybody is guaranteed any. If not, no guarantee is about GPUs: what needs them is within one by
  /// its slots alone.
  bool guarantees_gpus() const { return guaranteed_gpus_together() > 0; }
  /// `nlp/prod`; the root is `the cluster`.
  std::string full_name(std::size_t queue) const;
  bool is_below(std::size_t queue, std::size_t ancestor) const;
  /// Where the ways of both to the root meet, and the last steps before on either way; a queue's own index
  /// where it is the meeting point itself.
  struct Meeting {
    std::size_t at = 0, a_side = 0, b_side = 0;
  };
  Meeting meet(std::size_t a, std::size_t b) const;

  bool operator==(const TenantTree&) const = default;
};

/// Why a job of this tenant and queue cannot be taken: `field` is `tenant` or `queue`.
struct QueueFault {
  std::string field, message, hint;
};
std::variant<std::size_t, QueueFault> resolve_queue(const TenantTree& tree, std::string_view tenant,
                                                    std::string_view queue);

}  // namespace ds::scheduler

#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <list>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "actors/serving/batching.hpp"

namespace ds::serving {

/// The tickets that wait, and whose turn it is.
///
/// Higher priorities come first; within one, tenants take turns by rows (start-time fair queueing, Goyal, Vin
/// and Cheng, SIGCOMM 1996, with equal weights); within a tenant the first come. A tenant that was idle is
/// owed nothing. Adding and removing cost logarithms; `count_rows_before` and `holdings` look at each
/// tenant that waits. Pure.
class TicketLine {
 public:
  struct Place {
    std::uint32_t priority = 0;
    std::uint64_t start = 0;     ///< rows of virtual time
    std::uint64_t sequence = 0;  ///< in order of admission
    std::uint64_t id = 0;
    auto operator<=>(const Place&) const = default;
  };
  struct Waiting {
    Ticket ticket;
    std::int64_t admitted_us = 0;
    Place place;
    std::list<const Waiting*>::iterator in_key;
  };
  /// Those that may share a batch. Never empty.
  struct KeyLine {
    std::set<Place> places;            ///< in order of their turns
    std::list<const Waiting*> by_age;  ///< the oldest first
    std::uint64_t rows = 0;
  };
  /// What a tenant has waiting.
  struct Holding {
    std::string tenant;
    std::uint64_t tickets = 0, bytes = 0;
    std::set<Place>::const_reverse_iterator last;  ///< whose turn would come last, and so on; as `tickets`
  };

  void add(Ticket ticket, std::int64_t now_us);
  /// False, and nothing happens: none waits by this id.
  bool remove(std::uint64_t id);
  /// The same, and virtual time goes on to its turn: it leads a batch.
  void remove_leader(std::uint64_t id);

  bool empty() const { return all_.empty(); }
  std::size_t size() const { return all_.size(); }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t rows() const { return rows_; }
  const Waiting& at(std::uint64_t id) const { return *by_id_.at(id); }
  bool contains(std::uint64_t id) const { return by_id_.contains(id); }
  /// Precondition of both: not empty.
  const Waiting& first() const { return at(line_.begin()->id); }
  const Waiting& oldest() const { return all_.front(); }
  const KeyLine& key(std::uint64_t shape_key) const { return keys_.at(shape_key); }
  const std::unordered_map<std::uint64_t, KeyLine>& keys() const { return keys_; }
  /// (deadline, id) of those that have one, the earliest first.
  const std::set<std::pair<std::int64_t, std::uint64_t>>& deadlines() const { return deadlines_; }

  /// Rows whose turn comes before this ticket's would, if nothing else came.
  std::uint64_t count_rows_before(const Ticket& ticket) const;
  /// Of all tenants that have something, by name. Valid until the line changes.
  std::vector<Holding> holdings() const;

 private:
  static constexpr std::size_t kClasses = kLowestPriority + 1;
  static constexpr std::size_t kIdleTenants = 1'024;  ///< remembered for what they have had

  struct Tenant {
    std::set<Place> places;
    std::uint64_t bytes = 0;
    std::array<std::uint64_t, kClasses> rows{}, finish{};
  };
  void forget_idle_tenants();

  std::list<Waiting> all_;  ///< in order of admission
  std::unordered_map<std::uint64_t, std::list<Waiting>::iterator> by_id_;
  std::set<Place> line_;
  std::unordered_map<std::uint64_t, KeyLine> keys_;
  std::set<std::pair<std::int64_t, std::uint64_t>> deadlines_;
  std::map<std::string, Tenant, std::less<>> tenants_;
  std::size_t idle_tenants_ = 0;
  std::array<std::uint64_t, kClasses> rows_by_priority_{}, virtual_time_{}, last_finish_{};
  std::uint64_t sequence_ = 0, rows_ = 0, bytes_ = 0;
};

}  // namespace ds::serving

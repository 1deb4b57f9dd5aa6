#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "actors/parameters/range_shard.hpp"
#include "actors/parameters/requests.hpp"

namespace ds::parameters {

/// When each row of a range's tables changed last. A range without tables keeps nothing.
class RowVersions {
 public:
  /// Tables lie within the range and do not overlap.
  RowVersions(std::vector<RowTable> tables, std::uint64_t elements);

  void set_all(std::uint64_t version);

  /// Whether elements [first, first + count) have any of a table.
  bool touches(std::uint64_t first, std::size_t count) const;
  /// These elements, of which the first is `first`, have changed from `before` to `after`, bits compared.
  void note(std::uint64_t first, std::span<const float> before, std::span<const float> after,
            std::uint64_t version);

  /// The rows that changed after `version`, and all that is in no table; runs that rise and do not touch.
  std::vector<Run> changed_since(std::uint64_t version) const;
  bool empty() const { return tables_.empty(); }

 private:
  struct Table {
    RowTable place;
    std::vector<std::uint64_t> versions;  ///< by row
    std::uint64_t end() const { return place.first + place.rows * place.width; }
  };
  std::vector<Table> tables_;  ///< by first element
  std::uint64_t elements_;
};

/// Adds elements [first, last), which are not before those that are there; a run that touches grows.
void append_run(std::vector<Run>& runs, std::uint64_t first, std::uint64_t last);

/// Whether naming `values` elements in `runs` runs takes at most half the bytes of all `elements`. Pure.
bool saves_half(std::uint64_t values, std::size_t runs, std::uint64_t elements);

}  // namespace ds::parameters

#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>

#include "storage/result.hpp"
#include "storage/state/high_water.hpp"
#include "storage/state/journal.hpp"

namespace rocksdb {
class DB;
}

namespace ds::storage {

/// A journal's records, verified from the last snapshot (or the first record) to the end.
struct VerifiedChain {
  ChainEnd end;
  StateJournal::Recovered recovered;
  std::uint64_t bytes_since_snapshot = 0;
  std::optional<std::uint64_t> snapshot_at;  ///< the record behind which its pieces stand; none: no pieces
  std::set<std::uint64_t> unfinished;        ///< records behind which pieces of no whole snapshot stand
};

/// Reads all records and pieces of `database`, checks that each names its predecessor, and that the chain
/// passes through `mark`. Errors: `data_loss` and `unsupported`, naming `directory`.
Result<VerifiedChain> verify_chain(rocksdb::DB& database, const ChainEnd& mark,
                                   const std::filesystem::path& directory);

/// The last record alone, to make sure that opening for writing changed nothing; the default when there is
/// none.
Result<ChainEnd> read_chain_end(rocksdb::DB& database, const std::filesystem::path& directory);

}  // namespace ds::storage

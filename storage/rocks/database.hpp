#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string_view>

#include "storage/result.hpp"

namespace rocksdb {
class DB;
class Env;
class Status;
}  // namespace rocksdb

namespace ds::storage {

/// What differs between our databases.
struct DatabaseTuning {
  std::size_t write_buffer_bytes = 4U << 20;
  rocksdb::Env* env = nullptr;  ///< the file system, borrowed; null means the machine's
};

/// Whether there is a database at `directory`. Tables or logs without the file CURRENT are `data_loss`,
/// because RocksDB would take such a directory for a new one and delete them.
Result<bool> has_database(const std::filesystem::path& directory);

/// Opens an existing database without changing a byte of it, to verify it first: opened for writing, RocksDB
/// may succeed on a damaged database and delete files that could have been saved.
Result<std::unique_ptr<rocksdb::DB>> open_database_read_only(const std::filesystem::path& directory,
                                                             const DatabaseTuning& tuning);

/// Opens or creates one. Fails with `resource_exhausted` when the disk is so full that RocksDB would abort.
Result<std::unique_ptr<rocksdb::DB>> open_database(const std::filesystem::path& directory,
                                                   const DatabaseTuning& tuning);

/// A failed status as ours: damage is `data_loss`, a full disk `resource_exhausted`. `what` begins the
/// message.
tl::unexpected<Error> fail_with_status(const rocksdb::Status& status, std::string_view what,
                                       const std::filesystem::path& directory);

/// `data_loss` that says what to do about it.
tl::unexpected<Error> fail_with_damage(std::string_view message);

}  // namespace ds::storage

#include "storage/rocks/database.hpp"

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <system_error>

#include "storage/files/whole_file.hpp"

namespace ds::storage {

namespace {

rocksdb::Options make_options(const DatabaseTuning& tuning) {
  rocksdb::Options options;
  if (tuning.env != nullptr) options.env = tuning.env;
  // The default mode drops everything behind a flipped bit in the log without a word; this one refuses, and
  // lets only an incomplete record at the very end pass, which is what a killed process leaves.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  options.paranoid_checks = true;
  options.compression =
      rocksdb::kNoCompression;  // sums are taken of what is stored, and tensors hardly shrink
  options.write_buffer_size = tuning.write_buffer_bytes;
  options.max_write_buffer_number = 2;
  options.max_total_wal_size = 4 * tuning.write_buffer_bytes;
  options.max_open_files = 64;
  options.max_background_jobs = 2;
  options.keep_log_file_num = 2;
  options.max_log_file_size = 1U << 20;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.max_manifest_file_size = 4U << 20;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(4U << 20);
  table.cache_index_and_filter_blocks = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

bool is_log_or_table(const std::filesystem::path& file) {
  return file.extension() == ".log" || file.extension() == ".sst";
}

ErrorCode to_code(const rocksdb::Status& status) {
  if (status.subcode() == rocksdb::Status::SubCode::kNoSpace) return ErrorCode::resource_exhausted;
  if (status.IsIOError() && status.ToString().find("lock ") != std::string::npos) return ErrorCode::conflict;
  // A file that CURRENT or the manifest names and that is not there comes as one of the last three.
  const bool damage = status.IsCorruption() || status.IsNotFound() || status.IsInvalidArgument() ||
                      status.subcode() == rocksdb::Status::SubCode::kPathNotFound;
  return damage ? ErrorCode::data_loss : ErrorCode::internal;
}

constexpr char kDamageHint[] =
    "Nothing was changed. Restore the directory from a copy, or move it away to begin anew.";

}  // namespace

Result<bool> has_database(const std::filesystem::path& directory) {
  std::error_code error;
  if (std::filesystem::exists(directory / "CURRENT", error)) return true;
  if (!std::filesystem::exists(directory, error)) return false;
  std::filesystem::directory_iterator entry(directory, error);
  if (error) return fail_with_errno(error.value(), "cannot list", directory);
  for (; entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (is_log_or_table(entry->path()))
      return fail_with_damage(fmt::format("{} is missing, though {} is there",
                                          (directory / "CURRENT").string(),
                                          entry->path().filename().string()));
  }
  return false;
}

Result<std::unique_ptr<rocksdb::DB>> open_database_read_only(const std::filesystem::path& directory,
                                                             const DatabaseTuning& tuning) {
  rocksdb::DB* database = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(make_options(tuning), directory.string(), &database);
  if (!status.ok()) return fail_with_status(status, "cannot verify the database", directory);
  return std::unique_ptr<rocksdb::DB>(database);
}

Result<std::unique_ptr<rocksdb::DB>> open_database(const std::filesystem::path& directory,
                                                   const DatabaseTuning& tuning) {
  auto made = make_directory(directory);
  if (!made) return tl::unexpected<Error>(made.error());
  auto room = require_free_bytes(directory, kOpenReserveBytes);
  if (!room) return tl::unexpected<Error>(room.error());
  rocksdb::Options options = make_options(tuning);
  options.create_if_missing = true;
  rocksdb::DB* database = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(options, directory.string(), &database);
  if (!status.ok()) return fail_with_status(status, "cannot open the database", directory);
  return std::unique_ptr<rocksdb::DB>(database);
}

tl::unexpected<Error> fail_with_status(const rocksdb::Status& status, std::string_view what,
                                       const std::filesystem::path& directory) {
  const ErrorCode code = to_code(status);
  return fail(code, fmt::format("{} {}: {}", what, directory.string(), status.ToString()),
              code == ErrorCode::data_loss ? kDamageHint : "");
}

tl::unexpected<Error> fail_with_damage(std::string_view message) {
  return fail(ErrorCode::data_loss, std::string(message), kDamageHint);
}

}  // namespace ds::storage

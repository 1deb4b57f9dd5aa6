#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "storage/files/whole_file.hpp"
#include "storage/rocks/database.hpp"
#include "storage/state/journal.hpp"

namespace ds::storage {

/// The journal's bounds. `StateJournal::open` uses these values; tests use smaller ones.
struct JournalLimits {
  std::uint64_t reserve_bytes = kReserveBytes;  ///< of disk that stay free for the events of what is there
  std::uint64_t least_bytes = kLeastFreeBytes;  ///< of disk that stay free
  std::chrono::milliseconds look_again{250};    ///< at what is free, while it is too little
  std::size_t max_waiting_records = 65'536;     ///< appended and not yet durable
  std::size_t max_waiting_bytes = 256U
                                  << 20;    ///< the same in bytes; one larger record passes when none waits
  std::size_t max_commit_bytes = 8U << 20;  ///< of records that share one sync
  DatabaseTuning database = {.write_buffer_bytes = 4U << 20};
  /// The disk; tests have one that is as full as they like.
  std::function<Result<void>(const std::filesystem::path&, std::uint64_t)> require_free = require_free_bytes;
};

Result<std::unique_ptr<StateJournal>> open_journal(const std::filesystem::path& directory,
                                                   const JournalLimits& limits);

}  // namespace ds::storage

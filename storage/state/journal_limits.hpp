#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "storage/files/whole_file.hpp"
#include "storage/rocks/database.hpp"
#include "storage/state/journal.hpp"

namespace ds::storage {

/// The journal's bounds. `StateJournal::open` uses these values; tests use smaller ones.
struct JournalLimits {
  std::uint64_t reserve_bytes = kReserveBytes;  ///< of disk that must stay free
  std::size_t max_waiting_records = 65'536;     ///< appended and not yet durable
  std::size_t max_waiting_bytes = 256U
                                  << 20;    ///< the same in bytes; one larger record passes when none waits
  std::size_t max_commit_bytes = 8U << 20;  ///< of records that share one sync
  DatabaseTuning database = {.write_buffer_bytes = 4U << 20};
};

Result<std::unique_ptr<StateJournal>> open_journal(const std::filesystem::path& directory,
                                                   const JournalLimits& limits);

}  // namespace ds::storage

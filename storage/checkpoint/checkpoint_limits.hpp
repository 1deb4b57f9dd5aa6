#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "storage/checkpoint/checkpoint_store.hpp"
#include "storage/files/whole_file.hpp"
#include "storage/rocks/database.hpp"

namespace ds::storage {

/// The checkpoint store's bounds. `CheckpointStore::open` uses these values; tests use others.
struct CheckpointLimits {
  std::uint64_t reserve_bytes = kReserveBytes;  ///< of disk that must stay free
  std::size_t batch_bytes = 4U << 20;           ///< of chunks written at once
  DatabaseTuning database = {.write_buffer_bytes = 16U << 20};
};

Result<std::unique_ptr<CheckpointStore>> open_checkpoint_store(const std::filesystem::path& directory,
                                                               const CheckpointLimits& limits);

}  // namespace ds::storage

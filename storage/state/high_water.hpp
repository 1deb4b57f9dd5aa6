#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>

#include "storage/codec/sha256.hpp"
#include "storage/result.hpp"

namespace ds::storage {

/// Number and hash of the newest record of a chain; the default is the beginning of every chain.
struct ChainEnd {
  std::uint64_t seq = 0;
  Sha256 hash{};
  bool operator==(const ChainEnd&) const = default;
};

/// The file that remembers how far the journal had come, outside the database, so that a database which lost
/// records can be told from one that never had them. It may lag behind the database by the last commit, never
/// run ahead of it.
///
/// Two slots are written in turn: a write that is torn by a power cut damages one of them at most. Not
/// thread-safe.
class HighWater {
 public:
  /// Makes the file, at the beginning of a chain, durably. To be called before the database exists.
  static Result<HighWater> create(const std::filesystem::path& file);

  /// Errors: `data_loss` (no slot verifies), `unsupported` (newer format), `not_found`.
  static Result<HighWater> open(const std::filesystem::path& file);

  HighWater(HighWater&& other) noexcept;
  HighWater& operator=(HighWater&&) = delete;
  ~HighWater();

  const ChainEnd& mark() const { return mark_; }

  /// Writes without syncing: the mark survives the process at once and a power cut a little later.
  Result<void> raise(const ChainEnd& mark);
  Result<void> sync();

 private:
  HighWater(std::filesystem::path file, int descriptor);

  std::filesystem::path file_;
  int descriptor_ = -1;
  ChainEnd mark_;
  std::uint32_t next_slot_ = 0;
};

}  // namespace ds::storage

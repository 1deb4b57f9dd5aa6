#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "storage/result.hpp"
#include "storage/state/high_water.hpp"

namespace ds::storage {

/// What stands in a record's place once a snapshot replaces it and all before it: the record's hash, which
/// the next one names, and what pieces there are. They stand behind it, each naming the one before it.
struct SnapshotIndex {
  ChainEnd cut;              ///< the last record that the snapshot stands for
  std::uint64_t pieces = 0;  ///< how many
  Sha256 last_piece{};       ///< the seal of the last one; with none `cut.hash`
  bool operator==(const SnapshotIndex&) const = default;
};

std::string encode_index(const SnapshotIndex& index);
/// Whether a record's value, of whatever key, is an index, or of a format that this program does not know.
bool may_be_index(std::string_view value);
/// Errors as of `decode_record`.
Result<SnapshotIndex> decode_index(std::string_view key, std::string_view value);

/// One piece of a snapshot as it stands on disk.
struct StoredPiece {
  std::uint64_t cut = 0, number = 0;  ///< `number`: from 0
  Sha256 previous{};                  ///< seal of the piece before; of the first one hash of the record `cut`
  std::string text;
  Sha256 hash{};  ///< its own seal
};

/// Sorts behind the record `cut` and before the next one.
std::string to_piece_key(std::uint64_t cut, std::uint64_t number);
bool is_piece_key(std::string_view key);
/// The number of the record behind which it stands.
std::uint64_t cut_of_key(std::string_view key);

/// The stored form of the piece that follows those of `index`; adds it to them.
std::string encode_next_piece(SnapshotIndex& index, std::string_view text);
/// Errors as of `decode_record`.
Result<StoredPiece> decode_piece(std::string_view key, std::string_view value);

}  // namespace ds::storage

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/checkpoint/checkpoint_store.hpp"
#include "storage/codec/sha256.hpp"
#include "storage/result.hpp"

namespace ds::storage {

inline constexpr std::size_t kChunkBytes = 1U << 20;

/// One tensor as a list of chunks: all but the last have `kChunkBytes`.
struct TensorChunks {
  std::string name;
  std::uint64_t bytes = 0;
  std::vector<Sha256> chunks;
};

/// The record whose commit makes a version exist.
struct Manifest {
  std::uint64_t commit = 0;  ///< grows with every commit of the store; tells a version from one it replaced
  CheckpointEntry entry;
  std::string description;
  std::vector<TensorChunks> tensors;
};

/// Database keys: `m/<job>/<step>`, `c/<sum>`, `p/<commit>` (numbers big-endian).
std::string to_manifest_key(std::string_view job, std::uint64_t step);
std::string to_chunk_key(const Sha256& sum);
std::string to_intent_key(std::uint64_t commit);

/// The job and step of a manifest's key; false when it is none.
bool parse_manifest_key(std::string_view key, std::string* job, std::uint64_t* step);

std::string encode_manifest(std::string_view key, const Manifest& manifest);

/// Errors: `data_loss`, `unsupported`. The caller adds where it was.
Result<Manifest> decode_manifest(std::string_view key, std::string_view value);

/// The chunks that a save is about to write: what a later start deletes again if no manifest came to refer to
/// them.
std::string encode_intent(std::string_view key, const std::vector<Sha256>& chunks);
Result<std::vector<Sha256>> decode_intent(std::string_view key, std::string_view value);

/// The number of chunks that `bytes` bytes are cut into.
std::uint64_t count_chunks(std::uint64_t bytes);

}  // namespace ds::storage

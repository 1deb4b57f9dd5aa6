#include "storage/state/snapshot_pieces.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "storage/codec/wire.hpp"

namespace ds::storage {

namespace {

// An index is a record of format 2: a program that knows only 1 says that it needs the newer one.
constexpr std::uint8_t kIndexVersion = 2, kPieceVersion = 1;
constexpr std::size_t kNumberBytes = 8, kKeyBytes = 2 * kNumberBytes;

Sha256 seal_of(std::string_view value) {
  Sha256 hash{};
  std::copy(value.end() - static_cast<std::ptrdiff_t>(hash.size()), value.end(), hash.begin());
  return hash;
}

tl::unexpected<Error> fail_with_version(const std::string& what, std::uint8_t version, std::uint8_t known) {
  return fail(ErrorCode::unsupported,
              fmt::format("{} has format {}, this program knows {}", what, version, known),
              "Start the newer version of the program.");
}

}  // namespace

std::string encode_index(const SnapshotIndex& index) {
  ByteWriter writer;
  writer.u8(kIndexVersion).raw(to_view(index.cut.hash)).u64(index.pieces).raw(to_view(index.last_piece));
  return seal(to_big_endian(index.cut.seq), writer.take());
}

bool may_be_index(std::string_view value) {
  return !value.empty() && static_cast<std::uint8_t>(value.front()) >= kIndexVersion;
}

Result<SnapshotIndex> decode_index(std::string_view key, std::string_view value) {
  SnapshotIndex index;
  if (key.size() != kNumberBytes) return fail(ErrorCode::data_loss, "a key that is no record number");
  index.cut.seq = from_big_endian(key);
  const std::string what = fmt::format("record {}", index.cut.seq);
  std::string_view body;
  if (!unseal(key, value, &body))
    return fail(ErrorCode::data_loss, fmt::format("the checksum of {} does not match", what));
  ByteReader reader(body);
  const std::uint8_t version = reader.u8();
  if (version > kIndexVersion) return fail_with_version(what, version, kIndexVersion);
  index.cut.hash = reader.sha256();
  index.pieces = reader.u64();
  index.last_piece = reader.sha256();
  if (!reader.at_end()) return fail(ErrorCode::data_loss, what + " is malformed");
  return index;
}

std::string to_piece_key(std::uint64_t cut, std::uint64_t number) {
  return to_big_endian(cut) + to_big_endian(number);
}

bool is_piece_key(std::string_view key) {
  return key.size() == kKeyBytes;
}

std::uint64_t cut_of_key(std::string_view key) {
  return from_big_endian(key.substr(0, kNumberBytes));
}

std::string encode_next_piece(SnapshotIndex& index, std::string_view text) {
  ByteWriter writer;
  writer.u8(kPieceVersion).raw(to_view(index.last_piece)).text(text);
  std::string value = seal(to_piece_key(index.cut.seq, index.pieces++), writer.take());
  index.last_piece = seal_of(value);
  return value;
}

Result<StoredPiece> decode_piece(std::string_view key, std::string_view value) {
  StoredPiece piece;
  piece.cut = cut_of_key(key);
  piece.number = from_big_endian(key.substr(kNumberBytes));
  const std::string what = fmt::format("piece {} of the snapshot at record {}", piece.number, piece.cut);
  std::string_view body;
  if (!unseal(key, value, &body))
    return fail(ErrorCode::data_loss, fmt::format("the checksum of {} does not match", what));
  piece.hash = seal_of(value);
  ByteReader reader(body);
  const std::uint8_t version = reader.u8();
  if (version > kPieceVersion) return fail_with_version(what, version, kPieceVersion);
  piece.previous = reader.sha256();
  piece.text = reader.text();
  if (!reader.at_end()) return fail(ErrorCode::data_loss, what + " is malformed");
  return piece;
}

}  // namespace ds::storage

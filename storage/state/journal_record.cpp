#include "storage/state/journal_record.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "storage/codec/wire.hpp"

namespace ds::storage {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kKeyBytes = 8;

}  // namespace

std::string to_record_key(std::uint64_t seq) {
  return to_big_endian(seq);
}

std::string encode_next_record(ChainEnd& end, JournalRecord::Kind kind,
                               std::span<const std::string> payload) {
  ByteWriter writer;
  writer.u8(kVersion).u8(static_cast<std::uint8_t>(kind)).raw(to_view(end.hash));
  writer.u32(static_cast<std::uint32_t>(payload.size()));
  for (const std::string& item : payload) writer.text(item);
  ++end.seq;
  std::string value = seal(to_record_key(end.seq), writer.take());
  std::copy(value.end() - static_cast<std::ptrdiff_t>(end.hash.size()), value.end(), end.hash.begin());
  return value;
}

Result<JournalRecord> decode_record(std::string_view key, std::string_view value) {
  if (key.size() != kKeyBytes) return fail(ErrorCode::data_loss, "a key that is no record number");
  JournalRecord record;
  record.seq = from_big_endian(key);
  std::string_view body;
  if (!unseal(key, value, &body))
    return fail(ErrorCode::data_loss, fmt::format("the checksum of record {} does not match", record.seq));
  std::copy(value.end() - static_cast<std::ptrdiff_t>(record.hash.size()), value.end(), record.hash.begin());
  ByteReader reader(body);
  const std::uint8_t version = reader.u8();
  if (version > kVersion)
    return fail(ErrorCode::unsupported,
                fmt::format("record {} has format {}, this program knows {}", record.seq, version, kVersion),
                "Start the newer version of the program.");
  const std::uint8_t kind = reader.u8();
  record.kind = kind == 0 ? JournalRecord::Kind::events : JournalRecord::Kind::snapshot;
  record.previous = reader.sha256();
  const std::uint32_t count = reader.u32();
  for (std::uint32_t i = 0; i < count && reader.ok(); ++i) record.payload.emplace_back(reader.text());
  const bool whole_snapshot = record.kind == JournalRecord::Kind::events || count == 1;
  if (!reader.at_end() || kind > 1 || !whole_snapshot)
    return fail(ErrorCode::data_loss, fmt::format("record {} is malformed", record.seq));
  return record;
}

}  // namespace ds::storage

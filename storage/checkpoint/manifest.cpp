#include "storage/checkpoint/manifest.hpp"

#include <fmt/format.h>

#include <bit>

#include "storage/codec/wire.hpp"

namespace ds::storage {

namespace {

constexpr std::uint8_t kVersion = 1;

Result<ByteReader> open_value(std::string_view key, std::string_view value) {
  std::string_view body;
  if (!unseal(key, value, &body)) return fail(ErrorCode::data_loss, "its checksum does not match");
  ByteReader reader(body);
  const std::uint8_t version = reader.u8();
  if (version > kVersion)
    return fail(ErrorCode::unsupported,
                fmt::format("it has format {}, this program knows {}", version, kVersion),
                "Start the newer version of the program.");
  return reader;
}

std::vector<Sha256> read_sums(ByteReader& reader, std::uint64_t count) {
  std::vector<Sha256> sums;
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) sums.push_back(reader.sha256());
  return sums;
}

}  // namespace

std::string to_manifest_key(std::string_view job, std::uint64_t step) {
  return fmt::format("m/{}/", job) + to_big_endian(step);
}

std::string to_chunk_key(const Sha256& sum) {
  return std::string("c/").append(to_view(sum));
}

std::string to_intent_key(std::uint64_t commit) {
  return "p/" + to_big_endian(commit);
}

bool parse_manifest_key(std::string_view key, std::string* job, std::uint64_t* step) {
  constexpr std::size_t kAround = 2 + 1 + 8;
  if (key.size() <= kAround || !key.starts_with("m/") || key[key.size() - 9] != '/') return false;
  *job = key.substr(2, key.size() - kAround);
  *step = from_big_endian(key.substr(key.size() - 8));
  return true;
}

std::string encode_manifest(std::string_view key, const Manifest& manifest) {
  ByteWriter writer;
  writer.u8(kVersion).u64(manifest.commit).u64(manifest.entry.step);
  writer.u64(static_cast<std::uint64_t>(manifest.entry.time_ms));
  writer.u32(static_cast<std::uint32_t>(manifest.entry.metrics.size()));
  for (const auto& [name, value] : manifest.entry.metrics)
    writer.text(name).u64(std::bit_cast<std::uint64_t>(value));
  writer.text(manifest.description);
  writer.u32(static_cast<std::uint32_t>(manifest.tensors.size()));
  for (const TensorChunks& tensor : manifest.tensors) {
    writer.text(tensor.name).u64(tensor.bytes);
    for (const Sha256& sum : tensor.chunks) writer.raw(to_view(sum));
  }
  return seal(key, writer.take());
}

Result<Manifest> decode_manifest(std::string_view key, std::string_view value) {
  auto reader = open_value(key, value);
  if (!reader) return tl::unexpected<Error>(reader.error());
  Manifest manifest;
  manifest.commit = reader->u64();
  manifest.entry.step = reader->u64();
  manifest.entry.time_ms = static_cast<std::int64_t>(reader->u64());
  const std::uint32_t metrics = reader->u32();
  for (std::uint32_t i = 0; i < metrics && reader->ok(); ++i) {
    const std::string name(reader->text());
    manifest.entry.metrics[name] = std::bit_cast<double>(reader->u64());
  }
  manifest.description = reader->text();
  const std::uint32_t tensors = reader->u32();
  for (std::uint32_t i = 0; i < tensors && reader->ok(); ++i) {
    TensorChunks tensor;
    tensor.name = reader->text();
    tensor.bytes = reader->u64();
    tensor.chunks = read_sums(*reader, count_chunks(tensor.bytes));
    manifest.entry.bytes += tensor.bytes;
    manifest.tensors.push_back(std::move(tensor));
  }
  if (!reader->at_end()) return fail(ErrorCode::data_loss, "it is malformed");
  return manifest;
}

std::string encode_intent(std::string_view key, const std::vector<Sha256>& chunks) {
  ByteWriter writer;
  writer.u8(kVersion).u64(chunks.size());
  for (const Sha256& sum : chunks) writer.raw(to_view(sum));
  return seal(key, writer.take());
}

Result<std::vector<Sha256>> decode_intent(std::string_view key, std::string_view value) {
  auto reader = open_value(key, value);
  if (!reader) return tl::unexpected<Error>(reader.error());
  std::vector<Sha256> chunks = read_sums(*reader, reader->u64());
  if (!reader->at_end()) return fail(ErrorCode::data_loss, "it is malformed");
  return chunks;
}

std::uint64_t count_chunks(std::uint64_t bytes) {
  return bytes / kChunkBytes + (bytes % kChunkBytes != 0 ? 1 : 0);
}

}  // namespace ds::storage

#include "actors/data/text_parts.hpp"

#include <fmt/format.h>

#include <utility>

namespace ds::data {

Result<TextParts> TextParts::open(std::span<const std::filesystem::path> files, storage::RecordLayout layout,
                                  const std::filesystem::path& index_directory, std::uint32_t threads) {
  const auto cache = std::make_shared<storage::PieceCache>(kTextCacheBytes);
  TextParts parts;
  for (const std::filesystem::path& path : files) {
    auto file = storage::DataFile::open(path, cache);
    if (!file) return tl::unexpected(file.error());
    auto index = storage::RecordIndex::open(**file, layout, threads, index_directory);
    if (!index) return tl::unexpected(index.error());
    parts.parts_.push_back({std::move(*file), std::move(*index)});
  }
  parts.number_records();
  return parts;
}

void TextParts::number_records() {
  size_ = 0;
  for (Part& part : parts_) {
    part.first = size_;
    size_ += part.size();
  }
}

TextParts::Place TextParts::place(std::uint64_t record) const {
  const auto after = std::ranges::upper_bound(parts_, record, {}, &Part::first);
  const Part& part = *(after - 1);
  return {part, record - part.first + part.skipped};
}

Result<std::string_view> TextParts::view(const Place& place, storage::FilePin& pin) const {
  const storage::RecordIndex::Place at = place.part.index.at(place.record);
  if (at.size > storage::RecordIndex::kMaxRecordBytes)
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}:{}: a record of more than {} MiB", place.part.file->name(), line_of(place),
                            storage::RecordIndex::kMaxRecordBytes >> 20),
                "Is a quote left open?");
  return place.part.file->view(at.offset, static_cast<std::size_t>(at.size), pin);
}

std::uint64_t TextParts::line_of(const Place& place) {
  return place.part.index.line_of(*place.part.file, place.record).value_or(0);
}

std::string TextParts::place_of(std::uint64_t record) const {
  const Place at = place(record);
  return fmt::format("{}:{}", at.part.file->name(), line_of(at));
}

Result<void> TextParts::check_unchanged(std::span<const std::uint64_t> records) const {
  if (parts_.size() == 1) return parts_.front().file->check_unchanged();
  return check_each_part(
      records,
      [&](std::uint64_t record) { return static_cast<std::size_t>(&place(record).part - parts_.data()); },
      [&](std::size_t part) { return parts_[part].file->check_unchanged(); });
}

storage::Sha256 TextParts::content() const {
  storage::Sha256Hasher hasher;
  for (const Part& part : parts_) hasher.add(storage::to_view(part.index.file_sum()));
  return hasher.finish();
}

}  // namespace ds::data

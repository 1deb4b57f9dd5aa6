#include "actors/data/text_table.hpp"

#include <bit>

namespace ds::data {

TextTable::TextTable(std::span<const std::string> texts, std::size_t first)
    : texts_(texts), slots_(std::bit_ceil(2 * texts.size() + 2)), mask_(slots_.size() - 1) {
  for (std::size_t i = first; i < texts.size(); ++i) {
    const std::uint64_t hash = hash_of(texts[i]);
    if (find(texts[i], hash) >= 0) continue;
    std::uint64_t at = hash & mask_;
    while (slots_[at].place != 0) at = (at + 1) & mask_;
    slots_[at] = {static_cast<std::uint32_t>(hash >> 32U), static_cast<std::uint32_t>(i + 1)};
  }
}

std::uint64_t TextTable::hash_of(std::string_view text) {
  std::uint64_t hash = kHashStart;
  for (const char c : text) hash = absorb(hash, static_cast<unsigned char>(c));
  return hash;
}

std::int64_t TextTable::find(std::string_view text, std::uint64_t hash) const {
  if (slots_.empty()) return -1;
  const auto tag = static_cast<std::uint32_t>(hash >> 32U);
  for (std::uint64_t at = hash & mask_; slots_[at].place != 0; at = (at + 1) & mask_) {
    if (slots_[at].tag == tag && texts_[slots_[at].place - 1] == text) return slots_[at].place - 1;
  }
  return -1;
}

}  // namespace ds::data

#include "actors/train/encoded_rows.hpp"

#include <algorithm>
#include <map>

namespace ds::train {

std::vector<std::string> distinct_labels(std::span<const std::string> labels) {
  std::vector<std::string> distinct(labels.begin(), labels.end());
  std::ranges::sort(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  return distinct;
}

EncodedRows encode_rows(const storage::LabelledText& text, const Vocabulary& vocabulary,
                        std::span<const std::string> labels, std::uint32_t length) {
  EncodedRows rows;
  rows.length = length;
  rows.words.resize(text.texts.size() * length);
  rows.labels.reserve(text.labels.size());
  for (std::size_t row = 0; row < text.texts.size(); ++row) {
    vocabulary.encode(text.texts[row], std::span(rows.words).subspan(row * length, length));
    const auto found = std::ranges::lower_bound(labels, text.labels[row]);
    const bool known = found != labels.end() && *found == text.labels[row];
    rows.labels.push_back(known ? static_cast<std::int32_t>(found - labels.begin())
                                : EncodedRows::kUnknownLabel);
  }
  return rows;
}

double majority_accuracy(const EncodedRows& training, const EncodedRows& rows) {
  std::map<std::int32_t, std::uint64_t> counts;
  for (const std::int32_t label : training.labels) ++counts[label];
  const auto most = std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
  if (most == counts.end() || rows.labels.empty()) return 0;
  return static_cast<double>(std::ranges::count(rows.labels, most->first)) / static_cast<double>(rows.size());
}

}  // namespace ds::train

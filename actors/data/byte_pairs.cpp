#include "actors/data/byte_pairs.hpp"

#include <algorithm>
#include <bit>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "actors/data/vocabulary.hpp"
#include "storage/dataset/read_meter.hpp"
#include "storage/text/utf8.hpp"

namespace ds::data {
namespace {

constexpr std::string_view kWordMark = "▁";
/// Longer words are one `<unknown>`: joining takes time with the square of the length.
constexpr std::size_t kMaxWordBytes = 256;

/// The characters of a word, the first with the mark. Bytes that are no UTF-8 count alone.
template <class Take>
void for_each_character(std::string_view word, Take&& take) {
  std::string marked(kWordMark);
  for (bool first = true; !word.empty(); first = false) {
    const std::size_t size = std::max<std::size_t>(storage::utf8_character_size(word), 1);
    const std::string_view character = word.substr(0, size);
    take(first ? std::string_view(marked.append(character)) : character);
    word.remove_prefix(size);
  }
}

std::uint64_t key_of(std::uint32_t left, std::uint32_t right) {
  return std::uint64_t{left} << 32U | right;
}

/// The state of learning: words as parts, and how often each pair of neighbours occurs.
class Learner {
 public:
  explicit Learner(const WordCounts& counts) {
    for (const auto& [word, count] : counts.ranked()) add_word(word, count);
  }

  std::vector<std::string> tokens{"<pad>", "<unknown>"};
  BytePairs::Merges merges;

  void number_characters(std::uint32_t limit) {
    // The most frequent ones first, should there be more than fit.
    std::vector<std::pair<std::string, std::uint64_t>> ranked(characters_.begin(), characters_.end());
    std::ranges::sort(ranked, [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    const std::size_t room = limit > tokens.size() ? limit - tokens.size() : 0;
    if (ranked.size() > room) ranked.resize(room);
    for (const auto& [character, count] : ranked) {
      numbers_.emplace(character, static_cast<std::uint32_t>(tokens.size()));
      tokens.push_back(character);
    }
    for (std::size_t w = 0; w < words_.size(); ++w) {
      for_each_character(words_[w].text, [&](std::string_view character) {
        const auto found = numbers_.find(std::string(character));
        words_[w].parts.push_back(found == numbers_.end() ? Vocabulary::kUnknown : found->second);
      });
      count_pairs(w, 1);
    }
    for (const auto& [pair, count] : counts_) push(pair, count);
  }

  void join_pairs(std::uint32_t limit) {
    while (tokens.size() < limit && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      if (counts_[best.pair] != best.count) continue;  // it has changed since; its new count is queued too
      if (best.count < 2) return;
      storage::ReadMeter::add(1);
      join(best.pair);
    }
  }

 private:
  struct Word {
    std::string text;
    std::int64_t count = 0;
    std::vector<std::uint32_t> parts;
  };
  struct Candidate {
    std::int64_t count = 0;
    std::uint64_t pair = 0;
    std::string left, right;
    bool operator<(const Candidate& other) const {
      if (count != other.count) return count < other.count;
      return left != other.left ? left > other.left : right > other.right;
    }
  };

  void add_word(const std::string& text, std::uint64_t count) {
    if (text.size() > kMaxWordBytes) return;
    words_.push_back({text, static_cast<std::int64_t>(count), {}});
    for_each_character(text,
                       [&](std::string_view character) { characters_[std::string(character)] += count; });
  }

  void count_pairs(std::size_t word, std::int64_t sign) {
    const Word& w = words_[word];
    for (std::size_t i = 0; i + 1 < w.parts.size(); ++i) {
      if (w.parts[i] == Vocabulary::kUnknown || w.parts[i + 1] == Vocabulary::kUnknown) continue;
      const std::uint64_t pair = key_of(w.parts[i], w.parts[i + 1]);
      counts_[pair] += sign * w.count;
      if (sign > 0) places_[pair].insert(static_cast<std::uint32_t>(word));
      touched_.push_back(pair);
    }
  }

  void push(std::uint64_t pair, std::int64_t count) {
    if (count > 0) queue_.push({count, pair, tokens[pair >> 32U], tokens[pair & UINT32_MAX]});
  }

  void join(std::uint64_t pair) {
    const auto left = static_cast<std::uint32_t>(pair >> 32U);
    const auto right = static_cast<std::uint32_t>(pair);
    merges.emplace_back(tokens[left], tokens[right]);
    // Two ways to the same token make one token.
    const auto [found, is_new] =
        numbers_.emplace(tokens[left] + tokens[right], static_cast<std::uint32_t>(tokens.size()));
    const std::uint32_t joined = found->second;
    if (is_new) tokens.push_back(found->first);
    touched_.clear();
    const auto places = std::move(places_[pair]);
    places_.erase(pair);
    for (const std::uint32_t word : places) {
      count_pairs(word, -1);
      std::vector<std::uint32_t>& parts = words_[word].parts;
      std::size_t out = 0;
      for (std::size_t i = 0; i < parts.size(); ++i) {
        const bool both = i + 1 < parts.size() && parts[i] == left && parts[i + 1] == right;
        parts[out++] = both ? joined : parts[i];
        if (both) ++i;
      }
      parts.resize(out);
      count_pairs(word, 1);
    }
    std::ranges::sort(touched_);
    touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
    for (const std::uint64_t changed : touched_) push(changed, counts_[changed]);
  }

  std::vector<Word> words_;
  std::unordered_map<std::string, std::uint64_t> characters_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::unordered_map<std::uint64_t, std::int64_t> counts_;
  std::unordered_map<std::uint64_t, std::unordered_set<std::uint32_t>> places_;
  std::vector<std::uint64_t> touched_;
  std::priority_queue<Candidate> queue_;
};

}  // namespace

BytePairs BytePairs::learn(const WordCounts& counts, std::uint32_t limit) {
  Learner learner(counts);
  learner.number_characters(limit);
  learner.join_pairs(limit);
  return BytePairs(std::move(learner.tokens), std::move(learner.merges));
}

BytePairs::BytePairs(std::vector<std::string> tokens, Merges merges)
    : tokens_(std::make_shared<const std::vector<std::string>>(std::move(tokens))),
      merges_(std::move(merges)),
      table_(*tokens_, Vocabulary::kReserved),
      pairs_(std::bit_ceil(2 * merges_.size() + 2)),
      mask_(pairs_.size() - 1) {
  for (std::size_t i = 0; i < merges_.size(); ++i) {
    const std::int64_t left = table_.find(merges_[i].first);
    const std::int64_t right = table_.find(merges_[i].second);
    const std::int64_t joined = table_.find(merges_[i].first + merges_[i].second);
    if (left < 0 || right < 0 || joined < 0) continue;  // not what `learn` gave: such a merge never applies
    const std::uint64_t pair = key_of(static_cast<std::uint32_t>(left), static_cast<std::uint32_t>(right));
    std::uint64_t at = (pair * 0x9E3779B97F4A7C15U >> 20U) & mask_;
    while (pairs_[at].rank != 0 && pairs_[at].pair != pair) at = (at + 1) & mask_;
    if (pairs_[at].rank == 0)
      pairs_[at] = {pair, static_cast<std::uint32_t>(i + 1), static_cast<std::uint32_t>(joined)};
  }
}

const BytePairs::Slot* BytePairs::find_pair(std::uint32_t left, std::uint32_t right) const {
  const std::uint64_t pair = key_of(left, right);
  for (std::uint64_t at = (pair * 0x9E3779B97F4A7C15U >> 20U) & mask_; pairs_[at].rank != 0;
       at = (at + 1) & mask_) {
    if (pairs_[at].pair == pair) return &pairs_[at];
  }
  return nullptr;
}

void BytePairs::encode_word(std::string_view word, std::vector<std::uint32_t>& parts) const {
  parts.clear();
  if (word.size() > kMaxWordBytes) {
    parts.push_back(Vocabulary::kUnknown);
    return;
  }
  for_each_character(word, [&](std::string_view character) {
    const std::int64_t found = table_.find(character);
    parts.push_back(found < 0 ? Vocabulary::kUnknown : static_cast<std::uint32_t>(found));
  });
  for (;;) {
    const Slot* best = nullptr;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const Slot* slot = find_pair(parts[i], parts[i + 1]);
      if (slot != nullptr && (best == nullptr || slot->rank < best->rank)) best = slot;
    }
    if (best == nullptr) return;
    const auto left = static_cast<std::uint32_t>(best->pair >> 32U);
    const auto right = static_cast<std::uint32_t>(best->pair);
    std::size_t out = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const bool both = i + 1 < parts.size() && parts[i] == left && parts[i + 1] == right;
      parts[out++] = both ? best->joined : parts[i];
      if (both) ++i;
    }
    parts.resize(out);
  }
}

void BytePairs::encode(std::string_view text, std::size_t most, std::vector<std::int64_t>& out) const {
  out.clear();
  std::string word;
  std::vector<std::uint32_t> parts;
  while (out.size() < most && take_word(text, word)) {
    encode_word(word, parts);
    for (const std::uint32_t part : parts) {
      if (out.size() == most) return;
      out.push_back(part);
    }
  }
}

}  // namespace ds::data

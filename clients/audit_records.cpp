#include "clients/audit_records.hpp"

#include <array>
#include <charconv>

namespace ds::clients {
namespace {

constexpr std::size_t kMostLine = std::size_t{64} << 20;
/// One bit for each of an epoch's samples is kept.
constexpr std::uint64_t kMostSamples = std::uint64_t{1} << 32;
constexpr std::uint64_t kMostRanks = std::uint64_t{1} << 20;
constexpr std::size_t kMostWords = 7;

/// A line's words; one word more than a line of a record has when there are too many.
class Words {
 public:
  explicit Words(std::string_view line) {
    while (count_ <= kMostWords) {
      const auto first = line.find_first_not_of(' ');
      if (first == std::string_view::npos) return;
      line.remove_prefix(first);
      words_[count_] = line.substr(0, line.find(' '));
      line.remove_prefix(words_[count_++].size());
    }
  }
  std::size_t count() const { return count_; }
  std::string_view operator[](std::size_t index) const { return words_[index]; }

  /// 4000 of the word `samples=4000`.
  std::optional<std::uint64_t> named(std::size_t index, std::string_view name) const {
    const std::string_view word = words_[index];
    if (!word.starts_with(name)) return {};
    return to_number(word.substr(name.size()));
  }

 private:
  std::array<std::string_view, kMostWords + 1> words_;
  std::size_t count_ = 0;
};

AuditLine parse_head(const Words& words) {
  if (words.count() != 7 || words[1] != "1" || !words[2].starts_with("job=") || !words.named(3, "worker="))
    return {};
  const auto samples = words.named(4, "samples=");
  const auto steps = words.named(5, "steps_per_epoch=");
  const auto ranks = words.named(6, "logical_ranks=");
  if (!samples || *samples == 0 || *samples > kMostSamples || !steps || *steps == 0 || *steps > *samples ||
      !ranks || *ranks == 0 || *ranks > kMostRanks)
    return {};
  return AuditHead{std::string(words[2].substr(4)), *samples, *steps, *ranks};
}

AuditLine parse_took(const Words& words) {
  if (words.count() != 6) return {};
  const auto generation = to_number(words[1]), step = to_number(words[2]), epoch = to_number(words[3]),
             rank = to_number(words[4]);
  if (!generation || !step || !epoch || !rank || *step == 0 || *epoch == 0) return {};
  return AuditTook{*step, *epoch, *rank, words[5]};
}

AuditLine parse_done(const Words& words) {
  if (words.count() != 3) return {};
  const auto generation = to_number(words[1]), step = to_number(words[2]);
  if (!generation || !step || *step == 0) return {};
  return AuditDone{*step};
}

}  // namespace

std::optional<std::uint64_t> to_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

AuditLine parse_audit_line(std::string_view line) {
  const Words words(line);
  if (words.count() == 0) return {};
  if (words[0] == "ds-audit") return parse_head(words);
  if (words[0] == "took") return parse_took(words);
  if (words[0] == "done") return parse_done(words);
  return {};
}

void AuditFile::go_to(const Place& place) {
  stream_.clear();
  stream_.seekg(static_cast<std::streamoff>(place.at));
  next_ = place;
}

std::optional<std::string_view> AuditFile::next() {
  place_ = next_;
  line_.clear();
  too_long_ = false;
  if (!stream_) return {};
  std::streambuf& bytes = *stream_.rdbuf();
  constexpr int kEnd = std::char_traits<char>::eof();
  for (int byte = bytes.sbumpc(); byte != kEnd; byte = bytes.sbumpc()) {
    ++next_.at;
    if (byte == '\n') {
      ++next_.line;
      return line_;
    }
    if (line_.size() >= kMostLine) {
      too_long_ = true;
      line_.clear();
    }
    if (!too_long_) line_.push_back(static_cast<char>(byte));
  }
  return {};
}

}  // namespace ds::clients

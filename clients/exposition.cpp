#include "clients/exposition.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

namespace ds::clients {
namespace {

struct Family {
  std::string type, help;
};

void skip_blanks(std::string_view& text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
}

/// What stands before any of `ends`, cut off the text.
std::string take_until(std::string_view& text, std::string_view ends) {
  const std::size_t end = std::min(text.find_first_of(ends), text.size());
  const std::string word(text.substr(0, end));
  text.remove_prefix(end);
  return word;
}

bool take(std::string_view& text, char c) {
  skip_blanks(text);
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

/// A label's value, after its opening quote.
std::optional<std::string> take_quoted(std::string_view& text) {
  std::string value;
  while (!text.empty()) {
    char c = text.front();
    text.remove_prefix(1);
    if (c == '"') return value;
    if (c == '\\') {
      if (text.empty()) return std::nullopt;
      c = text.front() == 'n' ? '\n' : text.front();
      text.remove_prefix(1);
    }
    value += c;
  }
  return std::nullopt;
}

std::optional<std::map<std::string, std::string>> take_labels(std::string_view& text) {
  std::map<std::string, std::string> labels;
  if (!take(text, '{')) return labels;
  while (!take(text, '}')) {
    skip_blanks(text);
    const std::string name = take_until(text, "= \t");
    if (name.empty() || !take(text, '=') || !take(text, '"')) return std::nullopt;
    auto value = take_quoted(text);
    if (!value) return std::nullopt;
    labels[name] = *std::move(value);
    if (!take(text, ',') && (text.empty() || text.front() != '}')) return std::nullopt;
  }
  return labels;
}

std::optional<Sample> read_sample(std::string_view line) {
  Sample sample;
  sample.name = take_until(line, "{ \t");
  auto labels = take_labels(line);
  if (sample.name.empty() || !labels) return std::nullopt;
  sample.labels = *std::move(labels);
  skip_blanks(line);
  const std::string number = take_until(line, " \t");  // a time may follow
  char* end = nullptr;
  sample.value = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0') return std::nullopt;
  return sample;
}

/// Of a histogram or a summary the samples have longer names than the family.
const Family* find_family(const std::map<std::string, Family>& families, const std::string& name) {
  if (const auto found = families.find(name); found != families.end()) return &found->second;
  for (const std::string_view ending : {"_bucket", "_sum", "_count"}) {
    if (!name.ends_with(ending)) continue;
    const auto found = families.find(name.substr(0, name.size() - ending.size()));
    if (found != families.end()) return &found->second;
  }
  return nullptr;
}

}  // namespace

std::vector<Sample> read_exposition(std::string_view text) {
  std::vector<Sample> samples;
  std::map<std::string, Family> families;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    skip_blanks(line);
    if (line.starts_with('#')) {
      line.remove_prefix(1);
      skip_blanks(line);
      const std::string word = take_until(line, " \t");
      skip_blanks(line);
      const std::string name = take_until(line, " \t");
      skip_blanks(line);
      if (word == "TYPE") families[name].type = line;
      if (word == "HELP") families[name].help = line;
    } else if (auto sample = read_sample(line)) {
      if (const auto* family = find_family(families, sample->name)) {
        sample->type = family->type;
        sample->help = family->help;
      }
      samples.push_back(*std::move(sample));
    }
  }
  return samples;
}

}  // namespace ds::clients

#include "clients/yaml_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

namespace ds::clients {
namespace {

using nlohmann::json;

/// Texts that some reader takes for something else.
constexpr auto kWords = std::to_array<std::string_view>(
    {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"});

/// Whether the text may stand as it is: an identifier, a path or some words.
bool is_plain(std::string_view text) {
  const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  const auto is_safe = [&](char c) {
    return is_letter(c) || std::isdigit(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-./ ").find(c) != std::string_view::npos;
  };
  if (text.empty() || !(is_letter(text.front()) || text.front() == '/' || text.front() == '_')) return false;
  if (text.back() == ' ' || !std::ranges::all_of(text, is_safe)) return false;
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::find(kWords, lower) == kWords.end();
}

/// Readers of YAML 1.1 don't take these as they are, and terminals obey some: U+007F to U+009F, the
/// separators of lines and paragraphs, and the byte order mark. `text` is UTF-8.
std::string escape_unprintable(const std::string& text) {
  static constexpr auto kMarks = std::to_array<std::pair<std::string_view, std::string_view>>(
      {{"\xe2\x80\xa8", "\\u2028"}, {"\xe2\x80\xa9", "\\u2029"}, {"\xef\xbb\xbf", "\\ufeff"}});
  std::string out;
  for (std::string_view rest = text; !rest.empty();) {
    const auto mark =
        std::ranges::find_if(kMarks, [&](const auto& one) { return rest.starts_with(one.first); });
    const auto second = rest.size() > 1 ? static_cast<unsigned char>(rest[1]) : 0U;
    if (mark != kMarks.end()) {
      out += mark->second;
      rest.remove_prefix(mark->first.size());
    } else if (rest[0] == '\x7f') {
      out += "\\u007f";
      rest.remove_prefix(1);
    } else if (rest[0] == '\xc2' && second >= 0x80 && second <= 0x9f) {
      out += fmt::format("\\u{:04x}", second);
      rest.remove_prefix(2);
    } else {
      out += rest[0];
      rest.remove_prefix(1);
    }
  }
  return out;
}

/// JSON's quotes are YAML's double quotes. A number with an exponent is a text for YAML 1.1 when it has no
/// dot.
std::string scalar_text(const json& value) {
  if (value.is_string() && is_plain(value.get_ref<const std::string&>())) return value;
  std::string text = escape_unprintable(value.dump(-1, ' ', false, json::error_handler_t::replace));
  if (const auto exponent = text.find('e');
      value.is_number() && exponent != std::string::npos && text.find('.') == std::string::npos)
    text.insert(exponent, ".0");
  return text;
}

void write(const json& value, std::size_t indent, std::string& out) {
  const std::string margin(indent, ' ');
  const auto write_child = [&](const json& child, bool in_list) {
    if (!child.is_structured() || child.empty()) {
      out += " " + scalar_text(child) + "\n";
    } else if (in_list) {  // the first line stands behind the dash
      std::string inner;
      write(child, indent + 2, inner);
      out += " " + inner.substr(indent + 2);
    } else {
      out += "\n";
      write(child, indent + 2, out);
    }
  };
  if (value.is_array() && !value.empty()) {
    for (const json& item : value) {
      out += margin + "-";
      write_child(item, true);
    }
  } else if (value.is_object() && !value.empty()) {
    for (const auto& [key, item] : value.items()) {
      out += margin + scalar_text(json(key)) + ":";
      write_child(item, false);
    }
  } else {
    out += margin + scalar_text(value) + "\n";
  }
}

}  // namespace

std::string to_yaml(const json& document) {
  std::string out;
  write(document, 0, out);
  return out;
}

}  // namespace ds::clients

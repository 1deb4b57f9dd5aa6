#include "scheduler/spec/yaml_text.hpp"

#include <cstddef>
#include <string_view>

namespace ds::scheduler {
namespace {

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// Whether `text` means itself without quotes. Rather too strict: it is a number, a duration or a word then.
bool is_plain(std::string_view text) {
  if (text.empty() || text.back() == ' ' || text.back() == ':') return false;
  const bool has_sign = text.size() > 1 && (text[0] == '-' || text[0] == '+');
  const char first = text[has_sign ? 1 : 0];
  if (!is_letter_or_digit(first) && first != '.') return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_letter_or_digit(text[i]) && std::string_view("._+-/: ").find(text[i]) == std::string_view::npos)
      return false;
    if (text[i] == ':' && text[i + 1] == ' ') return false;
  }
  return true;
}

std::string in_quotes(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (byte < 0x20U || byte == 0x7FU) {
      quoted += "\\x";
      quoted += "0123456789abcdef"[byte >> 4U];
      quoted += "0123456789abcdef"[byte & 0xFU];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

/// A value that stands on the line of its key.
std::string line_value(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null:
      return "null";
    case YamlNode::Kind::scalar:
      return !node.is_quoted && is_plain(node.text) ? node.text : in_quotes(node.text);
    case YamlNode::Kind::sequence:
      return "[]";
    case YamlNode::Kind::mapping:
      return "{}";
  }
  return {};
}

void write(const YamlNode& node, std::size_t indent, std::string& out) {
  const auto write_value = [&](const YamlNode& value) {
    if (value.items.empty() && value.entries.empty()) {
      out += " " + line_value(value) + "\n";
    } else {
      out += "\n";
      write(value, indent + 2, out);
    }
  };
  for (const YamlEntry& entry : node.entries) {
    out += std::string(indent, ' ') + (is_plain(entry.key) ? entry.key : in_quotes(entry.key)) + ":";
    write_value(entry.value);
  }
  for (const YamlNode& item : node.items) {
    out += std::string(indent, ' ') + "-";
    write_value(item);
  }
}

}  // namespace

std::string to_yaml_text(const YamlNode& root) {
  if (root.items.empty() && root.entries.empty()) return line_value(root) + "\n";
  std::string text;
  write(root, 0, text);
  return text;
}

}  // namespace ds::scheduler

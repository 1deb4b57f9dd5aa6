#include "scheduler/spec/yaml_document.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "scheduler/spec/line_index.hpp"
#include "scheduler/spec/syntax_hint.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

/// Stops the parser from inside its callbacks; never leaves this file.
struct Refusal {
  SpecError error;
};

bool is_inside(const YAML::Mark& mark) {
  return mark.line >= 0 && mark.column >= 0;
}

Mark mark_at(const LineIndex& lines, const YAML::Mark& mark) {
  if (!is_inside(mark)) return {};
  return lines.at(static_cast<std::size_t>(mark.line), static_cast<std::size_t>(mark.column));
}

/// Whether a null found at `mark` was written there, and is not the absence of a value before the next token.
bool names_null(const LineIndex& lines, const YAML::Mark& mark) {
  if (!is_inside(mark)) return false;
  const auto rest =
      lines.text_from(static_cast<std::size_t>(mark.line), static_cast<std::size_t>(mark.column));
  return rest.starts_with('~') || rest.starts_with('n') || rest.starts_with('N');
}

/// Builds the tree out of the parser's events, and refuses what job files do without before any of it is
/// stored.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(const LineIndex& lines, std::string_view file_kind) : lines_(lines), file_kind_(file_kind) {}

  std::optional<YamlNode> take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1)
      refuse(mark_at(lines_, mark), file_kind_ + " holds one document, this is a second one",
             "remove it, or check the indentation");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    YamlNode node;
    node.mark = mark_at(lines_, mark);
    const bool has_key = !open_.empty() && open_.back().key.has_value();
    if (has_key && (!names_null(lines_, mark) || node.mark.line != open_.back().key_mark.line)) {
      node.mark = open_.back().key_mark;
    }
    add(std::move(node));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    refuse(mark_at(lines_, mark), "aliases (*name) are not allowed in " + file_kind_, "write the value out");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    if (!tag.empty() && tag != "?" && tag != "!") refuse_tag(mark);
    YamlNode node;
    node.kind = YamlNode::Kind::scalar;
    node.mark = mark_at(lines_, mark);
    node.text = value;
    node.is_quoted = tag == "!";
    add(std::move(node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::sequence, mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::Kind::mapping, mark, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    YamlNode node;
    std::optional<std::string> key;  ///< of a mapping: the key whose value comes next
    Mark key_mark;
  };

  [[noreturn]] static void refuse(Mark mark, std::string message, std::string hint = {}) {
    throw Refusal{{"", mark, std::move(message), std::move(hint)}};
  }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) const {
    if (anchor != 0)
      refuse(mark_at(lines_, mark), "anchors (&name) are not allowed in " + file_kind_,
             "write the value out");
  }
  [[noreturn]] void refuse_tag(const YAML::Mark& mark) const {
    refuse(mark_at(lines_, mark), "tags (!name) are not allowed in " + file_kind_, "remove the tag");
  }

  void open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    refuse_anchor(mark, anchor);
    if (!tag.empty() && tag != "?") refuse_tag(mark);
    if (!open_.empty() && expects_key(open_.back())) refuse_key(mark_at(lines_, mark));
    // The parser recurses for each level, so going on would end in a stack overflow.
    if (open_.size() >= static_cast<std::size_t>(kMaxYamlDepth)) {
      refuse(mark_at(lines_, mark), "more than " + std::to_string(kMaxYamlDepth) + " levels of nesting");
    }
    Frame frame;
    frame.node.kind = kind;
    frame.node.mark = mark_at(lines_, mark);
    open_.push_back(std::move(frame));
  }

  void close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node));
  }

  static bool expects_key(const Frame& frame) {
    return frame.node.kind == YamlNode::Kind::mapping && !frame.key.has_value();
  }
  [[noreturn]] static void refuse_key(Mark mark) {
    refuse(mark, "expected a name before the colon", "a name is plain text; is a [ or { not closed?");
  }

  void add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = open_.back();
    if (frame.node.kind == YamlNode::Kind::sequence) {
      frame.node.items.push_back(std::move(node));
    } else if (!frame.key.has_value()) {
      if (node.kind != YamlNode::Kind::scalar) refuse_key(node.mark);
      frame.key = std::move(node.text);
      frame.key_mark = node.mark;
    } else {
      frame.node.entries.push_back({std::move(*frame.key), frame.key_mark, std::move(node)});
      frame.key.reset();
    }
  }

  const LineIndex& lines_;
  std::string file_kind_;
  std::vector<Frame> open_;
  std::optional<YamlNode> root_;
  int documents_ = 0;
};

SpecError to_spec_error(const YAML::Exception& error, const LineIndex& lines) {
  // The parser quotes single bytes of the file, which may be half a character.
  const bool is_safe = !find_invalid_utf8(error.msg) && !has_control_character(error.msg, false);
  const std::string_view line = is_inside(error.mark)
                                    ? lines.text_from(static_cast<std::size_t>(error.mark.line), 0)
                                    : std::string_view{};
  return {"", mark_at(lines, error.mark),
          "YAML syntax error: " + (is_safe ? error.msg : to_quoted(error.msg)),
          hint_for_syntax(error.msg, line)};
}

/// What is wrong with the bytes themselves. Byte 4 among them: yaml-cpp takes it for the end of the file.
std::optional<SpecError> find_bad_byte(std::string_view text, const LineIndex& lines,
                                       std::string_view file_kind) {
  if (text.size() > kMaxYamlBytes) {
    return SpecError{"",
                     {1, 1},
                     std::string(file_kind) + " may have " + std::to_string(kMaxYamlBytes) +
                         " bytes, this one has " + std::to_string(text.size()),
                     ""};
  }
  const auto control = std::find_if(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20U && c != '\t' && c != '\n' && c != '\r') || byte == 0x7FU;
  });
  const std::size_t offset = static_cast<std::size_t>(control - text.begin());
  const std::size_t invalid = find_invalid_utf8(text).value_or(text.size());
  if (invalid < offset) {
    return SpecError{"", lines.at_offset(invalid), "the file is not UTF-8 here", "save it as UTF-8"};
  }
  if (control == text.end()) return std::nullopt;
  if (*control == '\0') return SpecError{"", lines.at_offset(offset), "a NUL byte is not allowed", ""};
  return SpecError{"", lines.at_offset(offset),
                   "control character " + to_quoted(text.substr(offset, 1)) + " is not allowed", ""};
}

}  // namespace

std::variant<YamlNode, SpecError> parse_yaml(std::string_view text, std::string_view file_kind) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const LineIndex lines(text);
  if (auto error = find_bad_byte(text, lines, file_kind)) return *std::move(error);
  TreeBuilder builder(lines, file_kind);
  try {
    // A quote that is never closed is an error to yaml-cpp 0.7 only if the file does not end in a line's end.
    std::istringstream stream{std::string(text) + "\n#"};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (Refusal& refusal) {
    return std::move(refusal.error);
  } catch (const YAML::Exception& error) {
    return to_spec_error(error, lines);
  } catch (const std::exception& error) {
    return SpecError{"", {}, std::string("YAML syntax error: ") + error.what(), ""};
  }
  if (auto root = builder.take_root()) return *std::move(root);
  return SpecError{"", {1, 1}, "the file is empty: expected " + std::string(file_kind), ""};
}

}  // namespace ds::scheduler

#include <utility>

#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/section.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

/// The message for a text that is no number of the range; `range` continues "expected a number".
std::string explain(NumberFault fault, const YamlNode& node, const std::string& range) {
  const std::string got = ", got " + describe(node);
  switch (fault) {
    case NumberFault::not_whole:
      return "expected a whole number" + got;
    case NumberFault::octal:
      return "expected a number without leading zeros" + got;
    case NumberFault::not_finite:
      return "expected a finite number" + got;
    case NumberFault::out_of_range:
      return "expected a number " + range + got;
    case NumberFault::none:
    case NumberFault::not_a_number:
      break;
  }
  return "expected a number" + got;
}

/// The fault of `node` before its text is looked at.
NumberFault fault_of_kind(const YamlNode& node) {
  return node.kind == YamlNode::Kind::scalar && !node.is_quoted ? NumberFault::none
                                                                : NumberFault::not_a_number;
}

std::string hint_for(const YamlNode& node) {
  const bool is_number = parse_real(node.text).fault == NumberFault::none;
  return node.is_quoted && is_number ? "remove the quotes" : "";
}

}  // namespace

std::optional<std::uint64_t> read_whole(const YamlNode& node, const std::string& path, WholeRange range,
                                        Findings& findings) {
  ParsedNumber<std::uint64_t> number{0, fault_of_kind(node)};
  if (number.fault == NumberFault::none) number = parse_whole(node.text);
  if (number.fault == NumberFault::none && (number.value < range.low || number.value > range.high)) {
    number.fault = NumberFault::out_of_range;
  }
  if (number.fault == NumberFault::none) return number.value;
  const std::string words = "from " + std::to_string(range.low) + " to " + std::to_string(range.high);
  findings.add_error(path, node.mark, explain(number.fault, node, words), hint_for(node));
  return std::nullopt;
}

std::optional<double> read_real(const YamlNode& node, const std::string& path, RealRange range,
                                Findings& findings) {
  ParsedNumber<double> number{0, fault_of_kind(node)};
  if (number.fault == NumberFault::none) number = parse_real(node.text);
  if (number.fault == NumberFault::none) {
    const bool too_low = range.low_open ? number.value <= range.low : number.value < range.low;
    const bool too_high = range.high_open ? number.value >= range.high : number.value > range.high;
    if (too_low || too_high) number.fault = NumberFault::out_of_range;
  }
  if (number.fault == NumberFault::none) return number.value;
  findings.add_error(path, node.mark, explain(number.fault, node, std::string(range.words)), hint_for(node));
  return std::nullopt;
}

std::optional<std::string> read_text(const YamlNode& node, const std::string& path, TextRule rule,
                                     Findings& findings) {
  std::string message;
  if (node.kind != YamlNode::Kind::scalar) {
    message = "expected text, got " + describe(node);
  } else if (node.text.empty() && !rule.may_be_empty) {
    message = "expected text, got \"\"";
  } else if (node.text.size() > rule.max_bytes) {
    message = "expected at most " + std::to_string(rule.max_bytes) + " bytes, got " +
              std::to_string(node.text.size());
  } else if (has_control_character(node.text, rule.may_have_lines)) {
    message = "control characters are not allowed, got " + describe(node);
  } else {
    return node.text;
  }
  findings.add_error(path, node.mark, std::move(message));
  return std::nullopt;
}

std::optional<std::string> read_choice(const YamlNode& node, const std::string& path,
                                       std::span<const Known> choices, Findings& findings) {
  const bool is_scalar = node.kind == YamlNode::Kind::scalar;
  const Known* known = is_scalar ? find_known(node.text, choices) : nullptr;
  const std::string names = list_names(choices);
  if (known == nullptr) {
    const bool several = names.find(',') != std::string::npos;
    const std::string hint = is_scalar ? suggest(node.text, choices) : "";
    findings.add_error(
        path, node.mark,
        "expected " + std::string(several ? "one of " : "") + names + ", got " + describe(node),
        hint.starts_with("known") ? "" : hint);
    return std::nullopt;
  }
  if (known->support == Known::Support::not_yet) {
    findings.add_unsupported(path, node.mark, to_quoted(node.text) + " is not supported by this version yet",
                             "use " + names);
  }
  return node.text;
}

std::string describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::null:
      return "nothing";
    case YamlNode::Kind::sequence:
      return "a list";
    case YamlNode::Kind::mapping:
      return "a mapping";
    case YamlNode::Kind::scalar:
      break;
  }
  const NumberFault fault = parse_real(node.text).fault;
  const bool is_number = fault == NumberFault::none || fault == NumberFault::out_of_range ||
                         fault == NumberFault::octal || fault == NumberFault::not_finite;
  const bool fits_a_message = node.text.size() <= 40;
  return is_number && !node.is_quoted && fits_a_message ? node.text : to_quoted(node.text);
}

}  // namespace ds::scheduler

#include "clients/event_view.hpp"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "clients/json_fields.hpp"
#include "clients/printable.hpp"
#include "clients/time_text.hpp"
#include "clients/word_list.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

/// `node-1 (2), node-2 (1) and others`
std::string format_places(const json& event) {
  std::string text;
  std::int64_t named = 0;
  const auto& nodes = array_at(event, "nodes");
  for (const auto& node : nodes) {
    text += (text.empty() ? "" : ", ") + text_at(node, "node");
    const auto workers = integer_at(node, "workers");
    if (nodes.size() > 1) text += fmt::format(" ({})", workers);
    named += workers;
  }
  return text + (named < integer_at(event, "workers") ? " and others" : "");
}

/// `4,993 nodes, a, b and others`
std::string format_nodes_of(const json& event) {
  std::vector<std::string> names;
  for (const auto& node : array_at(event, "nodes")) names.push_back(text_at(node, "node"));
  const auto count = integer_at(event, "nodes_count");
  if (count == 0) return "node " + format_places(event);
  const bool has_others = static_cast<std::int64_t>(names.size()) < count;
  return fmt::format("{} nodes, {}{}", format_count(count), join_words(names),
                     has_others ? " and others" : "");
}

std::string format_workers(const json& event) {
  const auto count = integer_at(event, "workers");
  if (count == 0) return "a worker";
  return fmt::format("{} worker{} on {}", count, count == 1 ? "" : "s", format_places(event));
}

std::string format_what(const json& event) {
  const std::string what = text_at(event, "what");
  std::string value = text_at(event, "value");
  static const std::map<std::string, std::string> kOfWorkers{
      {"placed", "placed"}, {"told_to_leave", "told to leave"}, {"left", "gone"}, {"crashed", "crashed"}};
  if (const auto found = kOfWorkers.find(what); found != kOfWorkers.end())
    return format_workers(event) + " " + found->second;
  if (what == "state") return value;
  if (what == "deadline_promised") return "its deadline " + value + " is promised";
  if (what == "promise_broken") return "its deadline can no longer be kept for certain";
  if (what == "deadline_missed") return "its deadline is missed";
  if (what == "ended_late") return "missed its deadline by " + value;
  if (what == "head_started") return "the head was started, version " + value;
  if (what == "time_limit") return "its time limit is over";
  std::string text = what + (value.empty() ? "" : " " + value);
  for (char& c : text) c = c == '_' ? ' ' : c;
  if (!array_at(event, "nodes").empty()) text = format_nodes_of(event) + ": " + text;
  return text;
}

}  // namespace

std::string format_event(const json& event, bool with_job) {
  std::string line = format_time(integer_at(event, "at_ms")) + "  ";
  if (const std::string job = text_at(event, "job"); with_job && !job.empty()) line += job + "  ";
  const std::string what = format_what(event), why = text_at(event, "why");
  line += what;
  if (!why.empty() && why != what) line += ": " + why;
  return printable_line(line) + "\n";
}

}  // namespace ds::clients

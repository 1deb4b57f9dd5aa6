#include "clients/usage_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <vector>

#include "clients/json_fields.hpp"
#include "clients/printable.hpp"
#include "clients/text_table.hpp"
#include "clients/time_text.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

constexpr const char* kUnits =
    "a slot-hour is one slot for one hour, from its worker's grant until the worker is gone; GPUs and memory "
    "likewise\n";

std::optional<std::int64_t> parse_day(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t length) {
    int value = -1;
    const char* end = text.data() + at + length;
    const auto [last, error] = std::from_chars(text.data() + at, end, value);
    return error == std::errc{} && last == end ? value : -1;
  };
  const int year = number(0, 4), month = number(5, 2), day = number(8, 2);
  if (year < 1970 || month < 0 || day < 0) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return std::chrono::milliseconds(std::chrono::sys_days(date).time_since_epoch()).count();
}

Cell hours(const json& use, const char* field) {
  const auto value = number_at(use, field);
  return {value ? fmt::format("{:.2f}", *value) : "-", Colour::none, true};
}

std::vector<Cell> hours_of(const json& use) {
  return {hours(use, "slot_hours"), hours(use, "gpu_hours"), hours(use, "memory_gib_hours")};
}

void append(std::vector<Cell>& row, std::vector<Cell> more) {
  std::ranges::move(more, std::back_inserter(row));
}

}  // namespace

std::optional<std::int64_t> parse_since(std::string_view text, std::int64_t now_ms) {
  if (const auto age = parse_duration(text)) return std::max<std::int64_t>(1, now_ms - age->count());
  return parse_day(text);
}

std::string format_usage(const json& usage, bool coloured) {
  const auto since_ms = integer_at(usage, "since_ms"), counted_ms = integer_at(usage, "counted_since_ms");
  if (counted_ms == 0) return "no job has had a worker yet\n";
  if (array_at(usage, "queues").empty()) {
    const auto tenant = printable_line(text_at(usage, "tenant"));
    const auto who = tenant.empty() ? "nobody had a" : "tenant " + tenant + " had no";
    return fmt::format("{} worker from {} to {}; ds-submit tenants lists the tenants' queues\n", who,
                       format_time(since_ms), format_time(integer_at(usage, "until_ms")));
  }
  std::vector<std::vector<Cell>> rows;
  for (const auto& queue : array_at(usage, "queues")) {
    const auto others = queue.find("others");
    const bool is_rest = others != queue.end() && *others == true;
    rows.push_back({{is_rest ? "(others)" : text_at(queue, "tenant")}, {text_at(queue, "queue")}});
    append(rows.back(), hours_of(queue));
  }
  rows.push_back({{"together"}, {""}});
  append(rows.back(), hours_of(usage.value("total", json::object())));
  return format_table({"TENANT", "QUEUE", "SLOT-HOURS", "GPU-HOURS", "MEMORY GIB-HOURS"}, rows, coloured) +
         fmt::format("from {}{} to {}; {}", format_time(since_ms),
                     since_ms == counted_ms ? ", when counting began," : "",
                     format_time(integer_at(usage, "until_ms")), kUnits);
}

json used_by_jobs(const json& jobs, std::optional<std::int64_t> since_ms) {
  json used = json::array();
  for (const auto& job : jobs) {
    const auto ended_ms = integer_at(job, "ended_ms");
    if (number_at(job, "use.memory_gib_hours").value_or(0) <= 0) continue;
    if (since_ms && ended_ms != 0 && ended_ms < *since_ms) continue;
    json one = job.at("use");
    for (const char* field :
         {"id", "name", "kind", "tenant", "queue", "state", "submitted_ms", "started_ms", "ended_ms"})
      one[field] = job.value(field, json(nullptr));
    used.push_back(std::move(one));
  }
  std::stable_sort(used.begin(), used.end(), [](const json& a, const json& b) {
    return number_at(a, "slot_hours").value_or(0) > number_at(b, "slot_hours").value_or(0);
  });
  return used;
}

std::string format_job_usage(const json& jobs, bool coloured) {
  if (jobs.empty()) return "no such job has had a worker\n";
  std::vector<std::vector<Cell>> rows;
  for (const auto& job : jobs) {
    const auto state = text_at(job, "state");
    rows.push_back({{printable_line(text_at(job, "id"))},
                    {printable_line(text_at(job, "tenant"))},
                    {printable_line(text_at(job, "queue"))},
                    {state, colour_of_state(state)}});
    append(rows.back(), hours_of(job));
  }
  return format_table({"JOB", "TENANT", "QUEUE", "STATE", "SLOT-HOURS", "GPU-HOURS", "MEMORY GIB-HOURS"},
                      rows, coloured) +
         "of each job all that it has used since its submission; " + kUnits;
}

}  // namespace ds::clients

// Commands that watch what happens: `events` and `wait`.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "clients/api_client.hpp"
#include "clients/commands.hpp"
#include "clients/event_view.hpp"
#include "clients/failure.hpp"
#include "clients/follow.hpp"
#include "clients/interrupt.hpp"
#include "clients/json_fields.hpp"
#include "clients/printable.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFirstPause{20}, kPause{300};  // it doubles: short jobs end soon

std::string name_of(const json& job) {
  return printable_line(text_at(job, "name") + " " + text_at(job, "id"));
}

/// Whether one of the events is that the job came into that state.
bool has_state(const json& events, const std::string& state) {
  return std::ranges::any_of(array_at(events, "events"), [&](const json& event) {
    return text_at(event, "what") == "state" && text_at(event, "value") == state;
  });
}

/// Asks for a job again and again until what is wanted of it is there, it can't come any more, or it takes
/// too long.
class Wait {
 public:
  Wait(const CommandContext& context, std::string wanted, std::optional<milliseconds> timeout)
      : context_(context),
        api_(find_head(context.head)),
        wanted_(std::move(wanted)),
        begin_(steady_clock::now()) {
    if (timeout) until_ = begin_ + *timeout;
  }

  /// The job as it is then.
  json run(const std::string& job) {
    const json first = ask(job_path(job));
    const std::string path = job_path(text_at(first, "id"));  // another may get its name meanwhile
    if (wanted_ != "done") last_ = integer_at(ask(path + "/events"), "last");
    auto pause = kFirstPause;
    for (json now = first;; now = ask(path)) {
      if (is_there(path, now)) return now;
      const auto left = until_ ? *until_ - steady_clock::now() : steady_clock::duration(kPause);
      if (left <= steady_clock::duration::zero()) throw too_late(now);
      std::this_thread::sleep_for(std::min<steady_clock::duration>(pause, left));
      pause = std::min(kPause, pause * 2);
    }
  }

 private:
  json ask(const std::string& path) {
    auto patience = context_.patience;
    if (until_) {
      const auto left = std::chrono::ceil<std::chrono::seconds>(*until_ - steady_clock::now());
      patience = std::clamp(left, std::chrono::seconds(0), patience);
    }
    return ask_with_patience(api_.head(), patience, [&] { return api_.get(path); });
  }

  bool is_there(const std::string& path, const json& job) {
    const std::string state = text_at(job, "state");
    if (wanted_ == "done") return is_end_state(state);
    if (state == wanted_) return true;
    // It may have been there between two looks.
    const json events = ask(path + fmt::format("/events?after={}", last_));
    if (has_state(events, wanted_)) return true;
    last_ = integer_at(events, "last", last_);
    if (!is_end_state(state)) return false;
    throw Failure(exit_code_for_end(state), "conflict",
                  fmt::format("{} is {} and was not {} before", name_of(job), state, wanted_),
                  "ds-submit events " + text_at(job, "id") + " shows what happened");
  }

  static ExitCode exit_code_for_end(const std::string& state) {
    return state == "SUCCEEDED" ? ExitCode::not_finished : exit_code_for_state(state);
  }

  Failure too_late(const json& job) const {
    const auto waited = std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - begin_);
    return {ExitCode::timed_out, "deadline_exceeded",
            fmt::format("{} is {} after {} s", name_of(job), text_at(job, "state"), waited.count()),
            "the job goes on; ds-submit why " + text_at(job, "id") + " says what it waits for"};
  }

  const CommandContext& context_;
  ApiClient api_;
  std::string wanted_;
  steady_clock::time_point begin_;
  std::optional<steady_clock::time_point> until_;
  std::int64_t last_ = 0;  ///< number of the newest event that was looked at
};

}  // namespace

ExitCode show_events(const CommandContext& context, const std::string& job, bool follow) {
  if (follow && context.json) {
    throw Failure(ExitCode::usage, "usage", "events that are followed are lines, not one document",
                  "leave -f or -o out");
  }
  const bool is_all = job.empty();
  std::string path = is_all ? "/api/v1/events" : job_path(job, "/events");
  ApiClient api(find_head(context.head));
  const auto patience = follow ? context.patience : std::chrono::seconds(0);
  for (std::string query;;) {
    const json page = ask_with_patience(api.head(), patience, [&] { return api.get(path + query); });
    if (context.json) {
      write_document(context, page);
      return ExitCode::done;
    }
    const auto missed = page.find("missed");
    if (missed != page.end() && missed->is_boolean() && missed->get<bool>())
      write_err("there were more events before these, which the head does not keep\n");
    for (const auto& event : array_at(page, "events")) write_out(format_event(event, is_all));
    if (!follow || is_end_state(text_at(page, "state"))) return ExitCode::done;
    query = fmt::format("?after={}", integer_at(page, "last"));
    std::this_thread::sleep_for(kPause);
  }
}

ExitCode wait_for_job(const CommandContext& context, const std::string& job, const std::string& wanted,
                      std::optional<milliseconds> timeout) {
  set_interrupt_message("\ninterrupted; the job goes on\n");
  const json found = Wait(context, wanted, timeout).run(job);
  set_interrupt_message("");
  if (context.json) {
    write_document(context, found);
  } else {
    write_out(name_of(found) + ": " + printable_line(text_at(found, "state")) + "\n");
  }
  return wanted == "done" ? exit_code_for_state(text_at(found, "state")) : ExitCode::done;
}

}  // namespace ds::clients

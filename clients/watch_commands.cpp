// Commands that watch what happens: `events` and `wait`.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "clients/api_client.hpp"
#include "clients/commands.hpp"
#include "clients/event_view.hpp"
#include "clients/failure.hpp"
#include "clients/follow.hpp"
#include "clients/interrupt.hpp"
#include "clients/job_view.hpp"
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
    const std::string what = text_at(event, "what");
    if (state == "QUEUED" && (what == "submitted" || what == "retry")) return true;
    return what == "state" && text_at(event, "value") == state;
  });
}

bool has_missed(const json& page) {
  const auto missed = page.find("missed");
  return missed != page.end() && missed->is_boolean() && missed->get<bool>();
}

/// Asks what happened to a job again and again until what is wanted of it is there, it can't come any more,
/// or it takes too long.
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
    job_ = ask(job_path(job));
    const std::string id = text_at(job_, "id");  // another may get its name meanwhile
    set_interrupt_message(fmt::format("\ninterrupted; the job goes on\n{}", ways_back(printable_line(id))));
    const std::string path = job_path(id);
    json page = ask(path + "/events");
    for (auto pause = kFirstPause;; pause = std::min(kPause, pause * 2)) {
      if (is_there(page)) {
        json now = ask(path);
        // It may have been tried again since.
        if (wanted_ != "done" || is_end_state(text_at(now, "state"))) return now;
      }
      const auto left = until_ ? *until_ - steady_clock::now() : steady_clock::duration(kPause);
      if (left <= steady_clock::duration::zero()) throw too_late(text_at(page, "state"));
      say_once();
      std::this_thread::sleep_for(std::min<steady_clock::duration>(pause, left));
      page = ask(path + fmt::format("/events?after={}", integer_at(page, "last")));
    }
  }

 private:
  /// Whoever looks on knows that nothing hangs.
  void say_once() {
    if (context_.json || std::exchange(has_said_, true)) return;
    write_err(fmt::format("waits until {} is {}; Ctrl-C leaves it running\n", name_of(job_), wanted_));
  }

  json ask(const std::string& path) {
    if (!until_)
      return ask_with_patience(api_.head(), context_.patience,
                               [&](auto limit) { return api_.get(path, limit); });
    const auto left = std::chrono::ceil<milliseconds>(*until_ - steady_clock::now());
    const auto patience = std::clamp(left, milliseconds(0), milliseconds(context_.patience));
    return ask_with_patience(api_.head(), patience, [&](auto limit) {
      return api_.get(path, std::min(limit, answer_time_until(*until_)));
    });
  }

  /// What happened and the state it led to stand in one page, so that nothing is between them.
  bool is_there(const json& page) {
    const std::string state = text_at(page, "state");
    const bool has_ended = is_end_state(state);
    if (wanted_ == "done") return has_ended;
    if (state == wanted_) return true;
    // What was before the first page counts only when nothing comes any more.
    const bool is_since = std::exchange(has_looked_, true);
    if (is_since || has_ended) {
      if (has_state(page, wanted_)) return true;
      has_missed_ = has_missed_ || has_missed(page);
    }
    if (has_ended) throw never(state, is_since);
    return false;
  }

  Failure never(const std::string& state, bool is_since) const {
    const std::string what =
        has_missed_
            ? fmt::format("; the head does not keep all that happened, and it may have been {} before",
                          wanted_)
        : is_since ? fmt::format(" and was not {} since the wait began", wanted_)
                   : fmt::format(" and was never {}", wanted_);
    return {exit_code_for_end(state), "conflict", fmt::format("{} is {}{}", name_of(job_), state, what),
            "ds-submit events " + text_at(job_, "id") + " shows what happened"};
  }

  static ExitCode exit_code_for_end(const std::string& state) {
    return state == "SUCCEEDED" ? ExitCode::not_finished : exit_code_for_state(state);
  }

  Failure too_late(const std::string& state) const {
    const auto waited = std::chrono::duration_cast<std::chrono::seconds>(steady_clock::now() - begin_);
    return {ExitCode::timed_out, "deadline_exceeded",
            fmt::format("{} is {} after {} s", name_of(job_), state, waited.count()) +
                (has_missed_ ? "; the head does not keep all that happened to it meanwhile" : ""),
            "the job goes on; ds-submit why " + text_at(job_, "id") + " says what it waits for"};
  }

  const CommandContext& context_;
  ApiClient api_;
  std::string wanted_;
  steady_clock::time_point begin_;
  std::optional<steady_clock::time_point> until_;
  json job_;                 ///< as it was at first
  bool has_looked_ = false;  ///< at a page of events
  bool has_missed_ = false;  ///< some of the events that were to be looked at
  bool has_said_ = false;    ///< what it waits for
};

}  // namespace

ExitCode show_events(const CommandContext& context, const std::string& job, bool follow) {
  if (follow && context.json) {
    throw Failure(ExitCode::usage, "usage", "events that are followed are lines, not one document",
                  "leave -f or -o out");
  }
  const bool is_all = job.empty();
  ApiClient api(find_head(context.head));
  const auto patience = follow ? context.patience : std::chrono::seconds(0);
  const auto ask = [&](const std::string& path) {
    return ask_with_patience(api.head(), patience, [&](auto limit) { return api.get(path, limit); });
  };
  // Another may get its name meanwhile.
  const std::string id = follow && !is_all ? text_at(ask(job_path(job)), "id") : job;
  const std::string path = is_all ? "/api/v1/events" : job_path(id, "/events");
  for (std::string query;;) {
    const json page = ask(path + query);
    if (context.json) {
      write_document(context, page);
      return ExitCode::done;
    }
    if (has_missed(page)) write_err("there were more events before these, which the head does not keep\n");
    for (const auto& event : array_at(page, "events")) write_out(format_event(event, is_all));
    if (!follow || is_end_state(text_at(page, "state"))) return ExitCode::done;
    query = fmt::format("?after={}", integer_at(page, "last"));
    std::this_thread::sleep_for(kPause);
  }
}

ExitCode wait_for_job(const CommandContext& context, const std::string& job, const std::string& wanted,
                      std::optional<milliseconds> timeout) {
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

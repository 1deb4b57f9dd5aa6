#include "clients/follow.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "clients/exit_code.hpp"
#include "clients/failure.hpp"
#include "clients/follow_report.hpp"
#include "clients/json_fields.hpp"
#include "clients/printable.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPollPause{300};
constexpr std::chrono::milliseconds kFirstPollPause{20};  // it doubles: short jobs end soon
constexpr std::chrono::milliseconds kRetryPause{500}, kLeastAnswerTime{1000};
constexpr double kLineEvery_s = 5;  // off a terminal, when nothing else happens
constexpr std::size_t kLogPart = 256 << 10;
constexpr std::string_view kClearLine = "\r\x1b[K";

/// Copies a job's log to standard output, piece by piece.
class LogCopy {
 public:
  /// What there is now; with `to_end` until the job has ended and its log with it.
  void copy(ApiClient& api, const std::string& job, bool to_end, const Terminal& terminal,
            std::chrono::seconds patience) {
    auto pause = kFirstPollPause;
    for (;;) {
      const std::string path =
          fmt::format("/api/v1/jobs/{}/logs?offset={}&limit={}", encode_segment(job), offset_, kLogPart);
      const json part =
          ask_with_patience(api.head(), patience, [&](auto limit) { return api.get(path, limit); });
      const std::string text = text_at(part, "text");
      write_out(terminal.out_is_terminal ? printable_text(text) : text);
      const std::int64_t next = integer_at(part, "next", offset_);
      const bool more = next > offset_;
      offset_ = next;
      if (more) continue;
      const auto ended = part.find("ended");
      if (!to_end || (ended != part.end() && ended->is_boolean() && ended->get<bool>())) return;
      std::this_thread::sleep_for(pause);
      pause = std::min(kPollPause, pause * 2);
    }
  }

 private:
  std::int64_t offset_ = 0;
};

double seconds_since(steady_clock::time_point begin) {
  return std::chrono::duration<double>(steady_clock::now() - begin).count();
}

}  // namespace

std::chrono::milliseconds answer_time_until(steady_clock::time_point end) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - steady_clock::now());
  return std::clamp(left, kLeastAnswerTime, kAnswerTime);
}

json ask_with_patience(const HeadAddress& head, std::chrono::milliseconds patience,
                       const std::function<json(std::chrono::milliseconds)>& ask) {
  const auto end = steady_clock::now() + patience;
  bool told = false;
  for (;;) {
    try {
      json answer = ask(told ? answer_time_until(end) : kAnswerTime);
      if (told) write_err("the head is back\n");
      return answer;
    } catch (const Failure& failure) {
      if (!may_pass(failure) || steady_clock::now() >= end) throw;
    }
    if (!told) {
      write_err(fmt::format("the head at {} does not answer; trying for {} s (jobs go on meanwhile)\n",
                            head.text(), std::chrono::ceil<std::chrono::seconds>(patience).count()));
    }
    told = true;
    std::this_thread::sleep_for(kRetryPause);
  }
}

json follow_job(ApiClient& api, const std::string& job, const Terminal& terminal,
                std::chrono::seconds patience) {
  const std::string path = "/api/v1/jobs/" + encode_segment(job);
  const bool moving = terminal.err_is_terminal;
  const auto begin = steady_clock::now();
  FollowReport report;
  LogCopy log;
  auto pause = kFirstPollPause;
  double last_line_s = 0;
  std::int64_t last_step = -1;
  for (;;) {
    const json now = ask_with_patience(api.head(), patience, [&](auto limit) {
      try {
        return api.get(path, limit);
      } catch (const Failure&) {
        if (moving) write_err(kClearLine);  // what is said next begins on a line of its own
        throw;
      }
    });
    const double now_s = seconds_since(begin);
    const bool ended = is_end_state(text_at(now, "state"));
    // What a program prints is what its user wants to see.
    const bool is_command = text_at(now, "kind") == "command";
    if (is_command) {
      if (moving) write_err(kClearLine);
      log.copy(api, job, ended, terminal, patience);
    }
    const auto lines = report.observe(now, now_s);
    if (moving && !lines.empty()) write_err(kClearLine);
    for (const auto& line : lines) write_err(line + "\n");
    if (ended) {
      if (moving) write_err(kClearLine);
      return now;
    }
    if (moving) {
      write_err(std::string(kClearLine) + report.progress(terminal.width - 1));
    } else if (!lines.empty()) {
      last_line_s = now_s;
    } else if (!is_command && now_s - last_line_s >= kLineEvery_s && integer_at(now, "step") != last_step) {
      write_err(report.progress(std::nullopt) + "\n");
      last_line_s = now_s;
      last_step = integer_at(now, "step");
    }
    std::this_thread::sleep_for(pause);
    pause = std::min(kPollPause, pause * 2);
  }
}

void copy_logs(ApiClient& api, const std::string& job, bool follow, const Terminal& terminal,
               std::chrono::seconds patience) {
  LogCopy log;
  log.copy(api, job, follow, terminal, follow ? patience : std::chrono::seconds(0));
}

}  // namespace ds::clients

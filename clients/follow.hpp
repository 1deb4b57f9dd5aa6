#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "clients/api_client.hpp"
#include "clients/output.hpp"

namespace ds::clients {

/// Calls `ask` until the head answers, with the time that one answer may take: `kAnswerTime`, or what is
/// left. When it does not, or has no time, says so once and tries again for `patience`, then throws what it
/// met last. Errors that will not pass are thrown at once.
nlohmann::json ask_with_patience(const HeadAddress& head, std::chrono::milliseconds patience,
                                 const std::function<nlohmann::json(std::chrono::milliseconds)>& ask);

/// What is left until `end` for one answer: at most `kAnswerTime`, at least a second, so that a head that is
/// well does answer.
std::chrono::milliseconds answer_time_until(std::chrono::steady_clock::time_point end);

/// Polls `job` to its end and shows on standard error how it goes: on a terminal a bar that moves, elsewhere
/// a line an event and one every few seconds. What a `command` job prints goes to standard output. Returns
/// the job in its end state.
nlohmann::json follow_job(ApiClient& api, const std::string& job, const Terminal& terminal,
                          std::chrono::seconds patience);

/// Copies a job's log to standard output, to its present end, or with `follow` until the job has ended.
void copy_logs(ApiClient& api, const std::string& job, bool follow, const Terminal& terminal,
               std::chrono::seconds patience);

}  // namespace ds::clients

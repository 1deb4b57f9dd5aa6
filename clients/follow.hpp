#pragma once

#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "clients/api_client.hpp"
#include "clients/output.hpp"

namespace ds::clients {

/// Calls `ask` until the head answers. When it does not, or has no time, says so once and tries again for
/// `patience`, then throws what it met last. Errors that will not pass are thrown at once.
nlohmann::json ask_with_patience(const HeadAddress& head, std::chrono::seconds patience,
                                 const std::function<nlohmann::json()>& ask);

/// Polls `job` to its end and shows on standard error how it goes: on a terminal a bar that moves, elsewhere
/// a line an event and one every few seconds. What a `command` job prints goes to standard output. Returns
/// the job in its end state.
nlohmann::json follow_job(ApiClient& api, const std::string& job, const Terminal& terminal,
                          std::chrono::seconds patience);

/// Copies a job's log to standard output, to its present end, or with `follow` until the job has ended.
void copy_logs(ApiClient& api, const std::string& job, bool follow, const Terminal& terminal,
               std::chrono::seconds patience);

}  // namespace ds::clients

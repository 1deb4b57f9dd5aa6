#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "clients/connection.hpp"

namespace ds::clients {

/// How long the head has for an answer, unless a call says otherwise; and where it may have much to do,
/// longer than its own limit, so that its 504 comes through.
inline constexpr std::chrono::milliseconds kAnswerTime{30'000}, kLongAnswerTime{130'000};

/// Calls the HTTP API of `openapi.yaml`. Every call blocks until the answer is there and throws `Failure` for
/// anything but a success: with `no_server` or `timed_out` when the head was not reached or does not answer
/// within `limit`, else as
/// `exit_code_for_answer` says.
class ApiClient {
 public:
  explicit ApiClient(HeadAddress head);
  ~ApiClient();
  ApiClient(const ApiClient&) = delete;
  ApiClient& operator=(const ApiClient&) = delete;

  const HeadAddress& head() const;

  nlohmann::json get(const std::string& path, std::chrono::milliseconds limit = kAnswerTime);
  /// An array that comes in pages (`DS-Next`), whole.
  nlohmann::json get_list(const std::string& path);
  nlohmann::json post(const std::string& path, const nlohmann::json& body,
                      const std::map<std::string, std::string>& headers = {},
                      std::chrono::milliseconds limit = kAnswerTime);

  /// Hands the bytes of an answer to `sink` as they come; it returns false to stop early.
  void download(const std::string& path, const std::function<bool(std::string_view)>& sink,
                std::chrono::milliseconds limit = kLongAnswerTime);

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

/// Percent-encodes `text` for use as one segment of a path or one value of a query.
std::string encode_segment(std::string_view text);

/// The route of a job and what follows; throws `Failure` with `usage` when the job's id or name is empty.
std::string job_path(const std::string& job, const std::string& rest = {});

}  // namespace ds::clients

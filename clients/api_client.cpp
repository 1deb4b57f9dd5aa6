#include "clients/api_client.hpp"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>

#include "clients/failure.hpp"
#include "clients/json_fields.hpp"
#include "clients/local_home.hpp"
#include "clients/member_process.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

constexpr int kConnectTimeout_s = 5;
constexpr std::size_t kMaxErrorBytes = 256 << 10;

/// What to do about a head that is there and says nothing.
std::string advice_on_silence(const HeadAddress& head) {
  if (!head.local) return "it is busy or hangs; try again, or look at ds-head on its machine";
  const auto record = parse_member_record(read_small_file(find_local_home().pid_file("head")).value_or(""));
  return fmt::format(
      "it is busy or hangs; try again, or end it (kill -9 {}) and start it again with ds-submit up: "
      "what runs goes on meanwhile",
      record && is_alive(*record) ? std::to_string(record->pid) : "its process");
}

[[noreturn]] void throw_unreachable(const HeadAddress& head, httplib::Error error, bool was_silent) {
  if (was_silent)
    throw Failure(ExitCode::no_server, "no_server",
                  fmt::format("the head at {} does not answer", head.text()), advice_on_silence(head));
  if (error == httplib::Error::Read || error == httplib::Error::Write) {
    throw Failure(ExitCode::no_server, "no_server",
                  fmt::format("the connection to the head at {} broke before it answered", head.text()),
                  "try again; ds-submit nodes shows whether it is back");
  }
  throw Failure(
      ExitCode::no_server, "no_server", fmt::format("no head answers at {}", head.text()),
      head.local
          ? "ds-submit up starts what is not running of the local cluster; what runs goes on"
          : "check the address and that ds-head runs there; ds-submit up starts a cluster on this machine");
}

[[noreturn]] void throw_answer(const HeadAddress& head, int status, const std::string& body) {
  const json answer = json::parse(body, nullptr, false);
  const std::string code = text_at(answer, "error.code");
  const std::string message = text_at(answer, "error.message");
  // The inference protocol's errors are a text.
  if (const std::string text = text_at(answer, "error"); !text.empty())
    throw Failure(exit_code_for_answer(status, "inference"), "inference", text);
  if (code.empty() && message.empty()) {
    throw Failure(
        exit_code_for_answer(status, ""), "bad_answer",
        fmt::format("{} answered with status {} and no error that ds-submit knows", head.text(), status),
        "check that a ds-head of this version listens there");
  }
  Failure failure(exit_code_for_answer(status, code), code, message, text_at(answer, "error.hint"));
  failure.details = array_at(answer, "error.details");
  throw failure;
}

json parse_answer(const HeadAddress& head, const httplib::Result& result, bool was_silent) {
  if (!result) throw_unreachable(head, result.error(), was_silent);
  if (result->status < 200 || result->status >= 300) throw_answer(head, result->status, result->body);
  json answer = parse_json(result->body);
  if (answer.is_discarded()) {
    throw Failure(ExitCode::unexpected, "bad_answer", head.text() + " did not answer with JSON",
                  "check that a ds-head listens there");
  }
  return answer;
}

}  // namespace

struct ApiClient::Connection {
  explicit Connection(HeadAddress address) : head(std::move(address)), http(head.host, head.port) {
    http.set_keep_alive(true);
    http.set_url_encode(false);  // paths are encoded here already
    http.set_connection_timeout(kConnectTimeout_s);
  }

  void begin(std::chrono::milliseconds limit) {
    limit_ = limit;
    begun_ = std::chrono::steady_clock::now();
    http.set_read_timeout(limit);
    http.set_write_timeout(limit);
  }
  /// That a call ended because its time did. The library tells a broken connection no other way.
  bool was_silent(httplib::Error error) const {
    const bool may_be = error == httplib::Error::Read || error == httplib::Error::Write;
    return may_be && std::chrono::steady_clock::now() - begun_ >= limit_;
  }

  HeadAddress head;
  httplib::Client http;

 private:
  std::chrono::milliseconds limit_{};
  std::chrono::steady_clock::time_point begun_;
};

ApiClient::ApiClient(HeadAddress head) : connection_(std::make_unique<Connection>(std::move(head))) {}
ApiClient::~ApiClient() = default;

const HeadAddress& ApiClient::head() const {
  return connection_->head;
}

json ApiClient::get(const std::string& path, std::chrono::milliseconds limit) {
  connection_->begin(limit);
  const auto result = connection_->http.Get(path);
  return parse_answer(connection_->head, result, connection_->was_silent(result.error()));
}

json ApiClient::get_list(const std::string& path) {
  json list = json::array();
  const char* const separator = path.find('?') == std::string::npos ? "?" : "&";
  std::string after;
  do {
    connection_->begin(kAnswerTime);
    const auto result =
        connection_->http.Get(after.empty() ? path : path + separator + "after=" + encode_segment(after));
    const json page = parse_answer(connection_->head, result, connection_->was_silent(result.error()));
    if (!page.is_array()) return page;
    list.insert(list.end(), page.begin(), page.end());
    after = result->get_header_value("DS-Next");
  } while (!after.empty());
  return list;
}

json ApiClient::post(const std::string& path, const json& body,
                     const std::map<std::string, std::string>& headers, std::chrono::milliseconds limit) {
  httplib::Headers fields(headers.begin(), headers.end());
  connection_->begin(limit);
  const auto result = connection_->http.Post(path, fields, body.dump(), "application/json");
  return parse_answer(connection_->head, result, connection_->was_silent(result.error()));
}

void ApiClient::download(const std::string& path, const std::function<bool(std::string_view)>& sink,
                         std::chrono::milliseconds limit) {
  int status = 0;
  std::string error_body;
  bool stopped = false;
  connection_->begin(limit);
  const auto result = connection_->http.Get(
      path,
      [&](const httplib::Response& response) {
        status = response.status;
        return true;
      },
      [&](const char* data, std::size_t size) {
        if (status != 200) {
          error_body.append(data,
                            std::min(size, kMaxErrorBytes - std::min(kMaxErrorBytes, error_body.size())));
          return true;
        }
        stopped = !sink(std::string_view(data, size));
        return !stopped;
      });
  if (stopped) return;
  if (!result) throw_unreachable(connection_->head, result.error(), connection_->was_silent(result.error()));
  if (result->status != 200) throw_answer(connection_->head, result->status, error_body);
}

std::string encode_segment(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string job_path(const std::string& job, const std::string& rest) {
  if (job.empty())
    throw Failure(ExitCode::usage, "usage", "the job's id or name is empty", "ds-submit list shows them");
  return "/api/v1/jobs/" + encode_segment(job) + rest;
}

}  // namespace ds::clients

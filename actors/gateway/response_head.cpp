#include "actors/gateway/response_head.hpp"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <utility>

namespace ds::gateway {
namespace {

constexpr std::size_t kUsualBytes = 512;  // of a head, and a short body that is sent behind it

void append_one_line(std::string& out, std::string_view value) {
  const std::size_t begin = out.size();
  out += value;
  for (std::size_t i = begin; i < out.size(); ++i) {
    if (out[i] == '\r' || out[i] == '\n' || out[i] == '\0') out[i] = ' ';
  }
}

// strftime would follow the locale; the header may not.
std::string write_http_date(std::int64_t now) {
  static constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto seconds = static_cast<std::time_t>(now);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT",
                     kDays.at(static_cast<std::size_t>(parts.tm_wday)), parts.tm_mday,
                     kMonths.at(static_cast<std::size_t>(parts.tm_mon)), parts.tm_year + 1900, parts.tm_hour,
                     parts.tm_min, parts.tm_sec);
}

/// Most answers of a second have the same date: each thread keeps its last. Valid until the thread's next.
std::string_view http_date(std::int64_t now) {
  static thread_local std::int64_t last = 0;
  static thread_local std::string text = write_http_date(last);
  if (std::exchange(last, now) != now) text = write_http_date(now);
  return text;
}

template <class... Parts>
void append(std::string& out, const Parts&... parts) {
  (out.append(parts), ...);
}

}  // namespace

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Payload Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "Unknown";
  }
}

bool status_has_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

std::string format_response_head(const HttpResponse& response, bool keep_alive, std::int64_t now) {
  std::string head;
  head.reserve(kUsualBytes);
  append(head, "HTTP/1.1 ", std::to_string(response.status), " ", reason_phrase(response.status),
         "\r\nDate: ", http_date(now), "\r\n");
  if (status_has_body(response.status)) {
    head += "Content-Type: ";
    append_one_line(head, response.content_type);
    append(head, "\r\nContent-Length: ", std::to_string(response.body.size()), "\r\n");
  }
  for (const auto& [name, value] : response.headers) {
    append_one_line(head, name);
    head += ": ";
    append_one_line(head, value);
    head += "\r\n";
  }
  append(head, "Connection: ", keep_alive ? "keep-alive" : "close", "\r\n\r\n");
  return head;
}

}  // namespace ds::gateway

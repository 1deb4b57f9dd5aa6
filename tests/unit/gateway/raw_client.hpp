#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace ds::gateway::testing {

struct RawResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
};

/// A blocking client made of plain socket calls, so that the server is judged by something it shares no code
/// with. Waits at most 30 s for anything; a failure shows as a response with status 0.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool send(std::string_view bytes);  ///< false when the other side is gone
  void finish_sending();
  RawResponse receive(bool has_body = true);  ///< one response; 1xx count as responses without a body
  /// Reads so much between pauses until the stream ends, and returns how much it was.
  std::size_t read_slowly(std::size_t bytes, std::chrono::milliseconds pause);
  bool closed_by_server();  ///< waits for the end of the stream; false when bytes come instead

 private:
  bool fill();

  int descriptor_ = -1;
  std::string buffer_;
};

}  // namespace ds::gateway::testing

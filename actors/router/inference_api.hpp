#pragma once

#include <memory>
#include <string>

#include "actors/gateway/http_server.hpp"
#include "actors/head/serial_thread.hpp"
#include "actors/router/router.hpp"
#include "actors/serving/routes.hpp"

namespace ds::router {

/// The Open Inference Protocol, version 2, over HTTP: the routes below `/v2`, and `/metrics`. Thread-safe;
/// nothing of it blocks.
///
/// Bodies of more than `kLargeBytes` are read, and such answers written, on a thread of their own, so that
/// small requests don't wait for them.
class InferenceApi {
 public:
  static constexpr std::size_t kLargeBytes = 256 << 10;
  static constexpr std::size_t kMaxBodyBytes = 64 << 20;  ///< decompressed, too

  InferenceApi(Router& router, std::string version);

  static bool is_for(const std::string& path) {
    return path == "/v2" || path.starts_with("/v2/") || path == "/metrics";
  }
  void handle(gateway::HttpRequest request, gateway::Respond respond);

 private:
  void inform(const serving::Route& route, const gateway::Respond& respond);
  void infer(std::shared_ptr<gateway::HttpRequest> request, const std::string& model,
             std::optional<std::uint64_t> version, const gateway::Respond& respond);
  void read_and_ask(const gateway::HttpRequest& request, const std::string& model,
                    std::optional<std::uint64_t> version, const gateway::Respond& respond);

  Router& router_;
  const std::string version_;
  static constexpr std::size_t kMostLarge = 256;  ///< that wait for their thread
  head::SerialThread large_{kMostLarge};
};

}  // namespace ds::router

#include "actors/gateway/error_response.hpp"

#include <nlohmann/json.hpp>

namespace ds::gateway {

HttpResponse error_response(int status, std::string_view code, std::string_view message,
                            std::string_view hint) {
  nlohmann::ordered_json error;
  error["code"] = code;
  error["message"] = message;
  error["hint"] = hint;
  HttpResponse response;
  response.status = status;
  response.body = nlohmann::ordered_json{{"error", std::move(error)}}.dump(
      -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return response;
}

}  // namespace ds::gateway

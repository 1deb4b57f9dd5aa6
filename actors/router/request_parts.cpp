#include "actors/router/request_parts.hpp"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <utility>

#include "actors/router/failure_response.hpp"
#include "actors/serving/compression.hpp"

namespace ds::router {

using gateway::HttpRequest;

namespace {

constexpr std::size_t kMostControlBytes = 64 << 10;  // of a body that has no tensors

}  // namespace

Buffer to_buffer(std::string text) {
  const auto owner = std::make_shared<const std::string>(std::move(text));
  return Buffer(owner, std::as_bytes(std::span(*owner)));
}

std::string_view header_of(const HttpRequest& request, std::string_view name) {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? std::string_view() : std::string_view(found->second);
}

std::string_view tenant_in(const HttpRequest& request) {
  return header_of(request, "ds-tenant");
}

Result<Buffer> plain_body(HttpRequest& request, std::size_t limit) {
  const auto coding = serving::parse_content_encoding(header_of(request, "content-encoding"));
  if (!coding) return tl::unexpected(coding.error());
  if (*coding == serving::ContentCoding::identity) return to_buffer(std::move(request.body));
  return serving::decompress(request.body, *coding, limit);
}

int body_status(ErrorCode code) {
  return code == ErrorCode::resource_exhausted ? 413 : code == ErrorCode::unsupported ? 415 : 400;
}

std::optional<Buffer> control_body(HttpRequest& request, const gateway::Respond& respond) {
  if (request.body.size() > kMostControlBytes) {
    respond(failure_response(Failure{{ErrorCode::resource_exhausted,
                                      fmt::format("the body has {} bytes, and {} are the most here",
                                                  request.body.size(), kMostControlBytes),
                                      {}}},
                             413));
    return std::nullopt;
  }
  auto body = plain_body(request, kMostControlBytes);
  if (body) return *std::move(body);
  respond(failure_response(Failure{body.error()}, body_status(body.error().code)));
  return std::nullopt;
}

}  // namespace ds::router

#include "actors/serving/routes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <vector>

#include "actors/serving/json_text.hpp"

namespace ds::serving {
namespace {

using Answer = tl::expected<Route, RouteError>;
constexpr std::size_t kMaxNameBytes = 256;
constexpr std::size_t kMaxSegments = 8;  // the longest route has seven

tl::unexpected<RouteError> refuse(int status, std::string message, std::string allow = {}) {
  return tl::unexpected(RouteError{status, std::move(message), std::move(allow)});
}

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  if (lower >= 'a' && lower <= 'f') return lower - 'a' + 10;
  return std::nullopt;
}

/// None: an escape is broken.
std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
    const auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
    if (!high || !low) return std::nullopt;
    out += static_cast<char>(*high << 4 | *low);
    i += 2;
  }
  return out;
}

tl::expected<std::string, RouteError> read_name(std::string_view segment) {
  auto name = percent_decode(segment);
  if (!name) return refuse(400, fmt::format("broken % escape in the model name '{}'", excerpt(segment)));
  const bool is_readable = std::all_of(
      name->begin(), name->end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; });
  if (name->empty() || name->size() > kMaxNameBytes || !is_readable)
    return refuse(400, fmt::format("'{}' is no model name: 1 to {} bytes without control characters",
                                   excerpt(*name), kMaxNameBytes));
  return *name;
}

tl::expected<std::uint64_t, RouteError> read_version(std::string_view segment) {
  std::uint64_t version = 0;
  const auto [end, error] = std::from_chars(segment.data(), segment.data() + segment.size(), version);
  if (error == std::errc() && end == segment.data() + segment.size() && version > 0) return version;
  return refuse(400, fmt::format("'{}' is no model version: versions are numbers from 1", excerpt(segment)));
}

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  segments.reserve(kMaxSegments + 1);
  while (!path.empty() && segments.size() <= kMaxSegments) {
    const std::size_t end = std::min(path.find('/', 1), path.size());
    segments.push_back(path.substr(1, end - 1));
    path.remove_prefix(end);
  }
  return segments;
}

class RouteParser {
 public:
  RouteParser(std::string_view method, std::string_view path)
      : method_(method), path_(path.substr(0, path.find('?'))) {}

  Answer parse() const {
    if (!path_.starts_with('/')) return not_found();
    std::vector<std::string_view> parts = split(path_);
    if (parts.size() == 1 && parts[0] == "metrics") return get(route::Metrics{});
    if (parts.empty() || parts[0] != "v2") return not_found();
    if (parts.size() == 1 || (parts.size() == 2 && parts[1].empty())) return get(route::ServerMetadata{});
    const std::span<const std::string_view> rest = std::span(parts).subspan(2);
    if (parts[1] == "health") return parse_health(rest);
    if (parts[1] == "models") return parse_model(rest);
    if (parts[1] == "repository") return parse_repository(rest);
    return not_found();
  }

 private:
  Answer parse_health(std::span<const std::string_view> parts) const {
    if (parts.size() == 1 && parts[0] == "live") return get(route::ServerLive{});
    if (parts.size() == 1 && parts[0] == "ready") return get(route::ServerReady{});
    return not_found();
  }

  Answer parse_model(std::span<const std::string_view> parts) const {
    if (parts.empty()) return not_found();
    // So a model of this name has no metadata there, but all else.
    if (parts.size() == 1 && parts[0] == "stats") return get(route::Statistics{});
    auto name = read_name(parts[0]);
    if (!name) return tl::unexpected(name.error());
    ModelName model{std::move(*name), std::nullopt};
    parts = parts.subspan(1);
    if (parts.size() >= 2 && parts[0] == "versions") {
      const auto version = read_version(parts[1]);
      if (!version) return tl::unexpected(version.error());
      model.version = *version;
      parts = parts.subspan(2);
    }
    if (parts.empty()) return get(route::ModelMetadata{std::move(model)});
    if (parts.size() > 1) return not_found();
    if (parts[0] == "ready") return get(route::ModelReady{std::move(model)});
    if (parts[0] == "config") return get(route::ModelConfig{std::move(model)});
    if (parts[0] == "stats") return get(route::Statistics{std::move(model)});
    if (parts[0] == "infer") return post(route::Infer{std::move(model)});
    return not_found();
  }

  Answer parse_repository(std::span<const std::string_view> parts) const {
    if (parts.size() == 1 && parts[0] == "index") return post(route::RepositoryIndex{});
    if (parts.size() != 3 || parts[0] != "models") return not_found();
    auto name = read_name(parts[1]);
    if (!name) return tl::unexpected(name.error());
    if (parts[2] == "load") return post(route::LoadModel{std::move(*name)});
    if (parts[2] == "unload") return post(route::UnloadModel{std::move(*name)});
    return not_found();
  }

  Answer get(Route route) const {
    if (method_ == "GET" || method_ == "HEAD") return route;
    return wrong_method("GET, HEAD");
  }

  Answer post(Route route) const {
    if (method_ == "POST") return route;
    return wrong_method("POST");
  }

  Answer wrong_method(std::string allow) const {
    return refuse(
        405, fmt::format("{} does not go with {}, {} does", excerpt(method_), excerpt(path_), allow), allow);
  }

  Answer not_found() const { return refuse(404, fmt::format("there is no route {}", excerpt(path_))); }

  std::string_view method_;
  std::string_view path_;
};

}  // namespace

tl::expected<Route, RouteError> parse_route(std::string_view method, std::string_view path) {
  return RouteParser(method, path).parse();
}

}  // namespace ds::serving

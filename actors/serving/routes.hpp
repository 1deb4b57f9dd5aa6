#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <variant>

namespace ds::serving {

struct ModelName {
  std::string name;                      ///< percent-decoded, not empty
  std::optional<std::uint64_t> version;  ///< 1 or more; none: the caller chooses
  bool operator==(const ModelName&) const = default;
};

/// What a request asks for.
namespace route {
struct ServerMetadata {
  bool operator==(const ServerMetadata&) const = default;
};
struct ServerLive {
  bool operator==(const ServerLive&) const = default;
};
struct ServerReady {
  bool operator==(const ServerReady&) const = default;
};
struct ModelMetadata {
  ModelName model;
  bool operator==(const ModelMetadata&) const = default;
};
struct ModelReady {
  ModelName model;
  bool operator==(const ModelReady&) const = default;
};
struct ModelConfig {
  ModelName model;
  bool operator==(const ModelConfig&) const = default;
};
struct Statistics {
  std::optional<ModelName> model;  ///< none: of all
  bool operator==(const Statistics&) const = default;
};
struct Infer {
  ModelName model;
  bool operator==(const Infer&) const = default;
};
struct RepositoryIndex {
  bool only_ready = false;  ///< as its body says
  bool operator==(const RepositoryIndex&) const = default;
};
struct LoadModel {
  std::string name;
  bool operator==(const LoadModel&) const = default;
};
struct UnloadModel {
  std::string name;
  bool operator==(const UnloadModel&) const = default;
};
struct Metrics {
  bool operator==(const Metrics&) const = default;
};
}  // namespace route

using Route = std::variant<route::ServerMetadata, route::ServerLive, route::ServerReady, route::ModelMetadata,
                           route::ModelReady, route::ModelConfig, route::Statistics, route::Infer,
                           route::RepositoryIndex, route::LoadModel, route::UnloadModel, route::Metrics>;

struct RouteError {
  int status =
      404;  ///< 400 (a name or version that is none), 404 (no such route), 405 (not with this method)
  std::string message;
  std::string allow;  ///< of 405: the header `Allow`
  bool operator==(const RouteError&) const = default;
};

/// `path` as it stands in the request line, before percent-decoding (a name may hold `%2F`); a query is
/// ignored. Pure. HEAD is taken as GET.
tl::expected<Route, RouteError> parse_route(std::string_view method, std::string_view path);

}  // namespace ds::serving

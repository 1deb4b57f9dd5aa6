#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "storage/result.hpp"

namespace ds::head {

// Bodies of requests about models, as the API describes them. A field of another type, or one that is not
// known, is an error: left out, it would turn the request into another one. Pure.

struct VersionRequest {
  std::string from, tag;  ///< empty: not given
};
Result<VersionRequest> read_version_request(const nlohmann::json& body);

struct PromoteRequest {
  std::string tag, to;  ///< `to`: a tag or a version, also as a number; empty: not given
};
Result<PromoteRequest> read_promote_request(const nlohmann::json& body);

struct RollbackRequest {
  std::string tag;
};
Result<RollbackRequest> read_rollback_request(const nlohmann::json& body);

}  // namespace ds::head

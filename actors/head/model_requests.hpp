#pragma once

#include <cstdint>
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

struct RemoveRequest {
  std::uint64_t version = 0;  ///< 0: not given
};
Result<RemoveRequest> read_remove_request(const nlohmann::json& body);

struct RollbackRequest {
  std::string tag;
  std::string from;  ///< the version that the tag points at, as who asks knows it; empty: not given
};
Result<RollbackRequest> read_rollback_request(const nlohmann::json& body);
/// So that asking twice goes back once: `conflict` when the tag points `now` at another version than who asks
/// has seen.
Result<void> check_from(const RollbackRequest& asked, const std::string& model, std::uint64_t now);

}  // namespace ds::head

#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "clients/exposition.hpp"

namespace ds::clients {

/// Something that was looked at.
struct Check {
  enum class Result { ok, warn, fail };
  std::string what;  ///< one word, which stays the same: `clock`
  Result result = Result::ok;
  std::string text;  ///< what was found
  std::string hint;  ///< what to do; empty when it is ok
};

/// What is known of this machine, for what is started from this shell.
struct MachineFacts {
  std::filesystem::path folder;           ///< of ds-submit
  std::vector<std::string> missing;       ///< programs that are not there
  std::uint64_t most_descriptors = 0;     ///< the hard limit; 0: none
  std::string ucx_tls;                    ///< UCX_TLS; empty: not set
  std::optional<std::uint64_t> shm_free;  ///< bytes free in /dev/shm; none: there is no such
};

/// A question to which the head gave no answer.
struct Unanswered {
  std::string question;       ///< its path: `/metrics`
  std::string message, hint;  ///< of the failure
};

/// The head's answers, and when it gave the first. Those that did not come are null or none, and stand in
/// `unanswered`.
struct HeadFacts {
  nlohmann::json cluster, nodes, tenants;
  std::optional<std::vector<Sample>> metrics;
  std::vector<std::string> never_fit;  ///< ids of jobs that can never start, some of them
  std::vector<Unanswered> unanswered;
  std::int64_t asked_ms = 0, answered_ms = 0;  ///< Unix time here, around `cluster`
};

// All pure.

/// How many jobs can never start.
double count_never_fitting(const std::vector<Sample>& metrics);
std::vector<Check> check_machine(const MachineFacts& facts);
std::vector<Check> check_head(const HeadFacts& facts, const std::string& own_version);

bool has_failed(const std::vector<Check>& checks);
/// `{"checks":[{"check","result","text","hint"}],"ok":true}`
nlohmann::json to_json(const std::vector<Check>& checks);
/// A line each; below those that are not ok what to do.
std::string format_checks(const std::vector<Check>& checks, bool coloured);

}  // namespace ds::clients

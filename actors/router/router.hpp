#pragma once

#include <atomic>
#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actors/fabric/borrowed_thread.hpp"
#include "actors/serving/batching.hpp"
#include "actors/serving/inference_request.hpp"
#include "actors/serving/model_metadata.hpp"
#include "actors/serving/statistics.hpp"
#include "actors/serving/version_picker.hpp"
#include "scheduler/policy/autoscale.hpp"
#include "storage/result.hpp"

namespace ds::router {

/// A model that is served: what the router has to know of a `serve` job.
struct Endpoint {
  std::string name;  ///< of the job, and so of the model
  std::string job;
  std::uint32_t max_waiting = 1000;  ///< requests while there is no replica
  std::uint64_t max_waiting_bytes = 0;
  std::chrono::milliseconds timeout{60'000};  ///< of a request that names none
  // Only shown:
  serving::BatchingOptions batching{};  ///< of its replicas
  bool is_on_gpu = false;
};

/// Of a request that names so many microseconds, which may be more than a clock can count; 0: none. `most`:
/// its endpoint's.
constexpr std::chrono::microseconds timeout_of(std::uint64_t named_us, std::chrono::milliseconds most) {
  const std::chrono::microseconds longest = most;
  if (named_us == 0 || named_us > static_cast<std::uint64_t>(longest.count())) return longest;
  return std::chrono::microseconds(named_us);
}

/// What anybody may know of an endpoint at a moment.
struct EndpointView {
  std::string name, job;
  std::uint64_t version = 1;              ///< that is meant where a request names none
  std::uint32_t ready = 0, draining = 0;  ///< replicas
  std::uint32_t wanted = 0;               ///< replicas that there should be
  std::uint64_t ongoing = 0;              ///< requests without an answer, a moment ago
  std::string held = {};                  ///< why no replica is on its way; empty: one may be
  serving::BatchingOptions batching{};    ///< of its replicas
  bool is_on_gpu = false;
  double answers_per_second = 0;         ///< of late
  std::chrono::milliseconds timeout{0};  ///< of a request that names none
  struct Version {
    std::uint32_t ready = 0, draining = 0, wanted = 0;  ///< replicas
    std::uint32_t share = 0;                            ///< of the requests, in hundredths
    std::optional<serving::ModelMetadata> metadata;     ///< none: no replica of it has been ready yet
  };
  std::map<std::uint64_t, Version> versions;  ///< that are served, or have replicas still

  /// It has no replica and wants none: the next request starts one.
  bool sleeps() const { return wanted == 0 && held.empty(); }

  /// Null: there is no such version.
  const Version* find(std::uint64_t wanted_version) const {
    const auto found = versions.find(wanted_version);
    return found == versions.end() ? nullptr : &found->second;
  }
  /// Of the version that is meant, or where none of its replicas has been ready the newest that one has of
  /// another; null: not known yet.
  const serving::ModelMetadata* metadata_of(std::optional<std::uint64_t> wanted_version) const {
    const auto* found = find(wanted_version.value_or(version));
    if (found != nullptr && found->metadata) return &*found->metadata;
    const serving::ModelMetadata* newest = nullptr;
    for (const auto& [other, shown] : versions) {
      if (!wanted_version && shown.metadata) newest = &*shown.metadata;
    }
    return newest;
  }
};

struct Failure {
  Error error;
  std::uint32_t retry_after_ms = 0;  ///< 0: there is no saying
};

/// What a replica answered.
struct Answer {
  std::uint64_t version = 0;
  std::uint32_t rows = 0;
  std::vector<serving::Tensor> outputs;                     ///< in the model's order
  std::shared_ptr<const std::vector<std::string>> classes;  ///< as `serving::ModelMetadata` has them
  serving::StageTimes times;                                ///< of the stages that are over
};

struct Journey;

/// Who asks, for whom places and turns are shared out.
struct Requester {
  std::string tenant;                     ///< empty: all those that name none
  std::atomic<std::size_t> under_way{0};  ///< of its requests
};

/// What finds a request again while it is on its way; its content is the router's.
struct AskLink {
  explicit AskLink(std::shared_ptr<Requester> who) : requester(std::move(who)) { ++requester->under_way; }
  ~AskLink() { --requester->under_way; }
  AskLink(const AskLink&) = delete;
  AskLink& operator=(const AskLink&) = delete;

  const std::shared_ptr<Requester> requester;
  std::weak_ptr<Journey> journey;
  std::atomic<bool> is_given_up{false};  ///< before it was on its way
};

/// A request on its way through the router.
struct Ask {
  std::string model;
  std::optional<std::uint64_t> version;  ///< none: any
  std::string tenant;          ///< whose share it takes of places and turns; empty: of those that name none
  bool only_metadata = false;  ///< it asks for nothing but that a replica has said what the model takes
  bool only_ready = false;     ///< it asks for nothing but that a replica takes requests
  serving::InferenceRequest request;
  std::chrono::steady_clock::time_point arrived;
  std::uint64_t parse_ns = 0;
  std::shared_ptr<AskLink> link;  ///< null: it is never given up
  /// Called once, on the thread that runs the router, which may be the caller's of `ask`; must not block.
  std::function<void(tl::expected<Answer, Failure>)> done;
};

/// Sends requests to replicas and their answers back.
///
/// Each goes to the less loaded of two (`serving::pick_replica`), to another when that one dies before it
/// answers or refuses it, at most `kMostTries` times, as long as its timeout lasts. While an endpoint has no
/// replica for them its requests wait, within the endpoint's bounds. All members may be called from any
/// thread.
class Router {
 public:
  static constexpr std::size_t kMostTries = 4;

  /// How the load of a job's endpoint is, several times a second. On the thread that runs the router; must
  /// not block.
  using OnLoad = std::function<void(const std::string& job, const scheduler::LoadSample&)>;

  explicit Router(caf::actor_system& system);

  void report_to(OnLoad on_load);  ///< from now on
  void set_endpoint(Endpoint endpoint);
  /// Which versions it serves, with which parts of the requests; without it version 1 alone.
  void set_versions(const std::string& job, std::vector<serving::VersionLine> lines);
  /// So many replicas are wanted; only shown.
  void set_wanted(const std::string& job, std::uint32_t replicas);
  /// No replica is on its way, and why: what waits for one fails, and what comes fails at once where it would
  /// have to. Empty: it waits again.
  void set_held(const std::string& job, std::string why);
  /// What waits for it fails.
  void remove_endpoint(const std::string& job);
  /// A replica of that version is ready.
  void add_replica(const std::string& job, std::uint64_t worker, caf::actor actor, std::uint64_t version,
                   serving::ModelMetadata metadata);
  /// Nothing new for it; what it has it may still answer.
  void drain_replica(const std::string& job, std::uint64_t worker);
  /// Its process is gone; `has_crashed`: by itself, so that what it ran alone is to blame. Else something
  /// outside has ended it, or nobody knows what.
  void remove_replica(const std::string& job, std::uint64_t worker, bool has_crashed);

  void ask(std::vector<Ask> asks);
  /// Nobody waits for the answer any more: its place is another's, unless a batch has it already.
  void give_up(std::shared_ptr<AskLink> link);

  std::vector<EndpointView> endpoints() const;
  std::optional<EndpointView> find(const std::string& name) const;
  /// Answers a second of late; 0: none are known.
  double answer_rate(const std::string& name) const;
  using Moment = std::chrono::steady_clock::time_point;
  /// Of a request that came then and names such a timeout in microseconds, or none (0). An endpoint that
  /// there isn't any more sets none: the end of time.
  Moment deadline(const std::string& name, Moment arrived, std::uint64_t timeout_us) const;
  /// Counts a request of that many rows as answered by that version, `whole` after it came.
  void record(const std::string& name, std::uint64_t version, std::uint32_t rows,
              const serving::StageTimes& times, std::chrono::nanoseconds whole);
  /// Counts one that failed so long after it came, where `ask` didn't: before it was asked for, or after it
  /// had its `Answer`. Of a version that is not served nothing is counted.
  void record_failure(const std::string& name, std::optional<std::uint64_t> version,
                      serving::FailureCause cause, std::chrono::nanoseconds whole);
  /// Since the endpoint was set, by its name and the version.
  using Statistics = std::map<std::string, std::map<std::uint64_t, serving::EndpointStatistics>>;
  Statistics statistics() const;

  /// What actor and callers share; private to the folder.
  struct Board {
    mutable std::mutex mutex;
    std::map<std::string, EndpointView> endpoints;
    Statistics statistics;  ///< of endpoints that there are
  };

 private:
  std::shared_ptr<Board> board_;
  std::shared_ptr<fabric::BorrowedThread> here_;
  caf::actor actor_;
};

}  // namespace ds::router

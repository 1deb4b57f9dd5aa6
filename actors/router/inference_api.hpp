#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "actors/gateway/http_server.hpp"
#include "actors/router/answer_room.hpp"
#include "actors/router/body_reader.hpp"
#include "actors/router/fair_pool.hpp"
#include "actors/router/router.hpp"
#include "actors/serving/inference_request.hpp"
#include "actors/serving/model_control.hpp"
#include "actors/serving/routes.hpp"

namespace ds::router {

/// The Open Inference Protocol, version 2, over HTTP: the routes below `/v2`, and `/metrics`. Thread-safe;
/// nothing of it blocks.
///
/// Bodies of more than `kLargeBytes`, and packed ones, are read on threads of their own, where tenants and
/// models take turns and little waits for nothing large. Others write answers of more than
/// `kLargeAnswerBytes`, and pack them, in the same way.
class InferenceApi {
 public:
  static constexpr std::size_t kLargeBytes = 256 << 10;
  static constexpr std::size_t kLargeAnswerBytes = 16 << 10;
  /// What is larger is never written on a gateway's thread, nor by the threads for what is written quickly.
  static constexpr std::size_t kLongAnswerBytes = 256 << 10;
  static constexpr std::size_t kMaxBodyBytes = 64 << 20;  ///< decompressed, too
  /// Of answers of more than `kLargeAnswerBytes` that are not written yet; beyond: 503.
  static constexpr std::size_t kMaxAnswerBytes = std::size_t{1} << 30;

  /// Names the tenant that a request is for, where the cluster has tenants.
  static constexpr std::string_view kTenantHeader = "DS-Tenant";

  /// Whose requests share places and turns out. There is no proof of who asks yet, as there is none of who
  /// submits a job: a request says it, as a job's file does.
  struct Tenants {
    std::vector<std::string> names;  ///< none: all requests count as one tenant's, whatever they say
    std::size_t most_under_way = 0;  ///< requests of one of them, or of all that name none
  };

  /// Has a model of that name loaded or unloaded, and calls back when that is certain to happen, with an
  /// error where it won't: `not_found` for a model that nothing serves. Any thread; doesn't block.
  using Control = std::function<void(const std::string& model, serving::ModelControl what,
                                     std::function<void(Result<void>)>)>;

  InferenceApi(Router& router, std::string version, Tenants tenants, Control control);

  /// In the place of those it knows. Any thread; what a tenant has under way goes on, and counts for it.
  void set_tenants(std::vector<std::string> names);

  static bool is_for(const std::string& path) {
    return path == "/v2" || path.starts_with("/v2/") || path == "/metrics";
  }
  /// An error of the gateway's own, as the protocol has it.
  static gateway::HttpResponse refusal(int status, std::string_view message);
  void handle(gateway::HttpRequest request, gateway::Respond respond);

 private:
  void list(gateway::HttpRequest& request, const gateway::Respond& respond);
  void inform(const gateway::HttpRequest& request, const serving::Route& route,
              const gateway::Respond& respond);
  void control(gateway::HttpRequest& request, const std::string& model, serving::ModelControl what,
               const gateway::Respond& respond);
  void wait_until_ready(const gateway::HttpRequest& request, const std::string& model,
                        const gateway::Respond& respond);
  void gather(Ask ask);
  void infer(std::shared_ptr<gateway::HttpRequest> request, const std::string& model,
             std::optional<std::uint64_t> version, const gateway::Respond& respond);
  /// An inference whose body hasn't been read.
  struct Unread {
    std::shared_ptr<gateway::HttpRequest> request;
    std::string model;
    std::optional<std::uint64_t> version;
    std::chrono::steady_clock::time_point arrived, handed_over;
    gateway::Respond respond;
  };
  void read(Unread unread);
  void parse_and_ask(const Unread& unread, const Buffer& body, Work* work);
  void refuse(const Unread& unread, const Failure& failure, int status) const;
  /// What an answer needs of its request; the inputs' memory goes with them.
  struct Asked {
    std::string model, turn;
    std::optional<std::uint64_t> version;
    serving::InferenceRequest request;  ///< without its inputs
    std::string accepted;               ///< codings of the answer
    std::chrono::steady_clock::time_point arrived, answered;
    std::shared_ptr<gateway::ClientWatch> client;
    gateway::Respond respond;
    std::shared_ptr<AnswerRoom::Part> room;  ///< of a large answer
  };
  WorkPtr writing_of(const std::shared_ptr<Asked>& asked, const std::shared_ptr<const Answer>& answer,
                     std::size_t bytes) const;
  /// On any thread; throws nothing. None: the work has been given up, so another response has been.
  std::optional<gateway::HttpResponse> make_response(const Asked& asked, const Answer& answer,
                                                     Work* work) const;
  gateway::HttpResponse refusal_of(const Asked& asked, const Failure& failure) const;
  void ask_for(const gateway::HttpRequest& request, Ask ask);
  std::uint32_t retry_after_ms(const std::string& model, std::size_t waiting) const;
  Failure too_many_answers(const std::string& model) const;
  /// Null: it names no tenant of the cluster.
  std::shared_ptr<Requester> find_requester(const gateway::HttpRequest& request) const;

  Router& router_;
  const std::string version_;
  const std::size_t bound_;                      ///< requests of one tenant, where there are some
  std::atomic<std::size_t> most_under_way_ = 0;  ///< that, or any number
  const Control control_;
  mutable std::shared_mutex mutex_;
  std::map<std::string, std::shared_ptr<Requester>, std::less<>> requesters_;  ///< by tenant; by `mutex_`
  const AnswerRoom room_{kMaxAnswerBytes};
  FairPool answers_;
  BodyReader bodies_;  // ends first: what it reads may be answered
};

}  // namespace ds::router

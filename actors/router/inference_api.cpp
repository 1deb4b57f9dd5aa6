#include "actors/router/inference_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <limits>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>
#include <variant>

#include "actors/fabric/patient_thread.hpp"
#include "actors/serving/compression.hpp"
#include "actors/serving/inference_response.hpp"
#include "actors/serving/metrics_text.hpp"
#include "actors/serving/retry_after.hpp"
#include "actors/serving/route_bodies.hpp"
#include "actors/serving/routes.hpp"

namespace ds::router {
namespace {

using gateway::HttpRequest;
using gateway::HttpResponse;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kLeastCompressed = 1 << 10;  // below it the reader wins nothing
constexpr std::size_t kSoonPacked = 4 << 10;       // to pack so much takes less than to wake a thread
constexpr std::size_t kMostThreads = 8;
constexpr std::size_t kMostGathered = 32;
constexpr FairPool::Bounds kAnswerBounds{1024, 4096, InferenceApi::kLongAnswerBytes};
constexpr std::size_t kMostControlBytes = 64 << 10;  // of a body that has no tensors
constexpr const char* kLengthHeader = "Inference-Header-Content-Length";
constexpr std::array<std::string_view, 6> kExtensions{"binary_tensor_data",  "model_repository",
                                                      "model_configuration", "statistics",
                                                      "schedule_policy",     "classification"};

HttpResponse failure_response(const Failure& failure, int status) {
  HttpResponse response{status, serving::error_body(failure.error), "application/json", {}};
  if (status == 503) {
    response.headers.emplace_back("Retry-After",
                                  std::to_string(serving::retry_after_seconds(failure.retry_after_ms)));
  }
  return response;
}

HttpResponse failure_response(const Failure& failure) {
  return failure_response(failure, serving::http_status(failure.error.code));
}

HttpResponse failure_response(const Error& error) {
  return failure_response(Failure{error});
}

/// Empty: there is none. Valid as long as the request.
std::string_view header_of(const HttpRequest& request, std::string_view name) {
  const auto found = request.headers.find(name);
  return found == request.headers.end() ? std::string_view() : std::string_view(found->second);
}

std::string_view tenant_in(const HttpRequest& request) {
  return header_of(request, "ds-tenant");
}

Buffer to_buffer(std::string text) {
  const auto owner = std::make_shared<const std::string>(std::move(text));
  return Buffer(owner, std::as_bytes(std::span(*owner)));
}

/// Takes the body out of the request where it isn't packed.
Result<Buffer> plain_body(HttpRequest& request, std::size_t limit = InferenceApi::kMaxBodyBytes) {
  const auto coding = serving::parse_content_encoding(header_of(request, "content-encoding"));
  if (!coding) return tl::unexpected(coding.error());
  if (*coding == serving::ContentCoding::identity) return to_buffer(std::move(request.body));
  return serving::decompress(request.body, *coding, limit);
}

/// Of a body that can't be read.
int body_status(ErrorCode code) {
  return code == ErrorCode::resource_exhausted ? 413 : code == ErrorCode::unsupported ? 415 : 400;
}

Result<std::optional<std::uint64_t>> json_length_of(const HttpRequest& request) {
  const std::string_view text = header_of(request, "inference-header-content-length");
  if (text.empty()) return std::nullopt;
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size())
    return fail(ErrorCode::invalid_argument, fmt::format("{} is no number: {}", kLengthHeader, text));
  return length;
}

/// What the body of a raw request is.
std::optional<serving::TensorSpec> raw_input_of(const std::optional<EndpointView>& endpoint,
                                                std::optional<std::uint64_t> version) {
  const auto* metadata = endpoint ? endpoint->metadata_of(version) : nullptr;
  if (metadata == nullptr || metadata->inputs.size() != 1) return std::nullopt;
  return metadata->inputs.front();
}

Result<HttpResponse> answer_response(const std::string& model, const serving::InferenceRequest& request,
                                     const Answer& answer, const std::string& accepted) {
  serving::ClassLabels labels;
  const bool wants_classes =
      std::ranges::any_of(request.outputs, [](const auto& wanted) { return wanted.classes > 0; });
  if (wants_classes && answer.classes && !answer.outputs.empty())
    labels.emplace(answer.outputs.front().name, *answer.classes);
  auto encoded =
      serving::encode_response(model, std::to_string(answer.version), request, answer.outputs, labels);
  if (!encoded) return tl::unexpected(encoded.error());
  HttpResponse response{200, std::move(encoded->body), "application/json", {}};
  if (encoded->json_length) {
    response.content_type = "application/octet-stream";
    response.headers.emplace_back(kLengthHeader, std::to_string(*encoded->json_length));
  }
  const auto coding = serving::choose_coding(accepted);
  if (coding == serving::ContentCoding::identity || response.body.size() < kLeastCompressed) return response;
  response.body = serving::compress(response.body, coding);
  response.headers.emplace_back("Content-Encoding", std::string(serving::to_string(coding)));
  return response;
}

Error to_error(const std::exception& thrown) {
  return {ErrorCode::internal, fmt::format("the request could not be handled: {}", thrown.what()), {}};
}

/// `work` on a thread on which nobody else would catch what it throws.
template <class Work>
void respond_anyway(const gateway::Respond& respond, const Work& work) {
  try {
    work();
  } catch (const std::exception& thrown) {
    respond(failure_response(to_error(thrown)));
  }
}

/// `retry_after_ms` 0: nobody knows when clients have read what they have asked for.
Failure no_room(const char* why = "too many answers wait for their clients to read them",
                std::uint32_t retry_after_ms = 0) {
  return {{ErrorCode::resource_exhausted, why, {}}, retry_after_ms};
}

Error no_such_tenant(const HttpRequest& request) {
  return {ErrorCode::invalid_argument,
          fmt::format("{} names no tenant of this cluster: '{}'", InferenceApi::kTenantHeader,
                      tenant_in(request)),
          "ds-submit tenants lists them"};
}

Error unknown(const std::string& model) {
  return {ErrorCode::not_found, fmt::format("Request for unknown model: '{}' is not found", model), {}};
}

/// A body that has no tensors. None: it is too large or wrongly packed, which has been said.
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

void ask_together(Router& router, std::vector<Ask> asks) {
  fabric::note_round(asks.size());
  router.ask(std::move(asks));
}

serving::ModelConfiguration configuration_of(const EndpointView& endpoint, std::uint32_t replicas) {
  const serving::BatchingOptions& batching = endpoint.batching;
  serving::ModelConfiguration configuration;
  configuration.replicas = replicas;
  configuration.on_gpu = endpoint.is_on_gpu;
  configuration.has_dynamic_batching =
      batching.mode != serving::BatchingOptions::Mode::off && batching.max_size > 1;
  if (batching.mode != serving::BatchingOptions::Mode::fixed) return configuration;
  configuration.preferred_batch_sizes = {batching.max_size};
  configuration.max_queue_delay_us =
      static_cast<std::uint64_t>(std::max<std::int64_t>(batching.max_delay_us, 0));
  return configuration;
}

/// Whether requests for the version are taken, and what is to be said of it.
std::pair<bool, std::string> state_of(const EndpointView& endpoint, const EndpointView::Version& version) {
  if (version.ready > 0) return {true, ""};
  if (version.share == 0) return {false, "its replicas leave"};
  if (endpoint.sleeps()) return {true, "it sleeps: the next request starts a replica"};
  return {false, endpoint.held.empty() ? "no replica is ready yet" : endpoint.held};
}

/// Whose large bodies, and whose large answers, take turns.
std::string turn_of(const Requester& requester, const std::string& model) {
  return requester.tenant + '\n' + model;
}

std::size_t count_threads() {
  return std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 1, kMostThreads);
}

}  // namespace

InferenceApi::InferenceApi(Router& router, std::string version, Tenants tenants, Control control)
    : router_(router),
      version_(std::move(version)),
      bound_(tenants.most_under_way),
      control_(std::move(control)),
      answers_(count_threads(), kAnswerBounds),
      bodies_(count_threads(), kMaxBodyBytes) {
  set_tenants(std::move(tenants.names));
}

void InferenceApi::set_tenants(std::vector<std::string> names) {
  const std::unique_lock guard(mutex_);
  most_under_way_ = names.empty() ? std::numeric_limits<std::size_t>::max() : bound_;
  names.emplace_back();  // of those that name none
  decltype(requesters_) before;
  before.swap(requesters_);
  for (auto& name : names) {
    const auto known = before.find(name);
    std::shared_ptr<Requester> requester;
    if (known != before.end()) {
      requester = known->second;
    } else {
      requester = std::make_shared<Requester>();
      requester->tenant = name;
    }
    requesters_.emplace(std::move(name), std::move(requester));
  }
}

/// Answers what needs no replica.
class Informer {
 public:
  Informer(const Router& router, const std::string& version) : router_(router), version_(version) {}

  HttpResponse operator()(const serving::route::ServerMetadata&) const {
    return json(serving::server_metadata_body(version_, kExtensions));
  }
  HttpResponse operator()(const serving::route::ServerLive&) const { return json(serving::live_body(true)); }
  /// Always, when it can be asked: the head listens once it has taken its state back, and knows all models
  /// then.
  HttpResponse operator()(const serving::route::ServerReady&) const {
    return json(serving::ready_body(true));
  }
  HttpResponse operator()(const serving::route::ModelReady& asked) const {
    const auto endpoint = find(asked.model);
    if (!endpoint) return failure_response(unknown(asked.model.name));
    const bool is_ready = asked.model.version
                              ? state_of(*endpoint, *endpoint->find(*asked.model.version)).first
                              : endpoint->ready > 0 || endpoint->sleeps();
    auto response = json(serving::model_ready_body(asked.model.name, is_ready));
    if (!is_ready) response.status = 400;
    return response;
  }
  HttpResponse operator()(const serving::route::ModelMetadata& asked) const {
    return of_model(asked.model, [](const serving::ModelMetadata& model, const EndpointView&) {
      return serving::model_metadata_body(model);
    });
  }
  HttpResponse operator()(const serving::route::ModelConfig& asked) const {
    return of_model(asked.model, [&asked](const serving::ModelMetadata& model, const EndpointView& endpoint) {
      const auto replicas = asked.model.version ? endpoint.find(*asked.model.version)->ready : endpoint.ready;
      return serving::model_config_body(model, configuration_of(endpoint, replicas));
    });
  }
  HttpResponse operator()(const serving::route::Statistics& asked) const {
    if (asked.model && !find(*asked.model)) return failure_response(unknown(asked.model->name));
    const auto known = router_.statistics();
    std::vector<serving::NamedStatistics> models;
    for (const EndpointView& endpoint : router_.endpoints()) {
      if (asked.model && asked.model->name != endpoint.name) continue;
      const auto found = known.find(endpoint.name);
      if (found == known.end()) continue;
      for (const auto& [version, counted] : found->second) {
        if (asked.model && asked.model->version.value_or(version) != version) continue;
        models.push_back({endpoint.name, version, counted.model});
      }
    }
    return json(serving::statistics_body(models));
  }
  HttpResponse operator()(const serving::route::RepositoryIndex& asked) const {
    std::vector<serving::IndexEntry> entries;
    for (const EndpointView& endpoint : router_.endpoints()) {
      for (const auto& [version, shown] : endpoint.versions) {
        const auto [is_ready, reason] = state_of(endpoint, shown);
        if (is_ready || !asked.only_ready) entries.push_back({endpoint.name, version, is_ready, reason});
      }
    }
    return json(serving::repository_index_body(entries));
  }
  /// All others are not for it.
  template <class Other>
  HttpResponse operator()(const Other&) const {
    return failure_response(Error{ErrorCode::internal, "the route was not told apart", {}});
  }
  HttpResponse operator()(const serving::route::Metrics&) const {
    auto known = router_.statistics();
    std::vector<serving::ModelMetrics> models;
    for (const EndpointView& endpoint : router_.endpoints()) {
      for (auto& [version, counted] : known[endpoint.name]) {
        const auto* shown = endpoint.find(version);
        const EndpointView::Version there = shown == nullptr ? EndpointView::Version{} : *shown;
        const auto starting = there.wanted - std::min(there.wanted, there.ready);
        models.push_back({endpoint.name, version, there.ready, starting, there.draining, endpoint.ongoing,
                          std::move(counted)});
      }
    }
    return {200, serving::metrics_text(models), "text/plain; version=0.0.4; charset=utf-8", {}};
  }

 private:
  static HttpResponse json(std::string body) { return {200, std::move(body), "application/json", {}}; }
  std::optional<EndpointView> find(const serving::ModelName& model) const {
    auto endpoint = router_.find(model.name);
    const bool is_known = endpoint && (!model.version || endpoint->find(*model.version) != nullptr);
    return is_known ? endpoint : std::nullopt;
  }
  template <class Body>
  HttpResponse of_model(const serving::ModelName& model, Body body) const {
    const auto endpoint = find(model);
    if (!endpoint) return failure_response(unknown(model.name));
    const auto* metadata = endpoint->metadata_of(model.version);
    if (metadata == nullptr) {
      return failure_response(
          Failure{{ErrorCode::unavailable, "no replica of the model has been ready yet", {}}});
    }
    serving::ModelMetadata shown = *metadata;
    shown.versions.clear();
    for (const auto& [version, there] : endpoint->versions) shown.versions.push_back(version);
    return json(body(shown, *endpoint));
  }

  const Router& router_;
  const std::string& version_;
};

HttpResponse InferenceApi::refusal(int status, std::string_view message) {
  HttpResponse response{status, serving::error_body(message), "application/json", {}};
  if (status == 503) response.headers.emplace_back("Retry-After", "1");
  return response;
}

void InferenceApi::handle(HttpRequest request, gateway::Respond respond) {
  const auto route = serving::parse_route(request.method, request.target);
  if (!route) {
    HttpResponse response{
        route.error().status, serving::error_body(route.error().message), "application/json", {}};
    if (!route.error().allow.empty()) response.headers.emplace_back("Allow", route.error().allow);
    return respond(std::move(response));
  }
  if (find_requester(request) == nullptr) return respond(failure_response(no_such_tenant(request)));
  if (const auto* load = std::get_if<serving::route::LoadModel>(&*route))
    return control(request, load->name, serving::ModelControl::load, respond);
  if (const auto* unload = std::get_if<serving::route::UnloadModel>(&*route))
    return control(request, unload->name, serving::ModelControl::unload, respond);
  const auto* wanted = std::get_if<serving::route::Infer>(&*route);
  if (std::holds_alternative<serving::route::RepositoryIndex>(*route)) return list(request, respond);
  if (wanted == nullptr) return inform(request, *route, respond);
  infer(std::make_shared<HttpRequest>(std::move(request)), wanted->model.name, wanted->model.version,
        respond);
}

void InferenceApi::list(HttpRequest& request, const gateway::Respond& respond) {
  const auto body = control_body(request, respond);
  if (!body) return;
  const auto only_ready = serving::wants_only_ready(body->text());
  if (!only_ready) return respond(failure_response(only_ready.error()));
  respond(Informer(router_, version_)(serving::route::RepositoryIndex{*only_ready}));
}

/// What a model takes is known once a replica has been ready. One that sleeps is woken for it.
void InferenceApi::inform(const HttpRequest& request, const serving::Route& route,
                          const gateway::Respond& respond) {
  const serving::ModelName* model = nullptr;
  if (const auto* metadata = std::get_if<serving::route::ModelMetadata>(&route)) model = &metadata->model;
  if (const auto* config = std::get_if<serving::route::ModelConfig>(&route)) model = &config->model;
  const auto endpoint = model == nullptr ? std::nullopt : router_.find(model->name);
  const bool is_known = !endpoint || endpoint->metadata_of(model->version) != nullptr;
  if (is_known) return respond(std::visit(Informer(router_, version_), route));
  Ask ask;
  ask.model = model->name;
  ask.version = model->version;
  ask.only_metadata = true;
  ask.arrived = Clock::now();
  ask.done = [this, route, respond](const tl::expected<Answer, Failure>& outcome) {
    if (!outcome) return respond(failure_response(outcome.error()));
    respond(std::visit(Informer(router_, version_), route));
  };
  ask_for(request, std::move(ask));
}

/// Answered as Triton does: a model is loaded once it takes requests, and unloaded once it takes no more;
/// what it has it still answers.
void InferenceApi::control(HttpRequest& request, const std::string& model, serving::ModelControl what,
                           const gateway::Respond& respond) {
  const auto body = control_body(request, respond);
  if (!body) return;
  if (const auto fits = serving::check_control_body(body->text(), what); !fits)
    return respond(failure_response(fits.error()));
  auto asked = std::make_shared<HttpRequest>();  // whose it is, and whether it is still there
  asked->headers = request.headers;
  asked->client = request.client;
  control_(model, what, [this, asked, model, what, respond](const Result<void>& outcome) {
    if (!outcome) return respond(failure_response(outcome.error()));
    if (what == serving::ModelControl::unload) return respond(HttpResponse{200, "", "application/json", {}});
    // This is the head's thread, and none to run the router on.
    const bool is_posted =
        answers_.post(model, [this, asked, model, respond] { wait_until_ready(*asked, model, respond); });
    if (!is_posted) respond(failure_response(too_many_answers(model)));
  });
}

void InferenceApi::wait_until_ready(const HttpRequest& request, const std::string& model,
                                    const gateway::Respond& respond) {
  Ask ask;
  ask.model = model;
  ask.only_ready = true;
  ask.arrived = Clock::now();
  ask.done = [respond](const tl::expected<Answer, Failure>& outcome) {
    respond(outcome ? HttpResponse{200, "", "application/json", {}} : failure_response(outcome.error()));
  };
  ask_for(request, std::move(ask));
}

/// What a raw request's body is depends on the model, which no replica may have told yet.
void InferenceApi::infer(std::shared_ptr<HttpRequest> request, const std::string& model,
                         std::optional<std::uint64_t> version, const gateway::Respond& respond) {
  const auto arrived = Clock::now();
  const bool is_raw = header_of(*request, "inference-header-content-length") == "0";
  const auto endpoint = is_raw ? router_.find(model) : std::nullopt;
  if (!endpoint || endpoint->metadata_of(version) != nullptr)
    return read({std::move(request), model, version, arrived, Clock::now(), respond});
  Ask ask;
  ask.model = model;
  ask.version = version;
  ask.only_metadata = true;
  ask.arrived = arrived;
  ask.done = [=, this](const tl::expected<Answer, Failure>& outcome) {
    if (!outcome) return respond(failure_response(outcome.error()));
    respond_anyway(respond, [&] { read({request, model, version, arrived, Clock::now(), respond}); });
  };
  ask_for(*request, std::move(ask));
}

void InferenceApi::read(Unread unread) {
  auto& request = *unread.request;
  const bool is_small = request.body.size() <= kLargeBytes && header_of(request, "content-encoding").empty();
  if (is_small) return parse_and_ask(unread, to_buffer(std::move(request.body)), nullptr);
  if (!router_.find(unread.model))  // nobody's turn is for that
    return unread.respond(failure_response(unknown(unread.model)));
  const auto requester = find_requester(request);
  if (requester == nullptr) return unread.respond(failure_response(no_such_tenant(request)));
  BodyReader::Order order;
  order.request = unread.request;
  order.turn = turn_of(*requester, unread.model);
  order.until = router_.deadline(unread.model, unread.arrived, 0);  // its own is in the body
  const auto shared = std::make_shared<const Unread>(std::move(unread));
  order.read = [this, shared](const Buffer& body, Work& work) {
    respond_anyway(shared->respond, [&] { parse_and_ask(*shared, body, &work); });
  };
  order.refuse = [this, shared](const Error& error, int status) {
    const auto wait_ms = status == 503 ? retry_after_ms(shared->model, BodyReader::kBounds.each) : 0;
    refuse(*shared, {error, wait_ms}, status);
  };
  bodies_.read(std::move(order));
}

/// `work`: null, or what may have been given up meanwhile.
void InferenceApi::parse_and_ask(const Unread& unread, const Buffer& body, Work* work) {
  const HttpRequest& request = *unread.request;
  const auto refuse_invalid = [&](const Error& error) {
    if (work == nullptr || work->claim()) refuse(unread, Failure{error}, serving::http_status(error.code));
  };
  const auto length = json_length_of(request);
  if (!length) return refuse_invalid(length.error());
  const auto raw_input =
      *length == 0U ? raw_input_of(router_.find(unread.model), unread.version) : std::nullopt;
  auto parsed = serving::parse_inference_request(body, *length, {}, raw_input);
  if (!parsed) return refuse_invalid(parsed.error());
  if (work != nullptr && !work->claim()) return;
  Ask ask;
  ask.model = unread.model;
  ask.version = unread.version;
  ask.arrived = unread.arrived;
  ask.parse_ns =
      static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - unread.handed_over).count());
  auto asked = std::make_shared<Asked>();
  asked->model = unread.model;
  asked->version = unread.version;
  asked->request.id = parsed->id;
  asked->request.outputs = parsed->outputs;
  asked->request.binary_outputs = parsed->binary_outputs;
  asked->request.timeout_us = parsed->timeout_us;
  asked->accepted = header_of(request, "accept-encoding");
  asked->arrived = unread.arrived;
  asked->client = request.client;
  asked->respond = unread.respond;
  const auto requester = find_requester(request);
  if (requester != nullptr) asked->turn = turn_of(*requester, unread.model);
  ask.request = *std::move(parsed);
  ask.done = [this, asked](tl::expected<Answer, Failure> outcome) {
    if (!outcome) return asked->respond(failure_response(outcome.error()));
    asked->answered = Clock::now();
    std::size_t bytes = 0;
    for (const auto& tensor : outcome->outputs) bytes += tensor.bytes.size();
    if (bytes > kLargeAnswerBytes) {
      asked->room = room_.take(bytes);
      if (asked->room == nullptr) return asked->respond(refusal_of(*asked, no_room()));
    }
    const bool may_be_packed = serving::choose_coding(asked->accepted) != serving::ContentCoding::identity;
    const bool is_small = bytes <= (may_be_packed ? kSoonPacked : kLargeAnswerBytes);
    const auto answer = std::make_shared<const Answer>(*std::move(outcome));
    if (!is_small && answers_.post(writing_of(asked, answer, bytes))) return;
    // To write it would hold up the gateway's other connections.
    if (bytes > kLongAnswerBytes) return asked->respond(refusal_of(*asked, too_many_answers(asked->model)));
    asked->respond(
        gateway::Reply([this, asked, answer] { return *make_response(*asked, *answer, nullptr); }));
  };
  ask_for(request, std::move(ask));
}

/// Before any replica has had it.
void InferenceApi::refuse(const Unread& unread, const Failure& failure, int status) const {
  const auto cause = status == 413 ? serving::FailureCause::invalid : serving::cause_of(failure.error.code);
  router_.record_failure(unread.model, unread.version, cause, Clock::now() - unread.arrived);
  unread.respond(failure_response(failure, status));
}

WorkPtr InferenceApi::writing_of(const std::shared_ptr<Asked>& asked, std::shared_ptr<const Answer> answer,
                                 std::size_t bytes) const {
  auto work = std::make_shared<Work>();
  work->turn = asked->turn;
  work->cost = bytes;
  work->until = router_.deadline(asked->model, asked->arrived, asked->request.timeout_us);
  work->client = asked->client;
  work->run = [this, asked, answer = std::move(answer)](Work& own) {
    if (auto response = make_response(*asked, *answer, &own)) asked->respond(*std::move(response));
  };
  work->give_up = [this, asked](GivenUp why) {
    const auto failure = why == GivenUp::late
                             ? Failure{{ErrorCode::deadline_exceeded,
                                        "the request's timeout is over before its answer was written",
                                        {}}}
                         : why == GivenUp::gone ? Failure{{ErrorCode::cancelled, "the client is gone", {}}}
                                                : too_many_answers(asked->model);
    asked->respond(refusal_of(*asked, failure));
  };
  return work;
}

std::optional<HttpResponse> InferenceApi::make_response(const Asked& asked, const Answer& answer,
                                                        Work* work) const {
  bool is_mine = work == nullptr;
  const auto claim = [&] { return is_mine = is_mine || work->claim(); };
  Error error;
  try {
    auto response = answer_response(asked.model, asked.request, answer, asked.accepted);
    if (!claim()) return std::nullopt;
    if (!response) return refusal_of(asked, Failure{response.error()});
    if (asked.room && !asked.room->resize(response->body.size())) return refusal_of(asked, no_room());
    response->held = asked.room;
    const auto ended = Clock::now();
    auto times = answer.times;
    times[serving::Stage::serialize] =
        static_cast<std::uint64_t>(std::chrono::nanoseconds(ended - asked.answered).count());
    router_.record(asked.model, answer.version, answer.rows, times, ended - asked.arrived);
    return *std::move(response);
  } catch (const std::exception& thrown) {
    error = to_error(thrown);
  }
  if (!claim()) return std::nullopt;
  return refusal_of(asked, Failure{error});
}

/// Of one that a replica has answered; counts it.
HttpResponse InferenceApi::refusal_of(const Asked& asked, const Failure& failure) const {
  router_.record_failure(asked.model, asked.version, serving::cause_of(failure.error.code),
                         Clock::now() - asked.arrived);
  return failure_response(failure);
}

/// Behind so many requests for it.
std::uint32_t InferenceApi::retry_after_ms(const std::string& model, std::size_t waiting) const {
  return serving::retry_after_ms(waiting, router_.answer_rate(model));
}

Failure InferenceApi::too_many_answers(const std::string& model) const {
  return no_room("too many large answers wait to be written", retry_after_ms(model, kAnswerBounds.each));
}

std::shared_ptr<Requester> InferenceApi::find_requester(const HttpRequest& request) const {
  const std::shared_lock guard(mutex_);
  const bool has_tenants = requesters_.size() > 1;
  const auto found = requesters_.find(has_tenants ? tenant_in(request) : std::string_view());
  return found == requesters_.end() ? nullptr : found->second;
}

/// Until its client is gone.
void InferenceApi::ask_for(const HttpRequest& request, Ask ask) {
  const auto requester = find_requester(request);
  if (requester == nullptr)  // since it came
    return ask.done(tl::unexpected(Failure{no_such_tenant(request)}));
  const auto link = ask.link = std::make_shared<AskLink>(requester);
  ask.tenant = requester->tenant;
  if (requester->under_way > most_under_way_.load()) {
    if (!ask.only_metadata && !ask.only_ready) {
      router_.record_failure(ask.model, ask.version, serving::FailureCause::overload,
                             Clock::now() - ask.arrived);
    }
    return ask.done(tl::unexpected(
        Failure{{ErrorCode::resource_exhausted,
                 fmt::format("{} has {} requests under way, and may have no more",
                             ask.tenant.empty() ? "who names no tenant" : "tenant " + ask.tenant, bound_),
                 {}},
                retry_after_ms(ask.model, requester->under_way)}));
  }
  // First: what it leads to may ask again, for the same client.
  if (request.client) request.client->on_gone([this, link] { router_.give_up(link); });
  gather(std::move(ask));
}

/// What the requests at hand of one of the gateway's threads ask for goes its way together. No more than
/// `kMostGathered`, as the first waits until the last has been read.
void InferenceApi::gather(Ask ask) {
  static thread_local std::map<Router*, std::vector<Ask>> gathered;
  auto& asks = gathered[&router_];
  asks.push_back(std::move(ask));
  if (asks.size() >= kMostGathered) return ask_together(router_, std::exchange(asks, {}));
  if (asks.size() > 1) return;
  gateway::after_those_at_hand([&router = router_] {
    if (auto own = gathered.extract(&router); own && !own.mapped().empty())
      ask_together(router, std::move(own.mapped()));
  });
}

}  // namespace ds::router

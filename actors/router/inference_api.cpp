#include "actors/router/inference_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>

#include "actors/fabric/patient_thread.hpp"
#include "actors/router/failure_response.hpp"
#include "actors/router/informer.hpp"
#include "actors/router/request_parts.hpp"
#include "actors/serving/compression.hpp"
#include "actors/serving/inference_response.hpp"
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
constexpr const char* kLengthHeader = "Inference-Header-Content-Length";

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

/// `work` on a thread on which nobody else would catch what it throws.
template <class Work>
void respond_anyway(const gateway::Respond& respond, const Work& work) {
  try {
    work();
  } catch (const std::exception& thrown) {
    respond(failure_response(to_error(thrown)));
  }
}

/// A thread that has become patient looks again later: nobody may ask anything for long then.
void note_round(std::size_t requests) {
  static thread_local bool looks_again = false;
  if (!fabric::note_round(requests) || looks_again) return;
  looks_again = gateway::call_later(fabric::kCalmAfter, [] {
    looks_again = false;
    note_round(0);
  });
}

void ask_together(Router& router, std::vector<Ask> asks) {
  note_round(asks.size());
  router.ask(std::move(asks));
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
    if (!outcome) {
      router_.record_failure(model, version, serving::cause_of(outcome.error().error.code),
                             Clock::now() - arrived);
      return respond(failure_response(outcome.error()));
    }
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
    try {
      parse_and_ask(*shared, body, &work);
    } catch (const std::exception& thrown) {
      const Failure failure{to_error(thrown)};
      work.claim() ? refuse(*shared, failure, 500) : shared->respond(failure_response(failure));
    }
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
    asked->version = outcome->version;
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

WorkPtr InferenceApi::writing_of(const std::shared_ptr<Asked>& asked,
                                 const std::shared_ptr<const Answer>& answer, std::size_t bytes) const {
  auto work = std::make_shared<Work>();
  work->turn = asked->turn;
  work->cost = bytes;
  work->until = router_.deadline(asked->model, asked->arrived, asked->request.timeout_us);
  work->client = asked->client;
  work->run = [this, asked, answer](Work& own) {
    if (auto response = make_response(*asked, *answer, &own)) asked->respond(*std::move(response));
  };
  work->give_up = [this, asked, answer, bytes](GivenUp why) {
    if (why == GivenUp::crowded_out && bytes <= kLongAnswerBytes) {  // the gateway's threads write that, too
      return asked->respond(
          gateway::Reply([this, asked, answer] { return *make_response(*asked, *answer, nullptr); }));
    }
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

// Models that are loaded and unloaded by request.
#include <memory>

#include "actors/router/failure_response.hpp"
#include "actors/router/inference_api.hpp"
#include "actors/router/request_parts.hpp"

namespace ds::router {

using gateway::HttpRequest;
using gateway::HttpResponse;
using Clock = std::chrono::steady_clock;

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

}  // namespace ds::router

// What would become of a job, for people who have not submitted it: planned by the planner that decides.
#include <algorithm>
#include <chrono>
#include <utility>

#include "actors/head/awaited_nodes.hpp"
#include "actors/head/head_actor.hpp"
#include "actors/head/plan_view.hpp"
#include "scheduler/policy/trial_job.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

constexpr std::size_t kMaxDrafts = 32;
/// After a draft the head does other things for so many times as long: drafts get a fifth of its time at
/// most.
constexpr int kRestPerDraft = 4;

}  // namespace

void Head::plan_draft(const gateway::HttpRequest& request, const gateway::Respond& respond) {
  const auto refuse = [&] {
    respond(error_response({ErrorCode::unavailable, "the head is busy with other plans", "try again"}));
  };
  // Their files are checked on the thread that checks those of submissions, which may have to wait for so
  // many drafts.
  if (drafts_.size() + drafts_checked_ >= kMaxDrafts) return refuse();
  const bool queued = check_job_file(request, [respond](Head& head, const CheckedSubmission& checked) {
    --head.drafts_checked_;
    head.on_draft_checked(checked, respond);
  });
  if (!queued) return refuse();
  ++drafts_checked_;
}

void Head::on_draft_checked(const CheckedSubmission& checked, const gateway::Respond& respond) {
  if (const auto* refused = std::get_if<gateway::HttpResponse>(&checked)) return respond(*refused);
  drafts_.push_back({std::get<Submission>(checked), respond});
  if (!schedule_is_due_) look_at_drafts();  // else at its end: first what is to happen anyway
}

/// One at a time and with pauses: what else there is to do comes between.
void Head::look_at_drafts() {
  if (drafts_.empty()) return;
  const auto begin = clock().now();
  if (begin >= next_draft_at_) {
    const Draft draft = std::move(drafts_.front());
    drafts_.pop_front();
    when_durable([answer = answer_for(draft.submission), respond = draft.respond] { respond(answer); });
    const auto end = clock().now();
    next_draft_at_ = end + kRestPerDraft * (end - begin);
  }
  if (drafts_.empty() || drafts_are_due_) return;
  drafts_are_due_ = true;
  Run next{[](Head& head) {
    head.drafts_are_due_ = false;
    head.look_at_drafts();
  }};
  const auto rest = next_draft_at_ - clock().now();
  if (rest.count() <= 0) return send(this, std::move(next));
  delayed_send(this, rest, std::move(next));
}

std::string Head::why_never(const JobRecord& job) {
  const bool may_start = is_waiting(job.state) && ledger_.holds(job, now_ms()).empty();
  if (in_grace_ || !is_settled_ || !may_start || job.spec->has_deadline()) return {};
  tell_planner();
  if (planner_.could_ever_start(job.id)) return {};
  const auto reasons = waits_of(job).reasons;
  return reasons.empty() ? std::string() : reasons.front().text;
}

std::string Head::why_never(const Submission& submission) {
  if (in_grace_ || !is_settled_) return {};
  tell_planner();
  const auto now = now_ms();
  const auto draft = ledger_.draft({kDraft, "", submission.file, submission.directory, submission.text},
                                   submission.spec, now);
  const TrialJob trial(planner_, demand_of_draft(draft, ledger_, now).value());
  const std::string id = kDraft;
  if (planner_.could_ever_start(id)) return {};
  const auto waits = planner_.explain(std::span(&id, 1), ledger_.past_use(now), now);
  return waits.empty() ? std::string() : waits.front().reasons.front().text;
}

gateway::HttpResponse Head::answer_for(const Submission& submission) {
  if (const auto refused = check_tenant(submission, ledger_.tenants())) return *refused;
  auto dependencies = resolve_dependencies(submission, ledger_);
  if (const auto* refused = std::get_if<gateway::HttpResponse>(&dependencies)) return *refused;
  if (const auto lines = resolve_model(submission, ledger_); lines.index() == 1)
    return std::get<gateway::HttpResponse>(lines);
  if (in_grace_ || !is_settled_) {  // a head without leases has no grace, but its nodes are not back either
    return error_response({ErrorCode::unavailable, kAwaitsNodes, "try again in some seconds"});
  }
  const auto now = now_ms();
  const auto draft = ledger_.draft({kDraft, "", submission.file, submission.directory, submission.text,
                                    std::get<std::vector<std::string>>(std::move(dependencies))},
                                   submission.spec, now);
  std::optional<DeadlinePromised> promise;
  if (submission.spec.has_deadline()) {
    const auto promised = promise_deadline(draft);
    if (const auto* refused = std::get_if<DeadlineRefused>(&promised)) return to_response(*refused);
    promise = std::get<DeadlinePromised>(promised);
  }
  tell_planner();
  Demand demand = demand_of_draft(draft, ledger_, now).value();
  limit_growth(draft, demand);
  demand.has_promise = submission.spec.has_deadline();
  const auto find_live = [this](const std::string& job) {
    const auto found = jobs_.find(job);
    return found == jobs_.end() ? nullptr : &found->second.live;
  };
  auto view = plan_view(draft, demand, ledger_, planner_, find_live, now);
  view["deadline"] = promise ? promise_view(submission.spec, *promise) : nlohmann::json(nullptr);
  return json_response(view);
}

}  // namespace ds::head

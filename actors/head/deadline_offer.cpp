#include "actors/head/deadline_offer.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "actors/gateway/error_response.hpp"
#include "actors/head/awaited_nodes.hpp"
#include "scheduler/policy/planner.hpp"
#include "scheduler/policy/queue_use.hpp"
#include "scheduler/spec/queue_index.hpp"
#include "scheduler/spec/scalars.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

constexpr std::size_t kMaxNamed = 5;

/// In whole seconds, so that the text says no less.
std::int64_t round_up(std::int64_t unix_ms) {
  return (unix_ms + 999) / 1000 * 1000;
}

/// Jobs that run and may do so for ever, of those that are asked for.
template <class IsAsked>
std::string name_endless(const Ledger& ledger, IsAsked is_asked) {
  std::string names;
  std::size_t count = 0;
  for (const auto& [id, job] : ledger.jobs()) {
    if (job.workers == 0 || job.spec->time_limit_ms != 0 || !is_asked(job)) continue;
    if (++count > kMaxNamed) return names + ", …";
    names += (names.empty() ? "" : ", ") + id;
  }
  return names;
}

DeadlineRefused refuse(const std::string& why, const std::string& hint, bool is_for_resumed = false) {
  return {.why = why, .hint = hint, .may_pass = false, .is_for_resumed = is_for_resumed};
}

std::int64_t deadline_of(const JobRecord& draft) {
  return draft.spec->deadline_ms(draft.submitted_ms);
}

/// One that waits for the start that it was promised, and that the job would come before, who was submitted
/// earlier and has a promise anew; null: there is none.
const JobRecord* find_promised_behind(const JobRecord& draft, const Ledger& ledger) {
  for (const auto& id : ledger.promised()) {
    const auto* job = ledger.find(id);
    if (job->awaits_promised_start() && job->order > draft.order) return job;
  }
  return nullptr;
}

/// One that waits and is more urgent, in its queue; empty: there is none.
std::string find_more_urgent(const JobRecord& draft, const Ledger& ledger, std::int64_t now_ms) {
  for (const auto& [id, job] : ledger.jobs()) {
    const bool is_beside = job.spec->tenant == draft.spec->tenant && job.spec->queue == draft.spec->queue;
    if (is_end(job.state) || !is_beside || job.priority <= draft.priority || job.has_promise) continue;
    const auto demand = ledger.demand(job, now_ms);
    if (demand && !demand->held && !demand->works_with_fewer && job.workers < demand->workers.min) return id;
  }
  return {};
}

constexpr const char* kNone = "no deadline can be promised now: ";

/// Among tenants, where nothing else keeps it from a promise.
DeadlineRefused refuse_beyond_guarantee(const JobRecord& draft, const Ledger& ledger) {
  const TenantTree& tenants = ledger.tenants();
  const QueueIndex index(tenants);
  const auto queue_of = [&](const JobRecord& job) {
    return index.find(job.spec->tenant, job.spec->queue).value_or(TenantTree::kRoot);
  };
  const std::size_t queue = queue_of(draft);
  const std::uint32_t workers = draft.wanted().min;
  const Room wanted{workers * draft.spec->resources.cpus, 0,
                    std::uint64_t{workers} * draft.spec->resources.gpus};
  const bool has_gpus = wanted.gpus > 0 && tenants.guarantees_gpus();
  const auto text_of = [&](const Room& room) {
    return slots_text(room.slots) +
           (has_gpus ? fmt::format(" and {} GPU{}", room.gpus, room.gpus == 1 ? "" : "s") : "");
  };
  const auto guaranteed =
      fmt::format("what its queue {} is guaranteed, {}", tenants.full_name(queue),
                  text_of({tenants[queue].guaranteed, 0, tenants[queue].guaranteed_gpus}));
  if (!QueueUse(tenants, std::nullopt).fits_guarantee(queue, wanted)) {
    return refuse(fmt::format("{}its minimum of {} is more than {}, and what it borrows others may take back",
                              kNone, text_of(wanted), guaranteed),
                  "with a smaller minimum, or in a queue that is guaranteed more, or without deadline");
  }
  const auto endless = name_endless(
      ledger, [&](const JobRecord& job) { return queue_of(job) == queue || !job.spec->preemptible; });
  if (!endless.empty()) {
    return refuse(fmt::format("{}nobody knows when it has its minimum within {}, since these have no "
                              "time_limit and need not give way to it: {}",
                              kNone, guaranteed, endless),
                  "jobs with a time_limit end at a known moment; or submit it without deadline");
  }
  return refuse(fmt::format("{}nobody knows when it has its minimum within {}", kNone, guaranteed),
                "ds-submit plan says what it would wait for; or submit it without deadline");
}

DeadlineRefused refuse_unknown(const JobRecord& draft, const Ledger& ledger, std::int64_t now_ms) {
  const std::string none = kNone;
  if (const auto* lacking = find_lacking_promise(ledger)) {
    return refuse(
        fmt::format("{}job {} has crashed and lacks workers that it was promised", none, lacking->id),
        "submit it when that job runs again");
  }
  if (const auto urgent = find_more_urgent(draft, ledger, now_ms); !urgent.empty()) {
    return refuse(fmt::format("{}job {} waits and is more urgent", none, urgent),
                  "submit it when that job has started, or with a higher priority");
  }
  const JobRecord* first = find_waiting_promise(ledger);
  if (count_waiting_promises(ledger) >= kMaxWaitingPromises) {
    return refuse(fmt::format("{}{} jobs wait for what they were promised, such as {}, its start by {}", none,
                              kMaxWaitingPromises, first->id, to_time_text(first->starts_by_ms)),
                  "submit it when one of them has started");
  }
  if (ledger.tenants().has_tenants() && first != nullptr) {
    return refuse(
        fmt::format("{}job {} waits for what it was promised, its start by {}; where tenants share the "
                    "cluster one waits so at a time",
                    none, first->id, to_time_text(first->starts_by_ms)),
        "submit it when that job has started");
  }
  if (ledger.tenants().has_tenants()) return refuse_beyond_guarantee(draft, ledger);
  const auto endless = name_endless(ledger, [](const JobRecord&) { return true; });
  if (!endless.empty()) {
    return refuse(fmt::format("{}nobody knows when there is room for it, since these have no time_limit: {}",
                              none, endless),
                  "jobs with a time_limit end at a known moment; or submit it without deadline");
  }
  if (first != nullptr) {
    return refuse(
        fmt::format("{}nobody knows when there is room for it behind job {}, which waits for what it "
                    "was promised, its start by {}",
                    none, first->id, to_time_text(first->starts_by_ms)),
        "submit it when that job has started");
  }
  return refuse(none + "nobody knows when there is room for it",
                "ds-submit plan says what it would wait for; or submit it without deadline");
}

}  // namespace

gateway::HttpResponse to_response(const DeadlineRefused& refused) {
  return refused.may_pass ? gateway::error_response(503, "unavailable", refused.why, refused.hint)
                          : gateway::error_response(409, "unplaceable", refused.why, refused.hint);
}

std::optional<DeadlineRefused> refuse_kept_back(const std::optional<Demand>& demand) {
  if (!demand) return refuse(std::string(kNone) + "it is ending", "", true);
  if (!demand->held) return std::nullopt;
  return refuse(fmt::format("{}it has crashed, and waits until {} before it is tried again", kNone,
                            to_time_text(round_up(demand->held_until_ms))),
                "pause it, and resume it then to ask again", true);
}

std::optional<DeadlineRefused> refuse_hopeless(const JobRecord& draft, std::int64_t now_ms) {
  const std::int64_t deadline_ms = deadline_of(draft), lasts_ms = draft.lasts_ms();
  if (deadline_ms <= now_ms)
    return refuse(fmt::format("its deadline {} has passed", to_time_text(deadline_ms)),
                  "name a moment that comes, or a time from now such as deadline: 24h");
  if (deadline_ms - now_ms >= lasts_ms) return std::nullopt;
  return refuse(fmt::format("its deadline {} is in {} s, and it may run for {} s (time_limit)",
                            to_time_text(deadline_ms), (deadline_ms - now_ms) / 1000, lasts_ms / 1000),
                "a later deadline, or a shorter time_limit");
}

std::optional<DeadlineRefused> refuse_unfit(std::span<const Reason> reasons) {
  const auto* lack = find_lack_of_nodes(reasons);
  if (lack == nullptr) return std::nullopt;
  const bool is_for_ever = lack->code == "never_fits";
  return refuse(fmt::format("no deadline can be promised{}: it {}", is_for_ever ? "" : " now", lack->text),
                is_for_ever ? "give workers.min or resources smaller numbers, or add nodes"
                            : "ds-submit nodes shows which nodes are closed or down");
}

bool is_promise_at_risk(const JobRecord& job, std::span<const Reason> reasons, std::int64_t now_ms) {
  if (!job.awaits_promised_start()) return false;
  return now_ms > job.starts_by_ms || find_lack_of_nodes(reasons) != nullptr;
}

std::string given_up_text(const JobRecord& job) {
  const auto deadline = to_time_text(job.deadline_ms);
  if (job.pause_requested) {
    return fmt::format(
        "it was paused, so its deadline {} is promised no more; when it is resumed that is asked for again, "
        "and the answer says whether it is promised",
        deadline);
  }
  return fmt::format(
      "it was paused, and its deadline {} was not promised again when it was resumed; pause and resume it to "
      "ask once more, or cancel it and submit its file with another (ds-submit plan -f FILE says which can "
      "be promised)",
      deadline);
}

std::string not_renewed_text(const DeadlineRefused& refused) {
  return fmt::format(
      "it goes on, but {}{}; for another deadline cancel it and submit its file once more (ds-submit plan -f "
      "FILE says which can be promised)",
      refused.why, refused.is_for_resumed && !refused.hint.empty() ? "; " + refused.hint : "");
}

std::size_t count_waiting_promises(const Ledger& ledger) {
  return static_cast<std::size_t>(std::ranges::count_if(
      ledger.promised(), [&](const std::string& id) { return ledger.find(id)->awaits_promised_start(); }));
}

const JobRecord* find_waiting_promise(const Ledger& ledger) {
  for (const auto& id : ledger.promised()) {
    const auto* job = ledger.find(id);
    if (job->awaits_promised_start()) return job;
  }
  return nullptr;
}

const JobRecord* find_lacking_promise(const Ledger& ledger) {
  for (const auto& id : ledger.promised()) {
    const auto* job = ledger.find(id);
    if (!job->awaits_promised_start() && job->workers < job->wanted().min) return job;
  }
  return nullptr;
}

std::int64_t earliest_deadline_ms(std::int64_t lasts_ms, std::int64_t starts_by_ms) {
  return round_up(starts_by_ms + lasts_ms + kOfferLastsMs);
}

DeadlineOffer offer_deadline(const JobRecord& draft, std::optional<std::int64_t> starts_ms,
                             const Ledger& ledger, std::int64_t now_ms) {
  if (const auto* behind = find_promised_behind(draft, ledger)) {
    return refuse(fmt::format("{}job {} was promised its start by {} meanwhile, and this one, which was "
                              "submitted earlier, would come before it",
                              kNone, behind->id, to_time_text(behind->starts_by_ms)),
                  "pause it, and resume it when that job has started", true);
  }
  if (!starts_ms || find_lacking_promise(ledger) != nullptr) return refuse_unknown(draft, ledger, now_ms);
  const std::int64_t deadline_ms = deadline_of(draft), lasts_ms = draft.lasts_ms();
  const std::int64_t starts_by_ms = *starts_ms + kPromiseMarginMs;
  if (starts_by_ms + lasts_ms <= deadline_ms) return DeadlinePromised{draft.id, deadline_ms, starts_by_ms};
  const auto earliest = to_time_text(earliest_deadline_ms(lasts_ms, starts_by_ms));
  return refuse(
      fmt::format("its deadline {} cannot be promised: it starts by {} for certain and may run for {} s",
                  to_time_text(deadline_ms), to_time_text(round_up(starts_by_ms)), lasts_ms / 1000),
      fmt::format("within a minute deadline: {} can be promised; a shorter time_limit makes it sooner",
                  earliest));
}

}  // namespace ds::head

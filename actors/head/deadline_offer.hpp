#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "actors/gateway/http_server.hpp"
#include "scheduler/ledger/ledger.hpp"

namespace ds::head {

/// A promise has so much more time than a plan needs: for a head that is started again, and for workers that
/// start.
inline constexpr std::int64_t kPromiseMarginMs = 30'000;
/// Whoever takes the earliest deadline that was offered has so long to ask for it.
inline constexpr std::int64_t kOfferLastsMs = 60'000;

/// Why no deadline is promised, or not the one that was asked for, and what to do instead.
struct DeadlineRefused {
  std::string why, hint;
  bool may_pass = false;        ///< in some seconds: the head does not know yet what runs where
  bool is_for_resumed = false;  ///< the hint, to whoever resumes a job; else to whoever submits one
};

/// The answer to whoever submits such a job: 409, `unplaceable`; 503 where it may pass. Pure.
gateway::HttpResponse to_response(const DeadlineRefused& refused);

using DeadlineOffer = std::variant<scheduler::DeadlinePromised, DeadlineRefused>;

/// What a job with a deadline is promised, or why it isn't, with the earliest deadline that could be
/// promised. `draft` is what the ledger would make of it, or of one that is paused if it were resumed;
/// `starts_ms`: from then on it has its minimum for certain, none: nobody knows. Pure.
DeadlineOffer offer_deadline(const scheduler::JobRecord& draft, std::optional<std::int64_t> starts_ms,
                             const scheduler::Ledger& ledger, std::int64_t now_ms);

/// The earliest deadline that can be promised, and for a minute from now on, to a job that starts by then for
/// certain and then lasts so long at most.
std::int64_t earliest_deadline_ms(std::int64_t lasts_ms, std::int64_t starts_by_ms);

/// Of a job that is resumed and may not start now, whatever room there is: it is ending (it has no `demand`),
/// or waits after a crash; none: it may. Pure.
std::optional<DeadlineRefused> refuse_kept_back(const std::optional<scheduler::Demand>& demand);
/// Of a deadline that no cluster could keep: it has passed, or is nearer than what is left of the job's time
/// limit; none: another may. Pure.
std::optional<DeadlineRefused> refuse_hopeless(const scheduler::JobRecord& draft, std::int64_t now_ms);
/// Of a deadline of a job that can't start with the nodes there are, or with its quota: `reasons`, why it
/// waits, say so; none: they don't. Pure.
std::optional<DeadlineRefused> refuse_unfit(std::span<const scheduler::Reason> reasons);

/// Whether the job has a promise and waits still, though the moment to start that it was promised has passed
/// or it can't start with the nodes there are (`reasons`: why it waits). The promise is broken only when its
/// deadline can't be kept any more. Pure.
bool is_promise_at_risk(const scheduler::JobRecord& job, std::span<const scheduler::Reason> reasons,
                        std::int64_t now_ms);

/// What its owner is told of a job that had a promise until it was paused (`has_given_promise_up`), and how
/// to have one again.
std::string given_up_text(const scheduler::JobRecord& job);
/// And of one that is resumed, and not promised its deadline again: why, and what to do that helps a job that
/// has run. No earliest deadline, since one that is submitted once more has its whole time limit again.
std::string not_renewed_text(const DeadlineRefused& refused);

/// Jobs that were promised a moment to start and wait for it.
std::size_t count_waiting_promises(const scheduler::Ledger& ledger);
/// One of them; none: there is no such.
const scheduler::JobRecord* find_waiting_promise(const scheduler::Ledger& ledger);
/// One that has started and lacks workers; none: there is no such.
const scheduler::JobRecord* find_lacking_promise(const scheduler::Ledger& ledger);

}  // namespace ds::head

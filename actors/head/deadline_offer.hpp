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

/// What a job with a deadline is promised, or the answer that refuses it (409, `unplaceable`) with the
/// earliest deadline that could be promised, or why there is none. `draft` is what the ledger would make of
/// it; `starts_ms`: from then on it has its minimum for certain, none: nobody knows. Pure.
std::variant<scheduler::DeadlinePromised, gateway::HttpResponse> offer_deadline(
    const scheduler::JobRecord& draft, std::optional<std::int64_t> starts_ms, const scheduler::Ledger& ledger,
    std::int64_t now_ms);

/// The earliest deadline that can be promised, and for a minute from now on, to a job that starts by then for
/// certain.
std::int64_t earliest_deadline_ms(const scheduler::JobSpec& spec, std::int64_t starts_by_ms);

/// The answer to a deadline that no cluster could keep: it has passed, or is nearer than the job's time
/// limit; none: another may. Pure.
std::optional<gateway::HttpResponse> refuse_hopeless(const scheduler::JobSpec& spec, std::int64_t now_ms);
/// The answer to a deadline of a job that can't start with the nodes there are, or with its quota: `reasons`,
/// why it waits, say so; none: they don't. Pure.
std::optional<gateway::HttpResponse> refuse_unfit(std::span<const scheduler::Reason> reasons);

/// Whether the job has a promise and waits still, though the moment to start that it was promised has passed
/// or it can't start with the nodes there are (`reasons`: why it waits). The promise is broken only when its
/// deadline can't be kept any more. Pure.
bool is_promise_at_risk(const scheduler::JobRecord& job, std::span<const scheduler::Reason> reasons,
                        std::int64_t now_ms);

/// What its owner is told of a job that had a promise until it was paused (`has_given_promise_up`), and how
/// to have one again.
std::string given_up_text(const scheduler::JobRecord& job);

/// Jobs that were promised a moment to start and wait for it.
std::size_t count_waiting_promises(const scheduler::Ledger& ledger);
/// One of them; none: there is no such.
const scheduler::JobRecord* find_waiting_promise(const scheduler::Ledger& ledger);
/// One that has started and lacks workers; none: there is no such.
const scheduler::JobRecord* find_lacking_promise(const scheduler::Ledger& ledger);

}  // namespace ds::head

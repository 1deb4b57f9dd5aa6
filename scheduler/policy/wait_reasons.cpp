#include "scheduler/policy/wait_reasons.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>

#include "scheduler/policy/gpu_kind.hpp"
#include "scheduler/policy/quota_reasons.hpp"
#include "scheduler/spec/gpu_kind_name.hpp"
#include "scheduler/spec/scalars.hpp"

namespace ds::scheduler {
namespace {

/// Of the kind that the job needs, on available nodes.
GpuCount gpus_of_kind(const WaitFacts& facts) {
  GpuCount count{facts.gpu_kind};
  for (const GpuCount& one : facts.gpus_there) {
    if (!is_gpu_kind(facts.gpu_kind, one.kind)) continue;
    count.total += one.total;
    count.free += one.free;
  }
  return count;
}

/// Those of other kinds: `4 of 8 A100 and 1 of 1 L4`, or without what is free.
std::string other_gpus(const WaitFacts& facts, bool with_free) {
  std::string text;
  for (const GpuCount& one : facts.gpus_there) {
    if (is_gpu_kind(facts.gpu_kind, one.kind)) continue;
    if (!text.empty()) text += " and ";
    if (with_free) text += std::to_string(one.free) + " of ";
    text += std::to_string(one.total) + " " + one.kind;
  }
  return text;
}

/// Names those that have the room, and where they are too many says how many of them suffice.
void name_occupants(Reason& reason, const WaitFacts& facts) {
  const InTheWay& occupants = facts.occupants;
  name_blocking(reason, occupants.names, occupants.count);
  if (reason.unnamed == 0) return;
  reason.text += "; " + std::to_string(occupants.names.size()) + " of the " +
                 count_of(occupants.count, "job") + " in the way are named";
  reason.enough = occupants.enough;
  if (occupants.enough > 0)
    reason.text +=
        ", and without the " + std::to_string(occupants.enough) + " of them with the most slots it fits";
}

/// For those of which the text says how many there are.
std::string cut_text(const Reason& reason) {
  return reason.unnamed == 0 ? "" : "; " + std::to_string(reason.blocking.size()) + " of them are named";
}

Reason gang_partial(const WaitFacts& facts) {
  const std::uint32_t missing = facts.needed - facts.workers;
  Reason reason{"gang_partial",
                "has " + std::to_string(facts.workers) + " of the " + wanted(facts) + " that it needs, and " +
                    std::to_string(facts.fitting_now) + " of the " + std::to_string(missing) +
                    " missing fit now",
                {}};
  name_occupants(reason, facts);
  if (facts.ahead == 0) return reason;
  // Those want what becomes free as well; some of them may be gangs that have workers, and are named already.
  const std::size_t unnamed = reason.unnamed;
  name_blocking(reason, facts.ahead_names, 0);
  const auto left_out =
      static_cast<std::size_t>(std::ranges::count_if(facts.ahead_names, [&](const auto& job) {
        return std::ranges::find(reason.blocking, job) == reason.blocking.end();
      }));
  const std::size_t most_named = std::min(facts.ahead, reason.blocking.size());
  reason.unnamed = std::max({unnamed, left_out, facts.ahead - most_named});
  if (unnamed == 0 && reason.unnamed > 0)
    reason.text += "; " + std::to_string(reason.blocking.size()) + " of the jobs in the way are named, and " +
                   count_of(facts.ahead, "job") + " of its queue " + (facts.ahead == 1 ? "waits" : "wait") +
                   " before it";
  return reason;
}

Reason backoff(const WaitFacts& facts) {
  std::string text = "waits after a crash before it starts " + wanted(facts) + " again";
  if (facts.restart > 0) text += ", restart " + std::to_string(facts.restart);
  if (facts.restart > 0 && facts.restart <= facts.restart_limit)
    text += " of " + std::to_string(facts.restart_limit);
  if (facts.held_until_ms > 0) text += ", at " + to_time_text(facts.held_until_ms);
  return {"backoff_restart", std::move(text), {}};
}

Reason never_fits(const WaitFacts& facts) {
  return {"never_fits",
          "needs " + wanted(facts) + " at once, and " + count_of(facts.available_nodes, "available node") +
              " with " + slots_text(facts.total_slots) +
              (facts.gpus > 0 ? " and " + gpus_of(gpus_of_kind(facts).total, facts.gpu_kind) : "") +
              " have room for " + std::to_string(facts.fitting_ever) + " even when empty",
          {}};
}

/// `; n1, n2 are closed`; empty: there is none.
std::string missing_text(std::span<const MissingNode> nodes, bool closed) {
  std::string names;
  std::size_t count = 0;
  for (const MissingNode& one : nodes) {
    if (one.is_closed == closed) names += (count++ == 0 ? "; " : ", ") + one.id;
  }
  if (count == 0) return {};
  names += count == 1 ? " is" : " are";
  return names + (closed ? " closed (ds-submit undrain NODE opens " + std::string(count == 1 ? "it)" : "one)")
                         : " down or about to end");
}

Reason drained(const WaitFacts& facts) {
  Reason reason{"drain",
                "needs " + wanted(facts) + " at once; with " + count_of(facts.unavailable_nodes, "node") +
                    " down or closed there is room for " + std::to_string(facts.fitting_ever) +
                    ", with all nodes for " + std::to_string(facts.fitting_undrained) +
                    missing_text(facts.missing_nodes, true) + missing_text(facts.missing_nodes, false),
                {}};
  for (const MissingNode& one : facts.missing_nodes) reason.nodes.push_back(one.id);
  reason.unnamed_nodes = facts.missing_node_count - facts.missing_nodes.size();
  if (reason.unnamed_nodes > 0)
    reason.text += "; " + std::to_string(reason.nodes.size()) + " of the " +
                   count_of(facts.missing_node_count, "node") + " with room for it are named";
  return reason;
}

/// `120 s`: those begun count.
std::string seconds_text(std::int64_t ms) {
  return std::to_string((ms + 999) / 1000) + " s";
}

std::string lasts_text(const KeptFor& kept) {
  return kept.lasts_ms > 0 ? "may run for " + seconds_text(kept.lasts_ms) : "has no time_limit";
}

/// One with an accepted deadline, of whatever queue, would not have its room.
Reason promised(const WaitFacts& facts) {
  const KeptFor& kept = *facts.promised;
  return {"priority_behind",
          "needs " + wanted(facts) + ", and " + kept.job + " was promised its room from " +
              to_time_text(*kept.at_ms) + " on at the latest, in " + seconds_text(*kept.at_ms - kept.now_ms) +
              ", which it would not have beside this job, which " + lasts_text(kept),
          {kept.job}};
}

Reason would_borrow(const WaitFacts& facts) {
  Reason reason{
      "quota_tenant",
      "needs " + wanted(facts) + " within what " + facts.promise_queue +
          " is guaranteed, and not so many are left of that now: as nothing is taken from a job with "
          "a promised deadline, it borrows nothing",
      {}};
  name_blocking(reason, facts.promise_claimants, facts.promise_claimants.size());
  return reason;
}

/// Why what is free is kept from the job.
std::string kept_for(const WaitFacts& facts) {
  if (!facts.kept_for) return {};
  const KeptFor& kept = *facts.kept_for;
  const std::string own = lasts_text(kept);
  if (kept.is_guarantee)
    return "; it would fit now, but beside it " + kept.job + " would need more than its queue is guaranteed";
  if (!kept.at_ms && kept.likely_ms)
    return "; it would fit now, but " + kept.job + " is likely to have the room from about " +
           to_time_text(*kept.likely_ms) + " on, in " + seconds_text(*kept.likely_ms - kept.now_ms) +
           ", by what running jobs without a time_limit have left, and this job " + own;
  if (!kept.at_ms)
    return "; it would fit now, but jobs without a time_limit run, so that nobody knows when " + kept.job +
           " needs the room";
  return "; it would fit now, but " + kept.job + " has the room from " + to_time_text(*kept.at_ms) +
         " on at the latest, in " + seconds_text(*kept.at_ms - kept.now_ms) + ", and this job " + own;
}

Reason behind(const WaitFacts& facts) {
  std::string why;
  const auto add = [&](bool is_true, const char* what) {
    if (is_true) why += (why.empty() ? " " : " or ") + std::string(what);
  };
  add(facts.ahead_by_promise > 0, "with an accepted deadline");
  add(facts.ahead_by_priority > facts.ahead_by_promise, "of higher priority");
  add(facts.ahead > facts.ahead_by_priority, "submitted earlier");
  Reason reason{"priority_behind",
                "needs " + wanted(facts) + ", and " + count_of(facts.ahead, "job") + why +
                    " must start first" + kept_for(facts),
                {}};
  name_blocking(reason, facts.ahead_names, facts.ahead);
  reason.text += cut_text(reason);
  return reason;
}

/// They do not keep it back, but may have what it waits for.
Reason after_fixed(const WaitFacts& facts) {
  Reason reason{"priority_behind",
                "needs " + wanted(facts) + ", and " + count_of(facts.fixed_ahead, "job") +
                    " before it that " + (facts.fixed_ahead == 1 ? "is" : "are") +
                    " not preemptible may start first, as soon as what others are guaranteed is left to them",
                {}};
  name_blocking(reason, facts.fixed_ahead_names, facts.fixed_ahead);
  reason.text += cut_text(reason);
  return reason;
}

Reason turn(const WaitFacts& facts) {
  const TurnFacts& turn = *facts.turn;
  std::string text = "needs " + wanted(facts);
  if (turn.jobs > 0) {
    text += ", and it is the turn of " + count_of(turn.jobs, "job") + " of other queues: " + turn.first_queue;
    text += turn.is_first_guaranteed
                ? (turn.has_gpu_guarantees ? " is still within what it is guaranteed"
                                           : " is still within its guaranteed slots")
                : (turn.first_side == turn.first_queue ? "" : ", and " + turn.first_side) + " has " +
                      share_text(turn.first_share) + " of the cluster for its weight, " + turn.own_side +
                      " " + share_text(turn.own_share);
  }
  if (!turn.claimants.empty())
    text += std::string(turn.jobs > 0 ? "; " : ", and ") + "for what " + turn.own_queue + " is guaranteed " +
            count_of(turn.claimants.size(), "job") + (turn.claimants.size() == 1 ? " comes" : " come") +
            " before it";
  if (facts.ahead == 0) text += kept_for(facts);
  Reason reason{"fair_share_turn", std::move(text), {}};
  name_blocking(reason, turn.names, turn.jobs);
  const std::size_t unnamed = reason.unnamed;
  const std::size_t named = reason.blocking.size();
  name_blocking(reason, turn.claimants, 0);
  const auto is_unnamed = [&](const std::string& job) {
    return std::ranges::find(reason.blocking, job) == reason.blocking.end();
  };
  const auto left_out = std::ranges::count_if(turn.claimants, is_unnamed);
  reason.unnamed = unnamed + static_cast<std::size_t>(left_out);
  if (unnamed > 0)
    reason.text += "; " + std::to_string(named) + " of the " + count_of(turn.jobs, "job") + " are named";
  return reason;
}

/// Without them it could be another's turn, or others not keep what they have.
void add_claimants_elsewhere(const WaitFacts& facts, std::vector<Reason>& reasons) {
  const std::size_t count = facts.claimant_elsewhere_count;
  const std::string text = "who else is within what queues are guaranteed goes by " + count_of(count, "job") +
                           (count == 1 ? " that waits" : " that wait");
  auto reason = std::ranges::find(reasons, "fair_share_turn", &Reason::code);
  if (reason == reasons.end()) {
    reasons.push_back({"fair_share_turn", "needs " + wanted(facts) + ", and " + text, {}});
    reason = std::prev(reasons.end());
  } else {
    reason->text += "; " + text;
  }
  const std::size_t unnamed = reason->unnamed;
  name_blocking(*reason, facts.claimants_elsewhere, 0);
  const auto left_out = std::ranges::count_if(facts.claimants_elsewhere, [&](const std::string& job) {
    return std::ranges::find(reason->blocking, job) == reason->blocking.end();
  });
  reason->unnamed = unnamed + count - facts.claimants_elsewhere.size() + static_cast<std::size_t>(left_out);
}

/// Who goes where.
std::string moving(std::span<const Relocation> relocations) {
  std::string text;
  for (const Relocation& one : relocations)
    text += (text.empty() ? "; for that a worker of job " : ", of job ") + one.job + " moves from node " +
            one.from + " to node " + one.to;
  return text;
}

/// What will make room, if that is known.
std::string coming(const WaitFacts& facts) {
  std::string text;
  if (facts.room_is_coming) {
    text += "; it starts when " + count_of(facts.releasing, "worker") +
            (facts.releasing == 1 ? " that is stopping is gone" : " that are stopping are gone");
    text += moving(facts.relocations);
  } else if (facts.too_young > 0) {
    text += "; " + count_of(facts.too_young, "job") + " that can be preempted for it " +
            (facts.too_young == 1 ? "has" : "have") + " not run for " + std::to_string(kMinimumRun.count()) +
            " s yet";
  }
  return text;
}

/// What to say where what is free would do, but is scattered over the nodes.
std::string scattered(const WaitFacts& facts) {
  const bool are_slots_short =
      facts.gpus == 0 && !facts.is_together && facts.fitting_now == facts.fitting_now_by_slots;
  if (!are_slots_short || facts.needed * facts.slots > facts.free_slots) return {};
  return std::string(", but no node has enough for ") + (facts.fitting_now == 0 ? "a worker" : "one more");
}

/// The same where a worker needs GPUs too: `there` are of its kind.
std::string scattered_with_gpus(const WaitFacts& facts, const GpuCount& there) {
  const bool is_enough_free = facts.needed * facts.slots <= facts.free_slots &&
                              std::uint64_t{facts.needed} * facts.gpus <= there.free;
  if (facts.is_together || facts.fitting_now < facts.fitting_now_by_slots || !is_enough_free) return {};
  return std::string(", but no node has enough of both for ") +
         (facts.fitting_now == 0 ? "a worker" : "one more");
}

Reason no_capacity(const WaitFacts& facts) {
  std::string text = "needs " + wanted(facts) + " at once, and " + std::to_string(facts.fitting_now) +
                     (facts.fitting_now == 1 ? " fits now: " : " fit now: ") + number_text(facts.free_slots) +
                     " of " + slots_text(facts.total_slots) +
                     (facts.free_slots == 1 ? " is free" : " are free") + scattered(facts);
  if (facts.gpus > 0) {
    const GpuCount there = gpus_of_kind(facts);
    text += ", and " + std::to_string(there.free) + " of " + gpus_of(there.total, there.kind) +
            scattered_with_gpus(facts, there);
  }
  Reason reason{"no_capacity_now", text + coming(facts), {}};
  name_occupants(reason, facts);
  return reason;
}

Reason memory(const WaitFacts& facts, std::uint64_t fitting, std::uint64_t fitting_by_slots) {
  return {"memory",
          "each worker needs " + to_size_text(facts.memory_bytes) + " of memory, which leaves room for " +
              std::to_string(fitting) + " where there are slots " + (facts.gpus > 0 ? "and GPUs " : "") +
              "for " + std::to_string(fitting_by_slots),
          {}};
}

/// Now there is, and the one for whom room is kept may lack nothing but a quota now.
Reason no_capacity_beside(const WaitFacts& facts) {
  Reason reason{"no_capacity_now",
                "needs " + wanted(facts) + " beside the room that is kept for " + facts.kept_for->job +
                    ", and there is not enough for both",
                {}};
  name_blocking(reason, facts.everybody.names, facts.everybody.count);
  reason.text += cut_text(reason);
  return reason;
}

/// There would be room if its workers need not be together.
Reason topology_now(const WaitFacts& facts) {
  const std::string where = facts.node.empty() ? "the node with the most room has it for "
                                               : "node " + facts.node + ", where it is, has room for ";
  Reason reason{"topology",
                "needs " + wanted(facts) + ", and " + where + std::to_string(facts.fitting_now) +
                    " now, all nodes together for " + std::to_string(facts.fitting_now_apart) + coming(facts),
                {}};
  name_occupants(reason, facts);
  return reason;
}

Reason topology_ever(const WaitFacts& facts) {
  return {
      "topology",
      "needs " + wanted(facts) + ", and all available nodes together have room for " +
          std::to_string(facts.fitting_ever_apart) + " when empty, one alone for " +
          std::to_string(facts.fitting_ever) +
          (facts.node.empty() ? ""
                              : "; it has workers on node " + facts.node + ": pause and resume it to move"),
      {}};
}

/// There would be room on GPUs of other kinds.
Reason gpu_type_now(const WaitFacts& facts) {
  const GpuCount there = gpus_of_kind(facts);
  return {"gpu_type",
          "each worker needs " + gpus_of(facts.gpus, facts.gpu_kind) + ", of which " +
              std::to_string(there.free) + " of " + std::to_string(there.total) +
              (there.free == 1 ? " is" : " are") + " free; of other kinds " + other_gpus(facts, true),
          {}};
}

Reason gpu_type_ever(const WaitFacts& facts) {
  const auto total = gpus_of_kind(facts).total;
  const std::string those = split_gpu_kinds(facts.gpu_kind).size() > 1 ? "those kinds" : "that kind";
  return {"gpu_type",
          "each worker needs " + gpus_of(facts.gpus, facts.gpu_kind) + ", and available nodes have " +
              (total == 0 ? "0 of " + those
                          : std::to_string(total) + " of " + those + ", too few or too far apart") +
              "; of other kinds " + other_gpus(facts, false),
          {}};
}

/// What those wait for that keep the job back, it waits for as well.
void add_reasons_of_first(const WaitFacts& facts, std::vector<Reason>& reasons) {
  for (const Wait& first : facts.first) {
    for (Reason reason : first.reasons) {
      if (reason.code == "gang_partial") reason.code = "no_capacity_now";  // it has no workers itself
      std::erase(reason.blocking, facts.job);
      const auto known = std::ranges::find(reasons, reason.code, &Reason::code);
      if (known == reasons.end()) {
        reason.text = first.job + ", which comes first, " + reason.text;
        reasons.push_back(std::move(reason));
        continue;
      }
      const std::size_t named = known->blocking.size();
      const std::size_t unnamed = std::max(known->unnamed, reason.unnamed);
      name_blocking(*known, reason.blocking, 0);
      const auto left_out = std::ranges::count_if(reason.blocking, [&](const std::string& job) {
        return std::ranges::find(known->blocking, job) == known->blocking.end();
      });
      known->unnamed = std::max(unnamed, static_cast<std::size_t>(left_out));
      if (known->blocking.size() > named) known->enough = 0;  // of its own alone
    }
  }
}

}  // namespace

std::string share_text(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.2f", share);
  return text.data();
}

bool waits_for_ever(const WaitFacts& facts) {
  if (!facts.unknown_tenant.empty() || facts.fitting_undrained < facts.needed) return true;
  if (!facts.quota || !facts.quota->is_for_ever) return false;
  return !is_of_all(*facts.quota) || facts.unavailable_nodes == 0;  // the more slots the more are lent
}

std::vector<Reason> explain_wait(const WaitFacts& facts) {
  std::vector<Reason> reasons;
  if (facts.workers > 0) reasons.push_back(gang_partial(facts));
  if (facts.held) {
    reasons.push_back(backoff(facts));
  } else if (!facts.unknown_tenant.empty()) {
    reasons.push_back(no_tenant(facts));
    reasons.push_back(never_allowed(facts));
  } else if (facts.fitting_ever < facts.needed) {
    reasons.push_back(facts.fitting_undrained >= facts.needed ? drained(facts) : never_fits(facts));
    if (facts.fitting_ever_by_slots >= facts.needed) {
      reasons.push_back(memory(facts, facts.fitting_ever, facts.fitting_ever_by_slots));
    }
    if (facts.fitting_ever_on_any >= facts.needed) reasons.push_back(gpu_type_ever(facts));
    if (facts.is_together && facts.fitting_ever_apart >= facts.needed)
      reasons.push_back(topology_ever(facts));
  } else if (!facts.instead.empty()) {
    std::ranges::copy(facts.instead, std::back_inserter(reasons));
  } else {
    const std::uint32_t missing = facts.needed - facts.workers;
    if (facts.quota && (!are_slots_used_up(facts) || !facts.quota->others.empty())) {
      reasons.push_back(quota(facts));
      if (facts.fitting_now >= missing) reasons.back().text += coming(facts);  // else the next says it
    }
    if (facts.quota && facts.quota->is_for_ever) {
      if (waits_for_ever(facts)) reasons.push_back(never_allowed(facts));
      return reasons;
    }
    if (!facts.promise_queue.empty() && !facts.quota) reasons.push_back(would_borrow(facts));
    // A started gang is not kept back by those ahead.
    if (facts.ahead > 0 && (facts.workers == 0 || facts.is_extra)) reasons.push_back(behind(facts));
    if (facts.fixed_ahead > 0) reasons.push_back(after_fixed(facts));
    if (facts.turn) reasons.push_back(turn(facts));
    if (facts.claimant_elsewhere_count > 0) add_claimants_elsewhere(facts, reasons);
    if (facts.promised) reasons.push_back(promised(facts));
    const bool is_apart = facts.is_together && facts.fitting_now_apart >= missing;
    if (facts.fitting_now < missing && is_apart) {
      reasons.push_back(topology_now(facts));
    } else if (facts.workers == 0 && facts.fitting_now < missing) {
      reasons.push_back(no_capacity(facts));
    }
    if (facts.fitting_now < missing && facts.fitting_now_by_slots >= missing) {
      reasons.push_back(memory(facts, facts.fitting_now, facts.fitting_now_by_slots));
    }
    if (facts.fitting_now < missing && facts.fitting_now_on_any >= missing)
      reasons.push_back(gpu_type_now(facts));
    add_reasons_of_first(facts, reasons);
    const bool is_kept_back = facts.kept_for && !facts.kept_for->is_guarantee;
    const auto names_occupants = [](const Reason& reason) {
      return reason.code == "no_capacity_now" || reason.code == "topology";
    };
    if (is_kept_back && std::ranges::none_of(reasons, names_occupants))
      reasons.push_back(no_capacity_beside(facts));
  }
  return reasons;
}

void add_crash(Reason& reason, std::string_view crash) {
  if (reason.code == "backoff_restart" && !crash.empty()) reason.text += "; it was: " + std::string(crash);
}

}  // namespace ds::scheduler

#include "clients/doctor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "clients/guarantees.hpp"
#include "clients/json_fields.hpp"
#include "clients/printable.hpp"
#include "clients/text_table.hpp"
#include "clients/time_text.hpp"
#include "clients/word_list.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;
using Result = Check::Result;

constexpr std::uint64_t kFewDescriptors = 4096;           // a head has one a connection, a node one a process
constexpr std::uint64_t kLittleSharedMemory = 64U << 20;  // UCX takes some for each peer
constexpr std::int64_t kLittleDisk = std::int64_t{1} << 30;
constexpr std::int64_t kClockDifferenceMs = 2000;
constexpr std::size_t kMostNamed = 5;

Check check_programs(const MachineFacts& facts) {
  const std::string folder = facts.folder.string();
  if (facts.missing.empty()) return {"programs", Result::ok, "all programs are in " + folder, ""};
  return {"programs", Result::warn,
          fmt::format("{} not beside ds-submit in {}", join_words(facts.missing), folder),
          "ds-submit up needs them: cmake --build --preset release, or cmake --install"};
}

Check check_descriptors(const MachineFacts& facts) {
  const std::uint64_t most = facts.most_descriptors;
  const std::string text =
      most == 0 ? "open files without a limit" : fmt::format("at most {} open files", most);
  if (most == 0 || most >= kFewDescriptors) return {"descriptors", Result::ok, text, ""};
  return {"descriptors", Result::warn, text + " for what is started from here",
          fmt::format("ulimit -Hn {} or more before a head or a node is started; each connection takes one",
                      kFewDescriptors)};
}

bool names(const std::string& list, std::string_view word) {
  return ("," + list + ",").find("," + std::string(word) + ",") != std::string::npos;
}

/// Whether UCX takes any of these. A list that begins with ^ has those that it does not take.
bool takes_any(const std::string& list, const std::vector<std::string_view>& words) {
  if (!list.starts_with('^'))
    return std::ranges::any_of(words, [&](std::string_view word) { return names(list, word); });
  const std::string left_out = list.substr(1);
  return std::ranges::none_of(words, [&](std::string_view word) { return names(left_out, word); });
}

/// Without the variable the programs take tcp and self, which need nothing of the machine.
Check check_transport(const MachineFacts& facts) {
  const std::string& list = facts.ucx_tls;
  if (list.empty()) return {"transport", Result::ok, "UCX takes TCP (UCX_TLS is not set)", ""};
  const std::string set = fmt::format("UCX_TLS={} is set", printable_line(list));
  if (!takes_any(list, {"tcp", "all"})) {
    return {"transport", Result::warn, set + ": without tcp",
            "unset UCX_TLS before a head or a node is started, else other machines may be out of reach"};
  }
  const bool shares = takes_any(list, {"all", "shm", "sm", "posix"});
  if (shares && facts.shm_free.value_or(0) < kLittleSharedMemory) {
    return {
        "transport", Result::warn,
        set + " and takes shared memory, of which /dev/shm has " +
            (facts.shm_free ? format_bytes(static_cast<std::int64_t>(*facts.shm_free)) + " free" : "none"),
        "unset UCX_TLS, or make /dev/shm larger: mount -o remount,size=1G /dev/shm"};
  }
  return {"transport", Result::ok, set, ""};
}

Check check_version(const json& cluster, const std::string& own) {
  const std::string version = text_at(cluster, "version");
  if (version == own) return {"version", Result::ok, "head and ds-submit are " + own, ""};
  return {"version", Result::warn, fmt::format("the head is {}, ds-submit {}", printable_line(version), own),
          "use programs of one version: an older head does not know what a newer ds-submit asks for"};
}

std::optional<Check> check_clock(const HeadFacts& facts) {
  const auto head_ms = integer_at(facts.cluster, "time_ms");
  if (head_ms == 0) return std::nullopt;  // an older head does not say it
  // Whenever between the two the head has looked.
  const auto ahead = std::max<std::int64_t>(0, head_ms - facts.answered_ms);
  const auto behind = std::max<std::int64_t>(0, facts.asked_ms - head_ms);
  const auto off = std::max(ahead, behind);
  if (off <= kClockDifferenceMs) return Check{"clock", Result::ok, "the head's clock and this one agree", ""};
  return Check{"clock", Result::warn,
               fmt::format("the head's clock is {} {} this one", format_duration(off / 1000),
                           ahead > 0 ? "ahead of" : "behind"),
               "set both by NTP: ages, start_after and deadline are by the head's clock"};
}

std::optional<Check> check_disk(const json& cluster) {
  const auto free = number_at(cluster, "disk.free_bytes"), all = number_at(cluster, "disk.bytes");
  if (!free || !all) return std::nullopt;
  const auto bytes = static_cast<std::int64_t>(*free);
  const std::string text = fmt::format("{} of {} free on the disk of the head's --data-dir",
                                       format_bytes(bytes), format_bytes(static_cast<std::int64_t>(*all)));
  const auto full = cluster.at("disk").find("is_full");
  if (full != cluster.at("disk").end() && *full == true)
    return Check{"disk", Result::fail, text + ": it refuses submissions", "make room there"};
  if (bytes < kLittleDisk)
    return Check{"disk", Result::warn, text, "make room there before submissions are refused"};
  return Check{"disk", Result::ok, text, ""};
}

/// What is said of a node before the details: `drained` of `drained: its disk is changed`.
std::string gist_of(const std::string& reason) {
  return printable_line(reason.substr(0, reason.find(':')));
}

struct NodeLists {
  std::vector<std::string> closed, gone;
  std::size_t open = 0;
  double slots = 0;            ///< of those that are open
  bool some_are_kept = false;  ///< of those that are gone
};

NodeLists sort_nodes(const json& nodes) {
  NodeLists lists;
  for (const auto& node : nodes) {
    const std::string state = text_at(node, "state"), reason = text_at(node, "reason"),
                      id = printable_line(text_at(node, "id"));
    if (state == "DOWN") {
      // The head keeps what an operator, or itself, has closed until it is opened again.
      const std::string gist = gist_of(reason);
      const bool is_kept = gist == "drained" || gist == "cordoned" || gist == "quarantined";
      lists.some_are_kept |= is_kept;
      lists.gone.push_back(is_kept ? id + " (" + gist + ")" : id);
    } else if (state != "UP") {
      lists.closed.push_back(id + " (" + state + ")");
    } else if (!reason.empty()) {
      lists.closed.push_back(id + " (" + gist_of(reason) + ")");
    } else {
      ++lists.open;
      lists.slots += number_at(node, "slots").value_or(0);
    }
  }
  return lists;
}

std::vector<Check> check_nodes(const json& nodes) {
  const auto [closed, gone, open, slots, some_are_kept] = sort_nodes(nodes);
  std::vector<Check> checks;
  if (open == 0) {
    checks.push_back({"nodes", Result::fail, "no node is up and open, so nothing starts",
                      "start ds-node, or ds-submit undrain NODE; ds-submit nodes lists those there are"});
  } else {
    checks.push_back(
        {"nodes", Result::ok,
         fmt::format("{} node{} open, with {:g} slots", open, open == 1 ? " is" : "s are", slots), ""});
  }
  if (!closed.empty()) {
    checks.push_back(
        {"closed_nodes", Result::warn, "nothing new goes to " + join_words(closed),
         "ds-submit nodes says why; ds-submit undrain NODE opens one that was drained, cordoned or "
         "quarantined"});
  }
  if (!gone.empty()) {
    const std::string hint = "start ds-node there again, or leave them: after ten minutes they are forgotten";
    checks.push_back({"lost_nodes", Result::warn, "not heard of: " + join_words(gone),
                      hint + (some_are_kept ? ", those in brackets only after ds-submit undrain NODE" : "")});
  }
  return checks;
}

std::optional<Check> check_guarantees(const json& tenants) {
  std::vector<std::string> parts;
  bool can_be_kept = true;
  for (const auto& one : guarantees_of(tenants)) {
    parts.push_back(one.text());
    can_be_kept = can_be_kept && one.can_be_kept();
  }
  if (parts.empty()) return std::nullopt;
  const std::string text = "tenants are guaranteed " + join_words(parts) + " together";
  if (can_be_kept) return Check{"guarantees", Result::ok, text, ""};
  return Check{"guarantees", Result::warn, text + ": not all can have theirs",
               "bring more nodes up, or guarantee less: ds-submit tenants --apply FILE"};
}

Check check_never_fit(double count, const std::vector<std::string>& known) {
  if (count == 0) return {"never_fits", Result::ok, "no job waits for what there can never be", ""};
  const std::vector<std::string> named(known.begin(), known.begin() + std::min(kMostNamed, known.size()));
  return {"never_fits", Result::warn,
          fmt::format("{:g} job{} can never start with the nodes and quotas there are{}{}", count,
                      count == 1 ? "" : "s", named.empty() ? "" : ": ", printable_line(join_words(named))),
          "ds-submit why JOB says what is short; ds-submit cancel JOB, or bring up a node that has it"};
}

/// What was not looked at may be wrong as well.
Check report_unanswered(const Unanswered& one) {
  return {"answers", Result::fail, fmt::format("no answer to {}: {}", one.question, one.message),
          one.hint.empty() ? "try again in a moment; the head's log may say why" : one.hint};
}

}  // namespace

std::vector<Check> check_machine(const MachineFacts& facts) {
  return {check_programs(facts), check_descriptors(facts), check_transport(facts)};
}

std::vector<Check> check_head(const HeadFacts& facts, const std::string& own_version) {
  std::vector<Check> checks{check_version(facts.cluster, own_version)};
  for (auto& check : {check_clock(facts), check_disk(facts.cluster)}) {
    if (check) checks.push_back(*check);
  }
  if (!facts.nodes.is_null()) {
    for (auto& check : check_nodes(facts.nodes)) checks.push_back(check);
  }
  if (const auto check = check_guarantees(facts.tenants)) checks.push_back(*check);
  if (facts.metrics) checks.push_back(check_never_fit(count_never_fitting(*facts.metrics), facts.never_fit));
  for (const auto& one : facts.unanswered) checks.push_back(report_unanswered(one));
  return checks;
}

double count_never_fitting(const std::vector<Sample>& metrics) {
  double count = 0;
  for (const auto& sample : metrics) {
    const auto reason = sample.labels.find("reason");
    if (sample.name == "ds_pending_jobs" && reason != sample.labels.end() && reason->second == "never_fits")
      count += sample.value;
  }
  return count;
}

bool has_failed(const std::vector<Check>& checks) {
  return std::ranges::any_of(checks, [](const Check& check) { return check.result == Result::fail; });
}

json to_json(const std::vector<Check>& checks) {
  constexpr const char* kResults[] = {"ok", "warn", "fail"};
  json list = json::array();
  for (const Check& check : checks) {
    list.push_back({{"check", check.what},
                    {"result", kResults[static_cast<std::size_t>(check.result)]},
                    {"text", check.text},
                    {"hint", check.hint}});
  }
  return {{"checks", list}, {"ok", !has_failed(checks)}};
}

std::string format_checks(const std::vector<Check>& checks, bool coloured) {
  constexpr std::pair<const char*, Colour> kResults[] = {
      {"ok  ", Colour::green}, {"warn", Colour::yellow}, {"fail", Colour::red}};
  std::string out;
  for (const Check& check : checks) {
    const auto& [word, colour] = kResults[static_cast<std::size_t>(check.result)];
    out += (coloured ? colour_text(word, colour) : word) + std::string("  ") + check.text + "\n";
    if (!check.hint.empty()) out += "      " + check.hint + "\n";
  }
  return out;
}

}  // namespace ds::clients

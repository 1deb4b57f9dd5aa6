#include "tests/integration/lease_journal.hpp"

#include <algorithm>
#include <regex>
#include <set>
#include <variant>

#include "scheduler/ledger/event.hpp"
#include "storage/state/journal.hpp"

namespace ds::tests {
namespace {

using namespace scheduler;

std::string value_of(const std::string& job_file, const std::string& key) {
  std::smatch match;
  return std::regex_search(job_file, match, std::regex("(^|\n)" + key + ": (\\S+)")) ? match[2].str() : "";
}

class Reader {
 public:
  LeaseJournal take() && { return std::move(found_); }

  void read(const Event& event) {
    std::visit([this](const auto& body) { on(body); }, event.body);
  }
  void fail(std::string why) {
    if (found_.fault.empty()) found_.fault = std::move(why);
  }

 private:
  template <class Other>
  void on(const Other&) {}

  void on(const JobSubmitted& body) {
    found_.ends[body.job];
    const std::string tenant = value_of(body.text, "tenant"), queue = value_of(body.text, "queue");
    queues_[body.job] = {tenant};
    if (!queue.empty()) queues_[body.job].push_back(tenant + "/" + queue);
  }

  void on(const LeaseGranted& body) {
    if (body.worker <= newest_) fail("worker " + std::to_string(body.worker) + " was granted twice");
    newest_ = body.worker;
    if (!found_.ends[body.job].empty()) fail("a slot was granted to " + body.job + ", which had ended");
    leases_[body.worker] = body;
    if (body.slots == 0) return;
    ++found_.grants;
    grow(on_node_, found_.most_on_node, body.node, body.slots);
    for (const auto& queue : queues_[body.job]) grow(of_queue_, found_.most_of_queue, queue, body.slots);
  }

  void on(const LeaseReleasing& body) {
    const auto lease = leases_.find(body.worker);
    if (lease == leases_.end()) return fail("a lease was released that there is not");
    const bool goes_on = found_.ends[lease->second.job].empty();
    if (goes_on && !body.at_once && lease->second.role == Role::worker) ++found_.shrunk;
  }

  void on(const LeaseEnded& body) {
    const auto lease = leases_.find(body.worker);
    if (lease == leases_.end()) return fail("a lease ended that there is not");
    on_node_[lease->second.node] -= lease->second.slots;
    for (const auto& queue : queues_[lease->second.job]) of_queue_[queue] -= lease->second.slots;
    leases_.erase(lease);
  }

  void on(const JobStateChanged& body) {
    if (body.state == JobState::preempted) ++found_.preempted;
    if (is_end(body.state)) found_.ends[body.job].emplace_back(to_string(body.state));
  }

  using Slots = std::map<std::string, SlotCount>;
  static void grow(Slots& now, Slots& most, const std::string& key, SlotCount slots) {
    now[key] += slots;
    most[key] = std::max(most[key], now[key]);
  }

  LeaseJournal found_;
  std::map<std::uint64_t, LeaseGranted> leases_;
  std::map<std::string, std::vector<std::string>> queues_;  ///< by job
  Slots on_node_, of_queue_;
  std::uint64_t newest_ = 0;
};

}  // namespace

LeaseJournal read_lease_journal(const std::filesystem::path& data_dir) {
  Reader reader;
  const auto journal = storage::StateJournal::open(data_dir / "journal");
  if (!journal) {
    reader.fail(journal.error().message);
    return std::move(reader).take();
  }
  const auto recovered = (*journal)->take_recovered();
  if (!recovered.snapshot.empty()) reader.fail("its beginning is gone: it was compacted");
  for (const auto& text : recovered.events) {
    const auto event = event_from(text);
    event ? reader.read(*event) : reader.fail("not an event: " + text);
  }
  return std::move(reader).take();
}

}  // namespace ds::tests

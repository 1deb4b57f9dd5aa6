#include "tests/unit/head/simulated_cluster.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "actors/head/head_actor.hpp"

namespace ds::head::test {
namespace {

constexpr std::uint32_t kSlots = 2;
constexpr std::size_t kNodes = 3, kMaxJobs = 10;
constexpr std::int64_t kBegin_ms = 1'700'000'000'000;
constexpr std::int64_t kPatience_ms = 3'600'000;
constexpr int kLooksOfOperator = 60;  ///< at nodes in quarantine: one in so many half seconds
constexpr int kLongestRollout = 300;  ///< in half seconds; a version is proved after two minutes
constexpr std::uint64_t kCompactBytes = 4'000;
constexpr std::size_t kPieceBytes = 700;

/// With all of them every job can have its minimum.
const std::vector<std::string> kTenants{
    "version: 1\ntenants:\n  a: {guaranteed: 2, borrowing_limit: 1}\n  b: {guaranteed: 3}\n",
    "version: 1\ntenants:\n  a: {guaranteed: 3, borrowing_limit: 0}\n  b: {guaranteed: 3, borrowing_limit: "
    "0}\n",
    "version: 1\ntenants:\n  a: {guaranteed: 1}\n  b: {guaranteed: 1, borrowing_limit: 2}\n"};

const caf::resumable* job_of(const caf::actor& actor) {
  return dynamic_cast<caf::resumable*>(caf::actor_cast<caf::abstract_actor*>(actor));
}

fabric::TransportOptions transport_options() {
  fabric::TransportOptions options;
  options.secret = "secret";
  return options;
}

}  // namespace

StillSystem::Config::Config() {
  set("scheduler.policy", caf::atom("testing"));
  set("logger.verbosity", caf::atom("quiet"));
}

StillSystem::StillSystem()
    : system_(config_),
      fabric_(std::make_unique<fabric::Fabric>(
          system_,
          std::shared_ptr<fabric::Transport>(std::move(*fabric::Transport::start(transport_options()))))) {
  // At the clock's zero a head seems to have planned just now, and the first seed would differ from itself.
  scheduler().clock().current_time += std::chrono::hours(1);
  std::ofstream(folder() / "train.csv") << "utterance,intent\nhello,greeting\nbye,farewell\n";
}

caf::scheduler::test_coordinator& StillSystem::scheduler() {
  return dynamic_cast<caf::scheduler::test_coordinator&>(system_.scheduler());
}

SimulatedCluster::SimulatedCluster(StillSystem& still, std::uint64_t seed)
    : still_(still),
      began_(still.scheduler().clock().now()),
      random_(seed),
      watch_(kSlots),
      logs_(still.folder() / "logs") {
  parts_.fabric = &still_.fabric();
  parts_.checkpoints = &checkpoints_;
  parts_.logs = &logs_;
  parts_.max_state_bytes = 1 << 20;
  parts_.checkpoint_thread = parts_.log_thread = parts_.check_thread = parts_.file_thread = &tasks_;
  parts_.now_ms = [this] { return now_ms(); };
  parts_.random = [this] { return static_cast<std::uint32_t>(random_()); };
  parts_.node_term = std::chrono::milliseconds(kNodeTerm_ms);
  parts_.watch_port = [this](const std::string& address, std::chrono::milliseconds limit,
                             std::function<void()> on_closed) {
    port_watches_.push_back({address, now_ms() + limit.count(), is_alive_, std::move(on_closed)});
  };
  parts_.compact_bytes = kCompactBytes;
  parts_.snapshot_piece_bytes = kPieceBytes;
  parts_.die = [](const Error& error) { ADD_FAILURE() << error.message; };
  write_model_file();
  start_head();
  for (std::size_t i = 0; i < kNodes; ++i) add_node();
}

SimulatedCluster::~SimulatedCluster() {
  const auto run_all = [this] {
    while (run_one_actor()) {
    }
  };
  if (head_) kill_head();
  nodes_.clear();
  run_all();
  // Requests that replicas took along wait to be told how these ended.
  for (const auto& router : routers_) {
    for (std::uint64_t worker = 1; worker < watch_.ledger().next_worker(); ++worker)
      router->remove_replica({}, worker, false);
  }
  run_all();
  still_.scheduler().trigger_timeouts();  // of actors that are gone
  run_all();
}

std::int64_t SimulatedCluster::now_ms() const {
  const auto since = still_.scheduler().clock().now() - began_;
  return kBegin_ms + std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

void SimulatedCluster::run(int events) {
  for (int i = 0; i < events && !::testing::Test::HasFailure(); ++i) turn();
  if (chance(15)) serve_what_was_trained(events / 6);
  finish();
}

void SimulatedCluster::turn() {
  switch (pick(27)) {
    case 0:
      return submissions_.size() < kMaxJobs ? submit(random_job()) : void();
    case 1:
      return ask();
    case 2:
      if (chance(50)) return head_ ? kill_head() : start_head();
      return;
    case 3:
      if (chance(85) || nodes_.empty()) return nodes_.size() < kNodes ? add_node() : void();
      nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(pick(nodes_.size())));
      return;
    case 4:
      return head_ ? pass_time(static_cast<std::int64_t>(pick(3'000))) : start_head();
    case 5:
    case 6:
      return pass_time(static_cast<std::int64_t>(pick(400)));
    case 7:
    case 8:
    case 9:
    case 10:
      sync_one();
      return;
    case 11:
    case 12:
    case 13:
      obey_one();
      return;
    case 14:
      return settle();
    case 15:
      return chance(30) ? cut_off_one() : void();
    case 16:
    case 17:
      run_one_task();
      return;
    default:
      run_one_actor();
  }
}

void SimulatedCluster::start_head() {
  storage::StateJournal::Recovered recovered;
  // A journal holds one or the other; both must lead to the same.
  if (chance(80)) recovered.snapshot = snapshot_;
  const auto from = recovered.snapshot.empty() ? 0 : snapshot_at_;
  journal_at_ = watch_.events().size();
  if (!journals_.empty() && journals_.back()->is_compacting()) ++unfinished_;
  recovered.events.assign(watch_.events().begin() + static_cast<std::ptrdiff_t>(from), watch_.events().end());
  if (chance(20)) check_replay(recovered);
  journals_.push_back(std::make_unique<MemoryJournal>(std::move(recovered)));
  parts_.journal = journals_.back().get();
  routers_.push_back(std::make_unique<router::Router>(still_.system()));
  parts_.router = routers_.back().get();
  parts_.tenants = kTenants[chance(80) ? 0 : pick(kTenants.size())];
  auto head = spawn_head(still_.system(), parts_);
  ASSERT_TRUE(head) << head.error().message;
  head_ = std::move(*head);
  is_alive_ = std::make_shared<bool>(true);
  // As `ds-head` waits for it. Else one that is killed before it has ever run would begin after the next one,
  // and take that one's place: who asks the head then asks a dead one.
  still_.scheduler().run_jobs_filtered([begun = job_of(head_)](const auto* job) { return job == begun; });
  ++heads_;
  head_began_ms_ = now_ms();
  for (auto& node : nodes_) node->on_head_listens(true, now_ms());
  for (std::size_t i = 0; i < submissions_.size(); ++i) {
    if (submissions_[i].id.empty() && !submissions_[i].is_refused)
      send_submission(i);  // its client asks again
  }
}

/// Whoever reads the journal knows what whoever wrote it knew.
void SimulatedCluster::check_replay(const storage::StateJournal::Recovered& recovered) const {
  scheduler::Ledger ledger;
  if (!recovered.snapshot.empty()) {
    auto restored = scheduler::Ledger::restore(recovered.snapshot);
    ASSERT_TRUE(restored);
    ledger = std::move(*restored);
  }
  for (const auto& text : recovered.events) ASSERT_TRUE(ledger.apply(*scheduler::event_from(text))) << text;
  EXPECT_EQ(ledger.snapshot(), watch_.ledger().snapshot());
}

/// Whatever it has written may be on disk or not, from some record on; what it has sent may arrive or not.
void SimulatedCluster::kill_head() {
  const auto waiting = journals_.back()->waiting();
  kill_head(pick(waiting + 1), [this](std::size_t orders) { return pick(orders + 1); });
}

void SimulatedCluster::kill_head(std::uint64_t survive,
                                 const std::function<std::size_t(std::size_t)>& arrive) {
  still_.scheduler().run_jobs_filtered([head = job_of(head_)](const auto* job) { return job != head; });
  *is_alive_ = false;
  auto& journal = *journals_.back();
  journal.close();
  for (; survive > 0; --survive) sync_one();
  for (auto done = arrive(tasks_.waiting()); done > 0; --done) run_one_task();
  tasks_.drop();
  for (auto& node : nodes_) {
    node->lose_head(arrive(node->orders()));
    node->on_head_listens(false, now_ms());
  }
  caf::anon_send_exit(head_, caf::exit_reason::kill);
  head_ = nullptr;
  while (run_one_actor()) {
  }
  // They were in the head's process.
  for (const auto& model : routers_.back()->endpoints()) routers_.back()->remove_endpoint(model.job);
}

void SimulatedCluster::add_node() {
  nodes_.push_back(std::make_unique<SimulatedNode>(
      still_.system(), still_.fabric(), "node-" + std::to_string(next_node_++), kSlots, watch_, gangs_));
}

bool SimulatedCluster::run_one_task() {
  return tasks_.run_one();
}

/// An operator changes what tenants may use.
void SimulatedCluster::apply_tenants() {
  const std::string text = kTenants[pick(kTenants.size())];
  const auto respond = [this, text, number = ++applied_,
                        alive = is_alive_](const gateway::HttpResponse& answer) {
    if (!*alive) return;
    ASSERT_EQ(answer.status, 200) << answer.body;
    if (number == applied_) {
      EXPECT_EQ(watch_.ledger().tenants_text(), text) << "acknowledged before it was durable";
    }
  };
  caf::anon_send(head_,
                 Run{[text, respond](Head& head) { head.on_tenants_checked("tenants", text, respond); }});
}

/// Somebody reads what has happened, and will ask this head or another for what has happened since.
void SimulatedCluster::read_events() {
  gateway::HttpRequest request;
  request.method = "GET";
  request.path = "/api/v1/events";
  handle_request(head_, request, [this, alive = is_alive_](const gateway::HttpResponse& answer) {
    if (!*alive) return;
    ASSERT_EQ(answer.status, 200) << answer.body;
    const auto last = nlohmann::json::parse(answer.body).at("last").get<std::uint64_t>();
    EXPECT_LE(last, watch_.ledger().history().recent(last).last) << "the next head may not know these";
  });
}

void SimulatedCluster::ask() {
  if (!head_) return;
  if (chance(20)) return read_events();
  if (chance(10)) return apply_tenants();
  if (chance(25)) return chance(50) ? change_models() : infer();
  if (chance(30)) return plan();
  if (chance(25) && !nodes_.empty()) {
    const auto& node = nodes_[pick(nodes_.size())]->name();
    return request("nodes/" + node + (chance(40) ? "/drain" : chance(70) ? "/undrain" : "/cordon"));
  }
  if (submissions_.empty()) return;
  const auto& id = submissions_[pick(submissions_.size())].id;
  if (id.empty()) return;
  const auto low = 1 + pick(3);
  switch (pick(7)) {
    case 0:
      return chance(30) ? request("jobs/" + id + "/cancel") : void();
    case 1:
      return request("jobs/" + id + "/pause");
    case 2:
    case 3:
      return request("jobs/" + id + "/resume");
    case 4:
      return request("jobs/" + id + "/retry");
    case 5:
      return request("jobs/" + id + "/priority", "{\"priority\": " + std::to_string(pick(1'000)) + "}");
    default:
      return request("jobs/" + id + "/scale", "{\"min\": " + std::to_string(low) +
                                                  ", \"max\": " + std::to_string(low + pick(2)) + "}");
  }
}

void SimulatedCluster::request(const std::string& path, const std::string& body) {
  gateway::HttpRequest request;
  request.method = "POST";
  request.path = "/api/v1/" + path;
  request.body = body;
  is_answered_ = false;
  if (!head_) return;
  handle_request(head_, request, [this, alive = is_alive_, path](const gateway::HttpResponse& answer) {
    if (!*alive) return;
    is_answered_ = true;
    const bool may_pass = answer.status == 503 && path.ends_with("/resume");  // whether a promise is renewed
    EXPECT_TRUE(answer.status < 500 || may_pass) << path << ": " << answer.body;
  });
}

bool SimulatedCluster::run_one_actor() {
  auto& jobs = still_.scheduler().jobs;
  if (jobs.empty()) return false;
  std::swap(jobs.front(), jobs[pick(jobs.size())]);
  return still_.scheduler().try_run_once();
}

bool SimulatedCluster::sync_one() {
  if (journals_.back()->waiting() == 0) return false;
  ++records_;
  if (death_ && records_ == death_->record) return die();
  for (const auto& text : journals_.back()->sync_one()) watch_.on_durable(text);
  if (auto snapshot = journals_.back()->take_snapshot()) {
    snapshot_ = std::move(snapshot->pieces);
    snapshot_at_ = journal_at_ + snapshot->after;
    ++snapshots_;
  }
  return true;
}

bool SimulatedCluster::obey_one() {
  std::vector<SimulatedNode*> told;
  for (auto& node : nodes_) {
    if (node->orders() > 0) told.push_back(node.get());
  }
  if (told.empty()) return false;
  told[pick(told.size())]->obey_one(now_ms(), random_);
  return true;
}

void SimulatedCluster::cut_off_one() {
  if (nodes_.empty()) return;
  auto& node = *nodes_[pick(nodes_.size())];
  node.cut_off(now_ms(), now_ms() + static_cast<std::int64_t>(pick(2 * kNodeTerm_ms + 15'000)));
}

/// What ran at an address that nobody listens at any more is gone.
void SimulatedCluster::tell_closed_ports() {
  std::erase_if(port_watches_, [this](const PortWatch& watch) {
    if (!*watch.is_head_alive || now_ms() > watch.until_ms) return true;
    const bool is_there = std::ranges::any_of(
        nodes_, [&](const auto& node) { return SimulatedNode::sign_of_life(node->name()) == watch.address; });
    if (is_there || chance(50)) return false;
    watch.on_closed();
    return true;
  });
}

void SimulatedCluster::pass_time(std::int64_t ms) {
  // In small steps, for what ends at a moment must not be found to run later.
  for (; ms > 0; ms -= kTimeStep_ms) {
    still_.scheduler().advance_time(std::chrono::milliseconds(std::min(ms, kTimeStep_ms)));
    for (auto& node : nodes_) {
      node->end_programs(now_ms());
      node->work(node->is_cut_off(now_ms()) ? caf::actor() : head_, now_ms(), random_);
    }
  }
  tell_closed_ports();
  for (auto& node : nodes_) {
    const bool is_reachable = head_ && !node->is_cut_off(now_ms());
    if (!node->has_head() && is_reachable && chance(60)) node->find_head(head_, now_ms(), random_);
  }
}

void SimulatedCluster::settle() {
  while (run_one_actor() || sync_one() || obey_one() || run_one_task()) {
  }
}

bool SimulatedCluster::have_all_ended() const {
  return std::ranges::all_of(submissions_, [this](const Submission& one) {
    if (one.is_refused) return true;
    const auto* job = watch_.ledger().find(one.id);
    return job == nullptr ? watch_.is_forgotten(one.id) : scheduler::is_end(job->state);
  });
}

void SimulatedCluster::finish() {
  const auto settle = [this] {
    this->settle();
    if (head_) return;
    start_head();
    this->settle();
  };
  if (!head_) start_head();
  while (nodes_.size() < kNodes) add_node();
  settle();
  for (const auto* closed : {&watch_.ledger().drained(), &watch_.ledger().cordoned()}) {
    for (const auto& [node, closure] : scheduler::NodeClosures(*closed))
      request("nodes/" + node + "/undrain");
  }
  const auto resume_paused = [this] {
    for (const auto& submission : submissions_) {
      if (!submission.id.empty()) request("jobs/" + submission.id + "/resume");
    }
  };
  resume_paused();
  settle();
  for (int i = 0; i < kLongestRollout && has_rollout(); ++i) {
    pass_time(500);
    settle();
  }
  // Nothing else ends what serves.
  for (const auto& submission : submissions_) {
    if (is_serving(submission.text) && !submission.id.empty()) request("jobs/" + submission.id + "/cancel");
  }
  const auto until = now_ms() + kPatience_ms;
  settle();
  for (int looks = 1; !have_all_ended() && now_ms() < until && !::testing::Test::HasFailure(); ++looks) {
    pass_time(500);
    settle();
    if (looks % kLooksOfOperator != 0) continue;  // meanwhile others show whether the node is at fault
    resume_paused();                              // whose owners were told to try again
    for (const auto& [node, closure] : scheduler::NodeClosures(watch_.ledger().quarantined()))
      request("nodes/" + node + "/undrain");
    settle();
  }
  for (const auto& one : submissions_) {
    const auto* job = watch_.ledger().find(one.id);
    if (one.is_refused || (job == nullptr && watch_.is_forgotten(one.id))) continue;
    ASSERT_NE(job, nullptr) << one.key << " was lost";
    EXPECT_TRUE(scheduler::is_end(job->state))
        << one.id << " is " << scheduler::to_string(job->state) << ": " << job->reason << "\n"
        << one.text;
  }
  // A node that is cut off does not know yet that a training has ended.
  const auto is_any_busy = [this] {
    return std::ranges::any_of(
        nodes_, [](const auto& node) { return node->slots_in_use() > scheduler::SlotCount(0); });
  };
  for (int i = 0; i < 200 && (!watch_.ledger().leases().empty() || is_any_busy()); ++i) {
    pass_time(500);
    settle();
  }
  for (const auto& [worker, lease] : watch_.ledger().leases())
    ADD_FAILURE() << "worker " << worker << " of " << lease.job << " keeps its slots on " << lease.node
                  << (lease.releasing ? ", where it is to leave" : "") << ", though all jobs have ended";
  for (const auto& node : nodes_)
    EXPECT_EQ(node->slots_in_use(), 0U) << node->name() << " runs what has ended";
}

}  // namespace ds::head::test

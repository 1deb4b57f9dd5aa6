#include "actors/worker/shard_actor.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <caf/all.hpp>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "actors/gateway/http_server.hpp"
#include "actors/job/gang.hpp"
#include "actors/messages/registration.hpp"
#include "actors/messages/shard.hpp"
#include "actors/messages/worker.hpp"
#include "actors/worker/batch_message.hpp"
#include "tests/unit/fabric/waiting.hpp"
#include "tests/unit/shard/shard_job.hpp"

namespace ds::worker {
namespace {

using fabric::Inbox;
using namespace messages;

struct Configuration : caf::actor_system_config {
  Configuration() {
    fabric::configure(*this);
    register_messages(*this);
  }
};

std::shared_ptr<fabric::Transport> start_transport(fabric::Lanes lanes) {
  fabric::TransportOptions options;
  options.secret = "secret";
  options.lanes = lanes;
  return std::move(fabric::Transport::start(options).value());
}

/// What would be a process.
struct Site {
  explicit Site(fabric::Lanes lanes) : transport(start_transport(lanes)), system(config) {
    fabric = std::make_unique<fabric::Fabric>(system, transport);
  }
  ~Site() {
    for (auto& actor : actors) caf::anon_send_exit(actor, caf::exit_reason::kill);
    fabric.reset();
  }
  caf::actor keep(caf::actor actor) {
    actors.push_back(actor);
    return actor;
  }

  std::shared_ptr<fabric::Transport> transport;
  Configuration config;
  caf::actor_system system;
  std::unique_ptr<fabric::Fabric> fabric;
  std::vector<caf::actor> actors;
};

/// A data shard in a site of its own; head, master and worker of the test in another.
class ShardActor : public ::testing::TestWithParam<fabric::Lanes> {
 protected:
  ShardActor() : near_(GetParam()), far_(GetParam()) {
    head_ = near_.keep(near_.system.spawn(head_behavior, this));
    near_.fabric->publish(fabric::kHeadActor, head_);
    server_ = std::move(*gateway::HttpServer::start({}, [this](const auto&, const gateway::Respond& respond) {
      const auto& self = near_.fabric->self();
      const nlohmann::json where{{"id", std::to_string(self.id)}, {"host", self.host}, {"port", self.port}};
      gateway::HttpResponse response;
      response.body = nlohmann::json{{"fabric", where}}.dump();
      respond(std::move(response));
    }));
    worker_ = near_.keep(near_.system.spawn(worker_behavior, this));
  }

  static caf::behavior head_behavior(caf::event_based_actor* self, ShardActor* test) {
    return {
        [=](const WorkerHello& hello) {
          const auto shard = test->near_.fabric->resolve(hello.actor);
          self->send(shard, HelloTaken{hello.worker});
          if (static_cast<job::WorkerPhase>(hello.phase) == job::WorkerPhase::fresh) {
            self->send(shard, AssignJob{"job-1", "job.yaml", test->job_.path().parent_path(), test->text_});
          } else {
            test->ready_.put(hello);
          }
        },
        [=](const JobImpossible& why) { test->impossible_.put(why); },
    };
  }

  static caf::behavior worker_behavior(caf::event_based_actor*, ShardActor* test) {
    return {[=](const BatchMade& made) { test->made_.put(made); }};
  }

  void start() {
    far_.keep(
        spawn_shard(far_.system, *far_.fabric,
                    {fmt::format("127.0.0.1:{}", server_->port()), 7, "job-1", [this] { left_.put(1); }}));
  }

  /// The shard's handle, once it is ready.
  caf::actor wait_for_shard() {
    const auto hello = ready_.take();
    if (!hello) throw std::runtime_error("the shard did not get ready");
    EXPECT_EQ(hello->worker, 7U);
    return near_.fabric->resolve(hello->actor);
  }

  void ask(const caf::actor& shard, const std::vector<BatchName>& wanted, bool forget = false) {
    caf::send_as(worker_, shard, AskBatches{3, job_.dataset->fingerprint(), forget, wanted});
  }

  static std::string job_text(std::uint32_t columns) {
    std::string features;
    for (std::uint32_t c = 0; c < columns; ++c) features += fmt::format("{}f{}", c == 0 ? "" : ", ", c);
    return fmt::format(
        "version: 1\nkind: train\nworkers: {{min: 1, max: 4}}\nmodel: {{zoo: mlp}}\n"
        "data:\n  train: {{source: train.csv, columns: {{features: [{}], label: label}}}}\n  shards: 1\n"
        "batch: {{global: 100}}\nuntil: {{steps: 1000}}\nseed: 3\n",
        features);
  }

  // The 25 rows of a batch are 100 KB: enough for a block that can be lent.
  static constexpr std::uint32_t kColumns = 1000;
  const shard::ShardJob job_{200, 100, 4, kColumns};
  std::string text_ = job_text(kColumns);
  Inbox<WorkerHello> ready_;
  Inbox<JobImpossible> impossible_;
  Inbox<BatchMade> made_;
  Inbox<int> left_;
  Site near_;
  Site far_;
  caf::actor head_, worker_;
  std::unique_ptr<gateway::HttpServer> server_;
};

INSTANTIATE_TEST_SUITE_P(Over, ShardActor,
                         ::testing::Values(fabric::Lanes::automatic, fabric::Lanes::network),
                         [](const auto& lanes) {
                           return lanes.param == fabric::Lanes::network ? "Network" : "SharedMemory";
                         });

/// Access rights and name of the mapping that an address lies in.
std::string mapping_of(const void* address) {
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto first = std::stoull(line, nullptr, 16);
    const auto last = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
    if (at >= first && at < last) return line.substr(line.find(' ') + 1);
  }
  return {};
}

TEST_P(ShardActor, MakesWhatTheWorkerWouldHaveMadeAndSendsNothingElse) {
  start();
  const auto shard = wait_for_shard();
  const std::set<std::uint64_t> steps{0, 4, 5, 999};
  std::vector<BatchName> wanted;
  for (const std::uint64_t step : steps) wanted.push_back({step, 2, 0});
  ask(shard, wanted);
  std::set<std::uint64_t> came;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto made = made_.take();
    ASSERT_TRUE(made);
    const auto batch = to_batch(*made);
    ASSERT_TRUE(batch) << batch.error().message;
    EXPECT_TRUE(shard::same_batch(*batch, job_.maker->make(to_micro_batch(made->name)).value()));
    came.insert(made->name.step);
  }
  EXPECT_EQ(came, steps);
  EXPECT_EQ(made_.size(), 0U);
}

TEST_P(ShardActor, LendsTensorsToAWorkerOfTheSameHostInsteadOfCopyingThem) {
  start();
  const auto shard = wait_for_shard();
  ask(shard, {{0, 0, 0}});
  const auto made = made_.take();
  ASSERT_TRUE(made && made->error.empty());
  const Buffer& features = made->fields.at(0).bytes;
  ASSERT_EQ(features.size(), 25U * kColumns * sizeof(float));
  const auto mapping = mapping_of(features.bytes().data());
  const bool mapped = mapping.starts_with("r--s") && mapping.find("memfd:ds-block") != std::string::npos;
  EXPECT_EQ(mapped, GetParam() == fabric::Lanes::automatic) << mapping;
  if (mapped) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(features.bytes().data()) % 64, 0U)
        << "the worker would have to copy it";
  }
}

TEST_P(ShardActor, RefusesAWorkerThatReadsOtherData) {
  start();
  const auto shard = wait_for_shard();
  caf::send_as(worker_, shard, AskBatches{3, "of another file", false, {{0, 0, 0}}});
  const auto made = made_.take();
  ASSERT_TRUE(made);
  EXPECT_NE(made->error.find("other training data"), std::string::npos) << made->error;
  ask(shard, {{0, 0, 9}});
  const auto wrong = made_.take();
  ASSERT_TRUE(wrong);
  EXPECT_NE(wrong->error.find("the job has not"), std::string::npos) << wrong->error;
}

TEST_P(ShardActor, SaysWhatIsWrongWithTheData) {
  std::filesystem::remove(job_.path());
  start();
  const auto why = impossible_.take();
  ASSERT_TRUE(why);
  EXPECT_EQ(why->worker, 7U);
  EXPECT_NE(why->why.find("train.csv"), std::string::npos) << why->why;
}

TEST_P(ShardActor, LeavesWhenItIsToldTo) {
  start();
  caf::anon_send(wait_for_shard(), StopWorker{7});
  EXPECT_TRUE(left_.take());
}

}  // namespace
}  // namespace ds::worker

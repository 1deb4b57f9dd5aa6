// Two workers that push gradients to a parameter server and pull what became of the parameters: the actors
// and messages of a real job, without its head.
#include <caf/all.hpp>
#include <cstring>
#include <filesystem>
#include <thread>

#include "actors/collective/rank_range.hpp"
#include "actors/fabric/block_pool.hpp"
#include "actors/fabric/fabric.hpp"
#include "actors/messages/registration.hpp"
#include "actors/messages/server.hpp"
#include "actors/messages/worker.hpp"
#include "actors/server/server_actor.hpp"
#include "actors/worker/server_link.hpp"
#include "tests/bench/all_reduce_race.hpp"
#include "tests/bench/meeting.hpp"

using namespace ds;
using namespace ds::parameters;

namespace {

constexpr std::uint32_t kWorkers = 2;
constexpr const char* kJob = R"(version: 1
kind: train
name: benchmark
workers: 2
model: {zoo: mlp}
data:
  train: {source: rows.csv, format: csv, columns: {features: [a], label: b}}
batch: {global: 2}
optimizer: {name: sgd, lr: 1}
until: {steps: 1}
strategy: parameter_server
replicas: 0
)";

/// A process of the race, with what it needs to talk to the others.
struct Station {
  explicit Station(std::shared_ptr<fabric::Transport> its_transport)
      : transport(std::move(its_transport)),
        system((fabric::configure(config), messages::register_messages(config), config)),
        fabric(system, transport) {}

  std::shared_ptr<fabric::Transport> transport;
  caf::actor_system_config config;
  caf::actor_system system;
  fabric::Fabric fabric;
};

/// Gives answers to the link.
caf::behavior answer_to(caf::event_based_actor*, worker::ServerLink** link) {
  const auto give = [link](const messages::RangeAnswer& header, auto answer) {
    (*link)->on_answer(header.ticket, std::move(answer));
  };
  return {
      [give](const messages::RangeAnswer& header, const Prepared& one) { give(header, Answer(one)); },
      [give](const messages::RangeAnswer& header, const Pulled& one) { give(header, Answer(one)); },
      [give](const messages::RangeAnswer& header, const Done& one) { give(header, Answer(one)); },
      [](const messages::RangeAnswer&, const messages::RangeRefused& why) { bench::fail(why.message); },
  };
}

class Worker final : public bench::Contender {
 public:
  Worker(Station& station, const fabric::ActorAddress& server, std::uint32_t rank, std::size_t elements)
      : rank_(rank),
        server_(station.fabric.resolve(server)),
        gradients_(fabric::take_block(elements * sizeof(float))),
        parameters_(elements),
        answers_(station.system.spawn(answer_to, &answered_)),
        link_({{0, elements}}, {1},
              [this, self = station.fabric.address_of(answers_)](auto range, auto ticket, Request request) {
                const messages::RangeCall call{1, range, ticket, self};
                std::visit([&](auto& one) { caf::anon_send(server_, call, std::move(one)); }, request);
              }) {
    answered_ = &link_;
    input_ = {reinterpret_cast<float*>(gradients_.get()), elements};
    std::ranges::fill(input_, 0.0F);
    if (rank != 0) return;
    RangeImage image;
    image.parameters = Buffer(gradients_, std::as_bytes(input_));
    call(Install{image});
  }

  std::span<float> input() override { return input_; }
  std::span<float> output() override { return parameters_; }
  float scale() const override { return static_cast<float>(step_); }

  void all_reduce() override {
    PushSum push;
    push.step = step_;
    push.parts.push_back({0, rank_, {Form::dense, {}, Buffer(gradients_, std::as_bytes(input_))}});
    call(std::move(push));
    Commit commit;
    commit.step = step_++;
    commit.learning_rate = -1;  // so that sums add up
    commit.update = step_;
    const Answer answer = call(CommitAndPull{commit, 0});
    const auto pulled = std::get<Pulled>(answer).parameters.bytes.bytes();
    if (pulled.size() != parameters_.size() * sizeof(float)) bench::fail("the server sent a part");
    std::memcpy(parameters_.data(), pulled.data(), pulled.size());
  }

 private:
  Answer call(Request request) {
    std::vector<RangeRequest> requests;
    requests.push_back({0, std::move(request)});
    auto answers = link_.call(std::move(requests));
    if (!answers) bench::fail(answers.error().message);
    return std::move(answers->front());
  }

  std::uint32_t rank_;
  caf::actor server_;
  std::shared_ptr<std::byte[]> gradients_;
  std::span<float> input_;
  std::vector<float> parameters_;
  worker::ServerLink* answered_ = nullptr;
  caf::actor answers_;
  worker::ServerLink link_;
  std::uint64_t step_ = 0;
};

/// Until all workers have left their times.
void serve(const bench::Race& race) {
  const auto is_over = [&] {
    for (std::uint32_t rank = 0; rank < kWorkers; ++rank) {
      if (!std::filesystem::exists(race.folder + "/times." + std::to_string(rank))) return false;
    }
    return true;
  };
  while (!is_over()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

}  // namespace

/// `RANK RANKS ELEMENTS SECONDS FOLDER`; the last rank is the server.
int main(int argc, char** argv) {
  bench::Race race = bench::parse_race(argc, argv);
  if (race.ranks != kWorkers + 1) bench::fail("two workers and a server take part");
  fabric::TransportOptions options;
  options.secret = "benchmark";
  auto started = fabric::Transport::start(options);
  if (!started) bench::fail(started.error().message);
  Station station(std::move(*started));
  const bool is_server = race.rank == kWorkers;
  if (is_server) {
    const caf::actor server =
        server::spawn_server(station.system, station.fabric, {"127.0.0.1:1", 1, "benchmark", [] {}});
    messages::JoinServers join;
    join.generation = 1;
    join.parameters = race.elements;
    join.fresh = true;
    join.ranges = {{{station.fabric.address_of(server)}}};
    caf::anon_send(server, messages::AssignJob{"benchmark", "job.yaml", "/", kJob});
    caf::anon_send(server, join);
    station.fabric.publish(fabric::kHeadActor, server);
  }
  const auto members = bench::meet(race.folder, race.rank, race.ranks, station.transport->self());
  if (is_server) {
    serve(race);
    std::_Exit(0);
  }
  race.ranks = kWorkers;
  Worker worker(station, {members[kWorkers], fabric::kHeadActor}, race.rank, race.elements);
  bench::run_race(race, worker);
  std::_Exit(0);
}

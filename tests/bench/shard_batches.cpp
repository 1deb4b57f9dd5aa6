// Batches a second that a worker gets: made by itself (local), or by a data shard's actor and brought by the
// fabric (shared memory; or the network's lanes): shard_batches FOLDER COLUMNS ROWS SECONDS. The folder gets
// a file of 4096 samples with so many float32 columns; a batch has so many rows.
#include <fmt/core.h>

#include <caf/all.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <mutex>

#include "actors/fabric/fabric.hpp"
#include "actors/messages/registration.hpp"
#include "actors/shard/shard_feed.hpp"
#include "actors/shard/workshop.hpp"
#include "actors/worker/batch_message.hpp"

using namespace ds;

namespace {

using Clock = std::chrono::steady_clock;

struct Configuration : caf::actor_system_config {
  Configuration() {
    fabric::configure(*this);
    messages::register_messages(*this);
  }
};

/// What would be a process.
struct Site {
  explicit Site(fabric::Lanes lanes) : system(config) {
    fabric::TransportOptions options;
    options.secret = "bench";
    options.lanes = lanes;
    auto started = fabric::Transport::start(options);
    if (!started) throw std::runtime_error(started.error().message);
    transport = std::move(*started);
    fabric = std::make_unique<fabric::Fabric>(system, transport);
  }
  Configuration config;
  caf::actor_system system;
  std::shared_ptr<fabric::Transport> transport;
  std::unique_ptr<fabric::Fabric> fabric;
};

/// The shard's part of `worker/shard_actor.cpp` without a head. The workshop is the actor's: its threads
/// speak to it only, and end before it does.
class Shard : public caf::event_based_actor {
 public:
  Shard(caf::actor_config& config, const train::BatchMaker& maker) : event_based_actor(config) {
    workshop_ = std::make_unique<shard::Workshop>(
        maker, shard::Workshop::Options{},
        [this](const shard::Order& order, const Result<data::Batch>& batch) {
          caf::anon_send(caf::actor_cast<caf::actor>(this), worker::to_message(order.which, batch));
        });
  }

  void on_exit() override { workshop_.reset(); }

  caf::behavior make_behavior() override {
    return {
        [this](const messages::AskBatches& ask) {
          asker_ = caf::actor_cast<caf::actor>(current_sender());
          std::vector<train::MicroBatch> wanted;
          for (const auto& name : ask.wanted) wanted.push_back(worker::to_micro_batch(name));
          workshop_->order(ask.worker, wanted);
        },
        [this](const messages::BatchMade& made) { send(asker_, made); },
    };
  }

 private:
  caf::actor asker_;
  std::unique_ptr<shard::Workshop> workshop_;
};

caf::behavior worker_behavior(caf::event_based_actor*, shard::ShardLine* line) {
  return {[=](const messages::BatchMade& made) {
    line->bring(1, worker::to_micro_batch(made.name), worker::to_batch(made));
  }};
}

/// Takes one batch after the other, and reads a word of each 4 KiB, as a model would read all.
double batches_a_second(train::BatchSource& source, const train::BatchMaker& maker, double seconds) {
  source.expect({0, 0, 0}, [&](const train::MicroBatch& one) { return maker.after(one, {0, 1}); });
  train::MicroBatch which{0, 0, 0};
  std::uint64_t taken = 0, sum = 0;
  Clock::time_point begin;
  for (;;) {
    const auto batch = source.take(which);
    if (!batch) throw std::runtime_error(batch.error().message);
    for (const auto& [name, tensor] : batch->fields) {
      for (std::size_t at = 0; at < tensor.bytes.size(); at += 4096)
        sum += static_cast<std::uint64_t>(tensor.bytes.bytes()[at]);
    }
    if (++taken == 50) begin = Clock::now();  // not what starting takes
    const std::chrono::duration<double> passed = Clock::now() - begin;
    if (taken > 50 && passed.count() > seconds) return static_cast<double>(taken - 50) / passed.count();
    which = *maker.after(which, {0, 1});
    if (sum == 1) fmt::print("\n");  // so that it is computed
  }
}

double through_shard(const train::BatchMaker& maker, fabric::Lanes lanes, double seconds) {
  Site near(lanes), far(lanes);
  shard::ShardLine line;
  caf::scoped_actor end(near.system), far_end(far.system);
  const auto shard = caf::actor_cast<caf::actor>(far.system.spawn<Shard>(std::cref(maker)));
  const auto worker = near.system.spawn(worker_behavior, &line);
  const auto proxy = near.fabric->resolve(far.fabric->address_of(shard));
  double rate = 0;
  {
    line.set_shards({1});
    const auto tell = [&](const shard::FetchPlan::Ask& ask) {
      messages::AskBatches message{1, {}, ask.forget, {}};
      for (const auto& which : ask.wanted) message.wanted.push_back(worker::to_name(which));
      caf::send_as(worker, proxy, std::move(message));
    };
    shard::ShardFeed feed(maker, line, tell, shard::ShardFeed::Memory::mapped);
    rate = batches_a_second(feed, maker, seconds);
    const auto counts = feed.counts();
    fmt::print(stderr, "  {} from the shard, {} made here\n", counts.from_shards, counts.made_here);
  }
  // They use the maker and the line: none of them works on when this returns.
  far_end->send_exit(shard, caf::exit_reason::kill);
  far_end->wait_for(shard);
  end->send_exit(worker, caf::exit_reason::kill);
  end->wait_for(worker);
  near.fabric.reset();
  far.fabric.reset();
  return rate;
}

/// Makes each when it is asked for.
class OnDemand : public train::BatchSource {
 public:
  explicit OnDemand(const train::BatchMaker& maker) : maker_(maker) {}
  void expect(const train::MicroBatch&, Next) override {}
  Result<data::Batch> take(const train::MicroBatch& wanted) override { return maker_.make(wanted); }

 private:
  const train::BatchMaker& maker_;
};

void write_samples(const std::string& file, std::uint64_t rows, std::uint64_t columns) {
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  header.append((128 - (10 + header.size() + 1) % 128) % 128, ' ');
  header += '\n';
  std::ofstream out(file, std::ios::binary);
  const auto size = static_cast<std::uint16_t>(header.size());
  out << "\x93NUMPY" << '\x01' << '\0' << static_cast<char>(size & 255U) << static_cast<char>(size >> 8U)
      << header;
  const std::vector<float> row(columns, 0.5F);
  for (std::uint64_t i = 0; i < rows; ++i)
    out.write(reinterpret_cast<const char*>(row.data()),
              static_cast<std::streamsize>(columns * sizeof(float)));
}

}  // namespace

int main(int count, char** words) {
  if (count != 5) {
    fmt::print(stderr, "usage: {} FOLDER COLUMNS ROWS SECONDS\n", words[0]);
    return 2;
  }
  const std::string file = std::string(words[1]) + "/samples.npy";
  write_samples(file, 4096, std::strtoull(words[2], nullptr, 10));
  scheduler::JobSpec spec;
  spec.data.train.paths = {file};
  spec.data.train.format = "npy";
  spec.batch.global = static_cast<std::uint32_t>(std::atoi(words[3]));
  spec.until.steps = std::uint64_t{1} << 40;
  const auto dataset = data::Dataset::open_training(spec.data, {});
  if (!dataset) {
    fmt::print(stderr, "{}\n", dataset.error().message);
    return 1;
  }
  const train::BatchMaker maker(spec, **dataset);
  const double seconds = std::atof(words[4]);
  OnDemand local(maker);
  const auto bytes = maker.bytes_of({0, 0, 0});
  const auto report = [&](const char* name, double rate) {
    fmt::print(
        "{{\"way\": \"{}\", \"batches_per_second\": {:.0f}, \"bytes\": {}, \"gigabytes_per_second\": "
        "{:.2f}}}\n",
        name, rate, bytes, rate * static_cast<double>(bytes) / 1e9);
  };
  report("local", batches_a_second(local, maker, seconds));
  report("shard", through_shard(maker, fabric::Lanes::automatic, seconds));
  report("shard_network", through_shard(maker, fabric::Lanes::network, seconds));
}

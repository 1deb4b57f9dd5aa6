#include "actors/worker/shard_contacts.hpp"

#include <algorithm>
#include <caf/all.hpp>
#include <utility>
#include <vector>

#include "actors/worker/batch_message.hpp"
#include "actors/worker/run.hpp"

namespace ds::worker {

using namespace messages;

std::unique_ptr<train::BatchSource> ShardContacts::make_feed(const scheduler::JobSpec& spec,
                                                             const train::BatchMaker& maker) {
  // Only of our own models it is known that they write to nothing that they are given.
  const bool ours = spec.model.torchscript.empty() && spec.model.plugin.empty();
  const auto memory = ours ? shard::ShardFeed::Memory::mapped : shard::ShardFeed::Memory::copied;
  const auto tell = [this, fingerprint = maker.dataset().fingerprint()](const shard::FetchPlan::Ask& ask) {
    AskBatches message{worker_, fingerprint, ask.forget, {}};
    for (const train::MicroBatch& which : ask.wanted) message.wanted.push_back(to_name(which));
    post(&self_, [this, shard = ask.shard, message = std::move(message)] {
      if (const auto known = shards_.find(shard); known != shards_.end()) self_.send(known->second, message);
    });
  };
  return std::make_unique<shard::ShardFeed>(maker, line_, tell, memory);
}

void ShardContacts::on_shards(const UseShards& use) {
  Shards shards;
  std::vector<std::uint64_t> numbers;
  for (const auto& address : use.shards) {
    const std::uint64_t number = address.process.id;
    const auto known = shards_.find(number);
    shards[number] = known == shards_.end() ? fabric_.resolve(address) : known->second;
    if (known == shards_.end()) self_.monitor(shards[number]);
    numbers.push_back(number);
  }
  shards_ = std::move(shards);
  line_.set_shards(std::move(numbers));
}

void ShardContacts::on_batch(const BatchMade& made) {
  const auto from = find(caf::actor_cast<caf::actor_addr>(self_.current_sender()));
  if (from != shards_.end()) line_.bring(from->first, to_micro_batch(made.name), to_batch(made));
}

void ShardContacts::on_down(const caf::actor_addr& source) {
  const auto lost = find(source);
  if (lost == shards_.end()) return;
  line_.lose(lost->first);
  shards_.erase(lost);
}

ShardContacts::Shards::iterator ShardContacts::find(const caf::actor_addr& address) {
  return std::ranges::find_if(shards_, [&](const auto& shard) { return shard.second.address() == address; });
}

}  // namespace ds::worker

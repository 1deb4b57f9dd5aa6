#include "actors/collective/device_rounds.hpp"

#include <utility>
#include <vector>

namespace ds::collective {

/// As exchange_path.cpp builds them, with phases that it does not use.
std::uint64_t DeviceRounds::tag_of(OperationName name, Phase phase) {
  constexpr std::uint64_t kFirstPhase = 8;
  return name << (64U - kOperationNameBits) | (kFirstPhase + static_cast<std::uint64_t>(phase)) << 8U;
}

Result<void> DeviceRounds::tell_others(OperationName name, Phase phase, const Buffer& bytes) const {
  for (std::uint32_t to = 0; to < exchange_.world_size(); ++to) {
    if (to == exchange_.rank()) continue;
    if (Result<void> sent = exchange_.send(to, tag_of(name, phase), bytes); !sent) return sent;
  }
  return {};
}

Result<void> DeviceRounds::agree(OperationName name, const MemberStatus& own) const {
  if (Result<void> told = tell_others(name, Phase::status, to_buffer(own)); !told) return told;
  std::vector<MemberStatus> statuses(exchange_.world_size());
  for (std::uint32_t from = 0; from < exchange_.world_size(); ++from) {
    if (from == exchange_.rank()) {
      statuses[from] = own;
      continue;
    }
    Result<MemberStatus> status =
        exchange_.receive(from, tag_of(name, Phase::status)).and_then(to_member_status);
    if (!status) return tl::unexpected(status.error());
    statuses[from] = *std::move(status);
    statuses[from].rank = from;
  }
  return check_agreement(statuses);
}

Result<Buffer> DeviceRounds::from_first(OperationName name, const Buffer& bytes) const {
  if (exchange_.rank() != 0) return exchange_.receive(0, tag_of(name, Phase::first));
  return tell_others(name, Phase::first, bytes).map([&] { return bytes; });
}

Result<void> DeviceRounds::all_done(OperationName name) const {
  if (Result<void> told = tell_others(name, Phase::done, Buffer::copy_of("done")); !told) return told;
  for (std::uint32_t from = 0; from < exchange_.world_size(); ++from) {
    if (from == exchange_.rank()) continue;
    const Result<Buffer> done = exchange_.receive(from, tag_of(name, Phase::done));
    if (!done) return tl::unexpected(done.error());
  }
  return {};
}

}  // namespace ds::collective

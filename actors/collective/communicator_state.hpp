#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "actors/collective/call.hpp"
#include "actors/collective/communicator.hpp"
#include "actors/collective/operation_names.hpp"
#include "actors/collective/operation_pool.hpp"
#include "actors/collective/route.hpp"
#include "actors/collective/segment_pool.hpp"

namespace ds::collective {

/// What a caller wants, before it was looked at.
struct Request {
  Kind kind = Kind::barrier;
  std::span<const ConstVector> inputs;
  Vector output;
  std::size_t elements = 0;  ///< of the whole vector
  std::uint32_t root = 0;
  CallOptions options;
};

/// A communicator as its calls see it: alive or dead, connected or not, and what is in flight.
struct Communicator::State final : public Interruption {
  State(std::shared_ptr<Exchange> exchange, std::vector<RankRange> ranges, CommunicatorOptions options);

  static std::uint64_t next_serial();
  std::uint32_t world_size() const { return static_cast<std::uint32_t>(ranges.size()); }
  RankRange hosted() const { return ranges[rank]; }

  Result<void> run(const Request& request);
  Operation start(const Request& request);
  /// Inputs that were produced and folded; `failure` says why they were not.
  Result<void> run_folded(Signature signature, const Contribution& contribution, void* output,
                          const Error* failure);

  Result<void> connect();
  void abort(const Error& why);
  /// Cancels what is in flight and waits for it.
  void close();
  std::optional<Error> interrupted() override;

  /// Gives an operation its name and a place among those in flight.
  Result<OperationName> begin(std::optional<std::uint32_t> tag);
  void end();
  Result<void> carry_out(const Call& call);
  Result<void> note_failure(const Error& why);
  /// What is wrong with the caller's vectors, if anything.
  std::optional<Error> find_mistake(const Request& request) const;
  Signature signature_of(const Request& request) const;

  const std::shared_ptr<Exchange> exchange;  ///< none: a gang of one
  const std::vector<RankRange> ranges;
  const CommunicatorOptions options;
  const std::uint32_t rank;
  const std::uint64_t serial = next_serial();
  const std::shared_ptr<SegmentPool> segments = std::make_shared<SegmentPool>();

  std::mutex connect_mutex;
  std::unique_ptr<Route> route;  ///< set once
  std::atomic<Route*> connected{nullptr};

  std::mutex mutex;
  std::atomic<bool> dead{false};
  std::optional<Error> failure;  ///< why it is dead
  OperationNames names;
  std::size_t in_flight = 0;

  OperationPool pool;  ///< last: its threads use the rest
};

}  // namespace ds::collective

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "actors/collective/shared_group.hpp"

namespace ds::collective {

/// One operation of a SharedGroup as one member sees it. Lives on the stack of the call and allocates nothing
/// when vectors are small.
class SharedOperation {
 public:
  SharedOperation(SharedGroup& group, const Task& task, std::uint32_t slot, Interruption& interruption);
  Result<void> run();

 private:
  // What each member said, once it was found. No defaults: most of these are never used.
  struct Peer {
    SlotHeader* header;
    std::uint32_t slot;
    bool input_staged;
    bool output_staged;
    std::byte* input;   ///< here, unless staged
    std::byte* output;  ///< likewise
  };
  /// Part of an owner's elements that one chunk handles.
  struct Piece {
    std::size_t first;
    std::size_t count;
  };

  /// Empty; kept between operations, so that steady work allocates nothing.
  static std::vector<kernels::TreeInput>& tree_inputs();

  bool is_small() const;
  Result<void> describe_own();
  Result<void> choose_own_places();
  void publish();
  Result<void> find_peers();
  bool find_peer(std::uint32_t member);
  Result<void> agree() const;
  void acknowledge();

  // A small vector: everything was posted.
  void write_inline();
  Result<void> finish_small();
  void reduce_inline(std::size_t result, Slice elements, void* output);
  void gather_inline();

  // A large one, chunk by chunk.
  Result<void> resolve_peers();
  void choose_chunks();
  Result<void> run_chunks();
  Piece piece(std::uint32_t owner, std::size_t chunk) const;
  void copy_in(std::size_t chunk);
  void produce_own_piece(std::size_t chunk);
  void reduce_piece(std::size_t result, Piece piece, std::size_t chunk);
  void copy_own_piece(Piece piece, std::size_t chunk);
  std::span<void*> piece_outputs(std::size_t result, Piece piece, std::size_t chunk);
  void copy_out(std::size_t chunk);
  template <class Counter>
  Result<void> wait_for_all(Counter counter, std::size_t chunks);

  std::size_t result_bytes(std::size_t result) const;
  std::size_t element_bytes() const { return kernels::size_of(task_.signature.type); }
  std::size_t accumulator_bytes() const {
    return kernels::size_of(kernels::accumulator_of(task_.signature.type));
  }
  const std::byte* input_stage(std::uint32_t member, std::uint32_t owner, std::size_t subtree,
                               std::size_t chunk) const;
  std::byte* output_stage(std::uint32_t member, std::size_t result, std::size_t chunk) const;
  bool receives() const;
  /// Whether the group's results are the operation's; else they go on to other hosts.
  bool finishes() const { return task_.delivery != Delivery::first; }
  bool reduces_input() const { return reduces(task_.signature.kind); }

  SharedGroup& group_;
  const Task& task_;
  const std::uint32_t slot_;
  Interruption& interruption_;
  const std::uint32_t me_;
  const std::uint32_t size_;
  const std::uint64_t name_;

  std::size_t stage_elements_ = 0;  ///< of a piece that goes through a staging area
  std::size_t chunk_elements_ = 0;  ///< of a piece
  std::size_t chunks_ = 0;
  bool any_output_staged_ = false;
  bool stream_ = false;
  std::array<Peer, kMaxGroup> peers_;
  std::array<void*, kMaxGroup + 1> outputs_;
};

}  // namespace ds::collective

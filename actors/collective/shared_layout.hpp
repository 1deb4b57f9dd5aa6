#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "actors/collective/communicator.hpp"
#include "actors/collective/waiting.hpp"

namespace ds::collective {

/// Members of one group of a shared memory; a larger gang on one host uses the exchange.
inline constexpr std::uint32_t kMaxGroup = 64;
/// What a member puts into an operation goes into the slot itself when it fits: one wait instead of two.
inline constexpr std::size_t kInlineBytes = std::size_t{16} << 10;
/// Results at least that large, written straight to where they belong, go around the caches.
inline constexpr std::size_t kStreamBytes = std::size_t{4} << 20;
/// Half a staging area: what of a large vector is under way at a time. Small enough for the caches, large
/// enough that waiting for members that share processors does not dominate.
inline constexpr std::size_t kStageBytes = std::size_t{512} << 10;

/// Where vectors lie that peers may use straight.
struct SegmentPlace {
  static constexpr std::uint32_t kStaged = 0xFFFFFFFF;   ///< nowhere: they go through the staging area
  static constexpr std::uint32_t kNothing = 0xFFFFFFFE;  ///< there are none
  std::uint32_t segment = kStaged;                       ///< number among those that its owner announced
  std::uint32_t unused = 0;
  std::uint64_t offset = 0;
};

/// What a member says about an operation, and how far it is with it. Written by its owner, apart from
/// sleepers and acknowledgements.
struct SlotHeader {
  // Written before the name is, constant until all peers acknowledged.
  std::uint64_t elements = 0;
  std::uint32_t root = 0;
  std::uint8_t kind = 0, op = 0, type = 0, failed = 0;
  std::uint32_t use = 0;  ///< how many operations the slot has held, this one included
  std::uint32_t unused = 0;
  SegmentPlace input;
  SegmentPlace output;

  alignas(64) SharedCounter ready;  ///< chunks of the input that peers may read
  SharedCounter reduced;            ///< chunks of its share that it has done

  /// Uses of the slot that each peer is done with; each writes its own.
  alignas(64) std::atomic<std::uint32_t> acknowledged[kMaxGroup];
};

/// The beginning of the segment through which a member talks to its peers. Plain memory and lock-free
/// atomics: nothing in it can be held by a process that died.
struct ControlHeader {
  static constexpr std::uint32_t kMagic = 0x64734331;
  static constexpr std::size_t kTextBytes = 16 << 10;

  std::uint32_t magic = 0;
  std::uint32_t layout_bytes = 0;  ///< size of the segment: both sides were built alike
  /// Which operation each slot holds; 0: none yet. In one place, so that looking for one reads two lines.
  alignas(64) std::atomic<std::uint64_t> names[kMaxOperationsInFlight];
  alignas(64) SharedCounter posted;         ///< operations
  std::atomic<std::uint32_t> announced{0};  ///< segments whose descriptors were sent to every peer

  alignas(64) std::atomic<std::uint32_t> aborted{0};  ///< 1: `error` says why
  // Why it failed or aborted; written once.
  std::uint32_t error_code = 0;
  std::uint32_t message_bytes = 0;
  std::uint32_t hint_bytes = 0;
  char texts[kTextBytes];

  SlotHeader slots[kMaxOperationsInFlight];
};

/// A member's part of the shared memory: header, then for each slot its inline area, then for each slot its
/// staging area of two halves for inputs and two for results.
struct ControlLayout {
  static constexpr std::size_t kHeader = (sizeof(ControlHeader) + 4095) / 4096 * 4096;
  static constexpr std::size_t kInline = kHeader;
  static constexpr std::size_t kStages = kInline + kMaxOperationsInFlight * kInlineBytes;
  static constexpr std::size_t kBytes = kStages + kMaxOperationsInFlight * 4 * kStageBytes;
  /// Touched ahead: what small operations use. The rest is when it is needed, if ever.
  static constexpr std::size_t kTouched = kInline + 2 * kInlineBytes;

  static constexpr std::size_t inline_area(std::size_t slot) { return kInline + slot * kInlineBytes; }
  static constexpr std::size_t input_stage(std::size_t slot, std::size_t half) {
    return kStages + (slot * 4 + half) * kStageBytes;
  }
  static constexpr std::size_t output_stage(std::size_t slot, std::size_t half) {
    return kStages + (slot * 4 + 2 + half) * kStageBytes;
  }
};

}  // namespace ds::collective

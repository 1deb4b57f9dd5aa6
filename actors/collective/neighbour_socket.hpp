#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "actors/fabric/owned_fd.hpp"
#include "storage/result.hpp"

namespace ds::collective {

/// A secret that whoever connects must show.
using Token = std::array<std::uint8_t, 16>;

/// A piece of shared memory that its owner hands over: its number and size travel beside the descriptor.
struct SentSegment {
  fabric::OwnedFd memory;
  std::uint32_t number = 0;
  std::uint64_t bytes = 0;
};

/// One end of a Unix socket between two members on one host. It carries descriptors, and its hang-up is the
/// first news of a peer's death. Thread-safe where the members are `const`.
class NeighbourSocket {
 public:
  NeighbourSocket() = default;
  explicit NeighbourSocket(fabric::OwnedFd socket) : socket_(std::move(socket)) {}

  /// Connects to a listener of the same user and shows `token` and who calls.
  static Result<NeighbourSocket> connect(const std::string& name, const Token& token, std::uint32_t caller);

  Result<void> send(const fabric::OwnedFd& memory, std::uint32_t number, std::uint64_t bytes) const;
  /// The next one sent; waits up to `patience` for it.
  Result<SentSegment> receive(std::chrono::milliseconds patience) const;
  int descriptor() const { return socket_.get(); }

 private:
  fabric::OwnedFd socket_;
};

/// Where neighbours connect: in the abstract namespace, so nothing is left on disk, under a random name.
class NeighbourListener {
 public:
  static Result<NeighbourListener> open();

  const std::string& name() const { return name_; }
  const Token& token() const { return token_; }

  struct Caller {
    std::uint32_t number = 0;
    NeighbourSocket socket;
  };
  /// The next caller of the same user that has shown the token; strangers are hung up on. Nothing when none
  /// came within `patience`.
  std::optional<Caller> accept(std::chrono::milliseconds patience) const;

 private:
  fabric::OwnedFd socket_;
  std::string name_;
  Token token_{};
};

}  // namespace ds::collective

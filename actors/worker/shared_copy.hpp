#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "actors/train/session.hpp"

namespace ds::worker {

/// One copy of a state for all who ask for it at about the same time, so that a worker that hands its state
/// to many needs the memory of one copy besides its own. One thread; what it gives away may go anywhere.
class SharedCopy {
 public:
  struct Key {
    std::uint64_t generation = 0, step = 0;
    bool operator==(const Key&) const = default;
  };

  /// The copy of this moment of training if somebody still holds a buffer of it, else what `make` makes now.
  /// None: there is no memory for one.
  std::optional<train::StateImage> get(Key key, const std::function<train::StateImage()>& make);

 private:
  Key key_;
  std::weak_ptr<const train::StateImage> copy_;  ///< gone when the last has been served
};

}  // namespace ds::worker

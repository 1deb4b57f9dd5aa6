#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

namespace ds::router {

/// Bounds the bytes of answers from when their tensors come until they are written to their clients, who may
/// read slowly or not at all. Thread-safe; parts may outlive it.
class AnswerRoom {
  struct Taken {
    std::mutex mutex;
    std::size_t bytes = 0;
  };

 public:
  /// An answer's part, given back when it is destroyed.
  class Part {
   public:
    explicit Part(std::shared_ptr<Taken> taken, std::size_t most) : taken_(std::move(taken)), most_(most) {}
    ~Part();
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;
    /// False, and it stays as it was: there isn't so much.
    bool resize(std::size_t bytes);

   private:
    const std::shared_ptr<Taken> taken_;
    const std::size_t most_;
    std::size_t bytes_ = 0;
  };

  explicit AnswerRoom(std::size_t most) : most_(most) {}
  /// Null: there isn't so much.
  std::shared_ptr<Part> take(std::size_t bytes) const;

 private:
  const std::shared_ptr<Taken> taken_ = std::make_shared<Taken>();
  const std::size_t most_;
};

}  // namespace ds::router

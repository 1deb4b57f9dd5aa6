#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "actors/fabric/buffer.hpp"
#include "actors/gateway/http_server.hpp"
#include "actors/router/fair_pool.hpp"
#include "storage/result.hpp"

namespace ds::router {

/// Reads bodies that are large or packed, on threads of its own. What is packed is read first as far as
/// `kSliceBytes`: if that is all of it, it was small; the rest of others waits with what is large, by what
/// they are likely to be in the end. Thread-safe.
class BodyReader {
 public:
  static constexpr std::size_t kQuickBytes = 1 << 20;  ///< what is larger waits elsewhere
  static constexpr std::size_t kSliceBytes = 256
                                             << 10;  ///< of a packed body, between two looks at its client
  static constexpr FairPool::Bounds kBounds{64, 256, kQuickBytes};

  struct Order {
    std::shared_ptr<gateway::HttpRequest> request;  ///< its body is taken
    std::string turn;                               ///< whose: names take turns
    Work::Clock::time_point until;
    /// One of the two is called, once, or `read` and then `refuse` where that takes too long: so who reads
    /// answers only if the work can be claimed. `read` runs on a thread of the reader's. They throw nothing.
    std::function<void(Buffer body, Work& work)> read;
    std::function<void(Error, int status)> refuse;  ///< any thread
  };

  BodyReader(std::size_t threads, std::size_t max_bytes) : max_bytes_(max_bytes), pool_(threads, kBounds) {}
  void read(Order order);

 private:
  struct Reading;
  using ReadingPtr = std::shared_ptr<Reading>;
  void post(const ReadingPtr& reading, std::size_t cost, void (BodyReader::*step)(const ReadingPtr&, Work&));
  void read_plain(const ReadingPtr& reading, Work& work);
  void unpack_slice(const ReadingPtr& reading, Work& work);
  void unpack_rest(const ReadingPtr& reading, Work& work);

  const std::size_t max_bytes_;  ///< unpacked, too
  FairPool pool_;
};

}  // namespace ds::router

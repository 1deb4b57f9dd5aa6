#include "actors/collective/local_exchange.hpp"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace ds::collective {
namespace {

/// What all ranks of one gang share: a mailbox a rank, and whether the gang still stands.
class Hub {
 public:
  explicit Hub(std::uint32_t world_size) : mailboxes_(world_size) {}

  std::uint32_t world_size() const { return static_cast<std::uint32_t>(mailboxes_.size()); }

  Result<void> send(std::uint32_t from, std::uint32_t to, std::uint64_t tag, Buffer bytes) {
    if (to >= world_size())
      return fail(ErrorCode::internal, fmt::format("send to rank {} of {}", to, world_size()));
    const std::lock_guard lock(mutex_);
    if (aborted_) return tl::unexpected(*aborted_);
    Mailbox& mailbox = mailboxes_[to];
    // A rank that left may have sent why; whoever still writes to it should read that rather than fail here.
    if (mailbox.left) return {};
    mailbox.sent[{from, tag}].push_back(std::move(bytes));
    mailbox.arrived.notify_all();
    return {};
  }

  Result<Buffer> receive(std::uint32_t to, std::uint32_t from, std::uint64_t tag) {
    if (from >= world_size())
      return fail(ErrorCode::internal, fmt::format("receive from rank {} of {}", from, world_size()));
    std::unique_lock lock(mutex_);
    Mailbox& mailbox = mailboxes_[to];
    const Key key{from, tag};
    mailbox.arrived.wait(lock,
                         [&] { return aborted_ || mailbox.sent.contains(key) || mailboxes_[from].left; });
    if (aborted_) return tl::unexpected(*aborted_);
    const auto found = mailbox.sent.find(key);
    if (found == mailbox.sent.end())
      return fail(ErrorCode::unavailable, fmt::format("rank {} left the gang", from));
    Buffer bytes = std::move(found->second.front());
    found->second.pop_front();
    if (found->second.empty()) mailbox.sent.erase(found);
    return bytes;
  }

  void abort(Error why) {
    const std::lock_guard lock(mutex_);
    if (!aborted_) aborted_ = std::move(why);
    is_aborted_.store(true, std::memory_order_release);
    for (Mailbox& mailbox : mailboxes_) mailbox.arrived.notify_all();
  }

  std::optional<Error> aborted() {
    if (!is_aborted_.load(std::memory_order_acquire)) return std::nullopt;
    const std::lock_guard lock(mutex_);
    return aborted_;
  }

  void leave(std::uint32_t rank) {
    const std::lock_guard lock(mutex_);
    mailboxes_[rank].left = true;
    mailboxes_[rank].sent.clear();
    for (Mailbox& mailbox : mailboxes_) mailbox.arrived.notify_all();
  }

 private:
  using Key = std::pair<std::uint32_t, std::uint64_t>;  // sender, tag
  struct Mailbox {
    std::map<Key, std::deque<Buffer>> sent;
    std::condition_variable arrived;
    bool left = false;
  };

  std::mutex mutex_;
  std::deque<Mailbox> mailboxes_;
  std::optional<Error> aborted_;
  std::atomic<bool> is_aborted_{false};
};

class LocalExchange final : public Exchange {
 public:
  LocalExchange(std::shared_ptr<Hub> hub, std::uint32_t rank) : hub_(std::move(hub)), rank_(rank) {}
  LocalExchange(const LocalExchange&) = delete;
  LocalExchange& operator=(const LocalExchange&) = delete;
  ~LocalExchange() override { hub_->leave(rank_); }

  std::uint32_t rank() const override { return rank_; }
  std::uint32_t world_size() const override { return hub_->world_size(); }
  Result<void> send(std::uint32_t to, std::uint64_t tag, Buffer bytes) override {
    return hub_->send(rank_, to, tag, std::move(bytes));
  }
  Result<Buffer> receive(std::uint32_t from, std::uint64_t tag) override {
    return hub_->receive(rank_, from, tag);
  }
  void abort(Error why) override { hub_->abort(std::move(why)); }
  void abort_everywhere(Error why) override { hub_->abort(std::move(why)); }
  std::optional<Error> aborted() const override { return hub_->aborted(); }

 private:
  std::shared_ptr<Hub> hub_;
  std::uint32_t rank_;
};

}  // namespace

std::vector<std::shared_ptr<Exchange>> make_local_exchanges(std::uint32_t world_size) {
  const auto hub = std::make_shared<Hub>(world_size);
  std::vector<std::shared_ptr<Exchange>> exchanges;
  for (std::uint32_t rank = 0; rank < world_size; ++rank)
    exchanges.push_back(std::make_shared<LocalExchange>(hub, rank));
  return exchanges;
}

}  // namespace ds::collective

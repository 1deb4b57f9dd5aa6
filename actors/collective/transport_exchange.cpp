#include "actors/collective/transport_exchange.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>

#include "actors/fabric/wire.hpp"

namespace ds::collective {
namespace {

using fabric::Channel;
using fabric::ProcessAddress;
using fabric::Transport;

using GangKey = std::pair<std::string, std::uint64_t>;  // job and generation

enum class FrameKind : std::uint8_t { connect, data, abort };

// The first part of a frame. The second is what was sent, or why the gang ends; one that only makes the
// connection has none.
struct FrameHead {
  GangKey gang;
  std::uint32_t from = 0;
  std::uint64_t tag = 0;
  FrameKind kind = FrameKind::data;
};

Buffer encode(const FrameHead& head) {
  fabric::WireWriter out(head.gang.first.size() + 32);
  out.text(head.gang.first);
  out.integer(head.gang.second);
  out.integer(head.from);
  out.integer(head.tag);
  out.integer(static_cast<std::uint8_t>(head.kind));
  return Buffer::copy_of(std::span<const std::byte>(out.block()));
}

std::optional<FrameHead> decode(const Buffer& part) {
  fabric::WireReader in(part.bytes());
  FrameHead head;
  head.gang.first = in.text();
  head.gang.second = in.integer<std::uint64_t>();
  head.from = in.integer<std::uint32_t>();
  head.tag = in.integer<std::uint64_t>();
  const auto kind = in.integer<std::uint8_t>();
  if (!in.complete() || kind > static_cast<std::uint8_t>(FrameKind::abort)) return {};
  head.kind = static_cast<FrameKind>(kind);
  return head;
}

Buffer encode(const Error& why) {
  constexpr std::size_t kLongestText = 16 << 10;
  fabric::WireWriter out;
  out.integer(static_cast<std::uint8_t>(why.code));
  out.text(std::string_view(why.message).substr(0, kLongestText));
  out.text(std::string_view(why.hint).substr(0, kLongestText));
  return Buffer::copy_of(std::span<const std::byte>(out.block()));
}

Error decode_error(const Buffer& part) {
  fabric::WireReader in(part.bytes());
  const auto code = std::min(in.integer<std::uint8_t>(), static_cast<std::uint8_t>(ErrorCode::internal));
  Error why{static_cast<ErrorCode>(code), in.text(), in.text()};
  if (!in.complete()) return {ErrorCode::cancelled, "a member ended the gang", {}};
  return why;
}

// Buffers with one tag stay in order; others, and an abort, need not wait for them.
constexpr fabric::Stream kAbortStream = 255;
fabric::Stream stream_of(std::uint64_t tag) {
  return static_cast<fabric::Stream>(1 + tag * 0x9e3779b97f4a7c15u % 254);
}

class TransportExchange final : public Exchange {
 public:
  TransportExchange(std::shared_ptr<Transport> transport, GangKey gang, std::uint32_t rank,
                    std::vector<ProcessAddress> members, std::size_t max_unreceived_bytes)
      : transport_(std::move(transport)),
        gang_(std::move(gang)),
        rank_(rank),
        members_(std::move(members)),
        max_unreceived_bytes_(max_unreceived_bytes),
        lost_(members_.size()) {}

  std::uint32_t rank() const override { return rank_; }
  std::uint32_t world_size() const override { return static_cast<std::uint32_t>(members_.size()); }

  Result<void> send(std::uint32_t to, std::uint64_t tag, Buffer bytes) override {
    if (auto fit = check_rank(to); !fit) return fit;
    {
      std::lock_guard lock(mutex_);
      if (aborted_) return tl::unexpected(*aborted_);
    }
    if (to == rank_) {
      deliver(rank_, tag, std::move(bytes));
      return {};
    }
    return transport_->send(members_[to], Channel::collective,
                            {encode({gang_, rank_, tag, FrameKind::data}), std::move(bytes)}, stream_of(tag));
  }

  Result<Buffer> receive(std::uint32_t from, std::uint64_t tag) override {
    if (auto fit = check_rank(from); !fit) return tl::unexpected(fit.error());
    std::unique_lock lock(mutex_);
    auto& box = boxes_[{from, tag}];
    ++box.waiting;
    box.changed.wait(lock, [&] { return aborted_ || !box.buffers.empty(); });
    --box.waiting;
    if (aborted_) return tl::unexpected(*aborted_);
    Buffer bytes = std::move(box.buffers.front());
    box.buffers.pop_front();
    unreceived_bytes_ -= bytes.size();
    // Tags are rarely used twice; empty boxes must not pile up.
    if (box.buffers.empty() && box.waiting == 0) boxes_.erase({from, tag});
    return bytes;
  }

  void abort(Error why) override {
    std::lock_guard lock(mutex_);
    if (aborted_) return;
    aborted_ = std::move(why);
    is_aborted_.store(true, std::memory_order_release);
    unreceived_bytes_ = 0;
    for (auto& entry : boxes_) {
      entry.second.buffers.clear();
      entry.second.changed.notify_all();
    }
  }

  void abort_everywhere(Error why) override {
    const Buffer reason = encode(why);
    abort(std::move(why));
    for (std::uint32_t member = 0; member < members_.size(); ++member) {
      if (member == rank_ || is_lost(member)) continue;
      // Whoever cannot be reached is lost, and so learns that this process is.
      static_cast<void>(transport_->send(members_[member], Channel::collective,
                                         {encode({gang_, rank_, 0, FrameKind::abort}), reason},
                                         kAbortStream));
    }
  }

  std::optional<Error> aborted() const override {
    if (!is_aborted_.load(std::memory_order_acquire)) return std::nullopt;
    std::lock_guard lock(mutex_);
    return aborted_;
  }

  void connect_all() {
    for (std::uint32_t member = 0; member < members_.size(); ++member) {
      if (member == rank_) continue;
      auto sent = transport_->send(members_[member], Channel::collective,
                                   {encode({gang_, rank_, 0, FrameKind::connect})});
      if (!sent) abort(sent.error());
    }
  }

  void on_frame(const ProcessAddress& process, const FrameHead& head, Buffer bytes) {
    if (head.from >= members_.size() || members_[head.from].id != process.id) {
      spdlog::debug("collective: dropped a frame from process {:016x}, which is not rank {}", process.id,
                    head.from);
      return;
    }
    if (head.kind == FrameKind::abort) return abort(decode_error(bytes));
    deliver(head.from, head.tag, std::move(bytes));
  }

  void on_lost(const ProcessAddress& process, const Error& why) {
    for (std::uint32_t member = 0; member < members_.size(); ++member) {
      if (member == rank_ || members_[member].id != process.id) continue;
      {
        std::lock_guard lock(mutex_);
        lost_[member] = true;
      }
      abort({ErrorCode::unavailable,
             fmt::format("rank {} of {} was lost: {}", member, gang_.first, why.message),
             {}});
    }
  }

 private:
  struct Box {
    std::deque<Buffer> buffers;
    std::condition_variable changed;
    int waiting = 0;
  };

  bool is_lost(std::uint32_t member) const {
    std::lock_guard lock(mutex_);
    return lost_[member];
  }

  Result<void> check_rank(std::uint32_t rank) const {
    if (rank < members_.size()) return {};
    return fail(ErrorCode::invalid_argument, fmt::format("rank {} in a gang of {}", rank, members_.size()));
  }

  void deliver(std::uint32_t from, std::uint64_t tag, Buffer bytes) {
    const std::size_t size = bytes.size();
    {
      std::lock_guard lock(mutex_);
      if (aborted_) return;
      if (unreceived_bytes_ + size <= max_unreceived_bytes_) {
        unreceived_bytes_ += size;
        auto& box = boxes_[{from, tag}];
        box.buffers.push_back(std::move(bytes));
        box.changed.notify_one();
        return;
      }
    }
    abort({ErrorCode::resource_exhausted,
           fmt::format("more than {} bytes wait to be received in {}", max_unreceived_bytes_, gang_.first),
           {}});
  }

  const std::shared_ptr<Transport> transport_;
  const GangKey gang_;
  const std::uint32_t rank_;
  const std::vector<ProcessAddress> members_;
  const std::size_t max_unreceived_bytes_;

  mutable std::mutex mutex_;
  std::map<std::pair<std::uint32_t, std::uint64_t>, Box> boxes_;  ///< by sender and tag
  std::size_t unreceived_bytes_ = 0;
  std::vector<bool> lost_;  ///< members that must not be connected to again
  std::optional<Error> aborted_;
  std::atomic<bool> is_aborted_{false};
};

}  // namespace

struct ExchangeHub::State {
  std::shared_ptr<Transport> transport;
  std::size_t max_unreceived_bytes = 0;
  std::mutex mutex;
  std::map<GangKey, std::weak_ptr<TransportExchange>> exchanges;

  void on_frame(const ProcessAddress& from, Transport::Parts parts) {
    auto head = parts.empty() || parts.size() > 2 ? std::nullopt : decode(parts[0]);
    if (!head) {
      return transport->drop(from,
                             Error{ErrorCode::invalid_argument, "it sent a malformed collective frame", {}});
    }
    if (parts.size() == 1) return;
    std::shared_ptr<TransportExchange> exchange;
    {
      std::lock_guard lock(mutex);
      if (auto found = exchanges.find(head->gang); found != exchanges.end()) exchange = found->second.lock();
    }
    if (!exchange) {
      spdlog::debug("collective: dropped a frame for {} generation {}, unknown here", head->gang.first,
                    head->gang.second);
      return;
    }
    exchange->on_frame(from, *head, std::move(parts[1]));
  }

  std::vector<std::shared_ptr<TransportExchange>> alive() {
    std::vector<std::shared_ptr<TransportExchange>> result;
    std::lock_guard lock(mutex);
    for (auto& entry : exchanges) {
      if (auto exchange = entry.second.lock()) result.push_back(std::move(exchange));
    }
    return result;
  }
};

ExchangeHub::ExchangeHub(std::shared_ptr<Transport> transport, std::size_t max_unreceived_bytes)
    : state_(std::make_shared<State>()) {
  state_->transport = std::move(transport);
  state_->max_unreceived_bytes = max_unreceived_bytes;
  state_->transport->on_frame(Channel::collective,
                              [state = state_.get()](const ProcessAddress& from, Transport::Parts parts) {
                                state->on_frame(from, std::move(parts));
                              });
  lost_token_ =
      state_->transport->add_on_lost([state = state_.get()](const ProcessAddress& peer, const Error& why) {
        for (const auto& exchange : state->alive()) exchange->on_lost(peer, why);
      });
}

ExchangeHub::~ExchangeHub() {
  state_->transport->on_frame(Channel::collective, nullptr);
  state_->transport->remove_on_lost(lost_token_);
  for (const auto& exchange : state_->alive())
    exchange->abort({ErrorCode::cancelled, "this process ends", {}});
}

Result<std::shared_ptr<Exchange>> ExchangeHub::make(const std::string& job, std::uint64_t generation,
                                                    std::uint32_t rank, std::vector<ProcessAddress> members) {
  if (rank >= members.size()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: rank {} in a gang of {}", job, rank, members.size()));
  }
  for (const ProcessAddress& member : members) {
    if (member.id == 0)
      return fail(ErrorCode::invalid_argument, fmt::format("{}: a member without a process id", job));
  }
  auto exchange = std::make_shared<TransportExchange>(state_->transport, GangKey{job, generation}, rank,
                                                      std::move(members), state_->max_unreceived_bytes);
  {
    std::lock_guard lock(state_->mutex);
    std::erase_if(state_->exchanges, [](const auto& entry) { return entry.second.expired(); });
    if (!state_->exchanges.emplace(GangKey{job, generation}, exchange).second) {
      return fail(ErrorCode::already_exists,
                  fmt::format("{}: generation {} has an exchange already", job, generation));
    }
  }
  exchange->connect_all();
  return exchange;
}

}  // namespace ds::collective

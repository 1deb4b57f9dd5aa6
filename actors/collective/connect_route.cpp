#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cstring>
#include <optional>

#include "actors/collective/exchange_path.hpp"
#include "actors/collective/flat_route.hpp"
#include "actors/collective/hierarchy_route.hpp"
#include "actors/collective/host_layout.hpp"
#include "actors/collective/neighbour_socket.hpp"
#include "actors/collective/route.hpp"
#include "actors/collective/shared_group.hpp"
#include "actors/fabric/wire.hpp"

namespace ds::collective {
namespace {

constexpr std::chrono::milliseconds kNeighbourPatience{10'000};
constexpr std::uint32_t kControlSegment = 0xFFFFFFFF;

/// Above all tags of operations.
std::uint64_t round_tag(std::uint64_t round) {
  return ~std::uint64_t{0} - round;
}

/// What a member tells all others first.
struct Hello {
  std::string identity;
  std::string listener;  ///< empty: it does not share memory
  Token token{};

  Buffer to_buffer() const {
    fabric::WireWriter out;
    out.text(identity);
    out.text(listener);
    out.bytes(std::as_bytes(std::span(token)));
    return Buffer::copy_of(std::span<const std::byte>(out.block()));
  }
  static std::optional<Hello> from_buffer(const Buffer& buffer) {
    fabric::WireReader in(buffer.bytes());
    Hello hello;
    hello.identity = in.text();
    hello.listener = in.text();
    const auto token = in.bytes(hello.token.size());
    if (!in.complete()) return std::nullopt;
    std::memcpy(hello.token.data(), token.data(), token.size());
    return hello;
  }
};

/// One member's way through the agreement.
class RouteConnection {
 public:
  RouteConnection(const std::shared_ptr<Exchange>& exchange, const std::vector<RankRange>& ranges,
                  const CommunicatorOptions& options, const std::shared_ptr<SegmentPool>& pool)
      : exchange_(exchange), ranges_(ranges), options_(options), pool_(pool), rank_(exchange->rank()) {}

  Result<std::unique_ptr<Route>> run() {
    if (Result<void> met = say_hello(); !met) return tl::unexpected(met.error());
    if (!has_neighbours_anywhere()) return make_exchange_route();
    Result<bool> connected = all_agree(1, connect_down());
    if (!connected) return tl::unexpected(connected.error());
    if (!*connected) return make_exchange_route();
    Result<bool> mapped = all_agree(2, accept_up().and_then([&] { return swap_segments(); }));
    if (!mapped) return tl::unexpected(mapped.error());
    if (!*mapped) return make_exchange_route();
    return make_shared_route();
  }

 private:
  Result<std::vector<Buffer>> swap(std::uint64_t round, Buffer own) {
    const std::uint32_t world = exchange_->world_size();
    std::vector<Buffer> all(world);
    for (std::uint32_t to = 0; to < world; ++to) {
      if (to == rank_) continue;
      if (Result<void> sent = exchange_->send(to, round_tag(round), own); !sent)
        return tl::unexpected(sent.error());
    }
    all[rank_] = std::move(own);
    for (std::uint32_t from = 0; from < world; ++from) {
      if (from == rank_) continue;
      Result<Buffer> got = exchange_->receive(from, round_tag(round));
      if (!got) return tl::unexpected(got.error());
      all[from] = *std::move(got);
    }
    return all;
  }

  Result<void> say_hello() {
    Hello own;
    own.identity = options_.host_identity.empty() ? local_host_identity() : options_.host_identity;
    if (options_.share_memory) {
      auto listener = NeighbourListener::open();
      if (listener) {
        listener_ = *std::move(listener);
        own.listener = listener_->name();
        own.token = listener_->token();
      } else {
        spdlog::info("collective: no shared memory here: {}", listener.error().message);
      }
    }
    Result<std::vector<Buffer>> all = swap(0, own.to_buffer());
    if (!all) return tl::unexpected(all.error());
    std::vector<std::string> identities;
    for (std::uint32_t rank = 0; rank < all->size(); ++rank) {
      const std::optional<Hello> hello = Hello::from_buffer((*all)[rank]);
      if (!hello) return fail(ErrorCode::data_loss, fmt::format("rank {} sent what is no hello", rank));
      hellos_.push_back(*hello);
      identities.push_back(hello->listener.empty() ? std::string() : hello->identity);
    }
    hosts_ = group_hosts(identities);
    return {};
  }

  bool has_neighbours_anywhere() const {
    if (!hosts_) return false;
    bool any = false;
    for (const RankRange& host : *hosts_) {
      if (host.size() > kMaxGroup) return false;
      any = any || host.size() > 1;
    }
    return any;
  }

  RankRange own_host() const {
    for (const RankRange& host : *hosts_) {
      if (rank_ >= host.first && rank_ < host.last) return host;
    }
    return {rank_, rank_ + 1};
  }

  /// Connects to the neighbours of lower rank; those of higher rank connect to us.
  Result<void> connect_down() {
    const RankRange host = own_host();
    neighbours_.resize(host.size());
    for (std::uint32_t rank = host.first; rank < rank_; ++rank) {
      auto socket = NeighbourSocket::connect(hellos_[rank].listener, hellos_[rank].token, rank_);
      if (!socket) return tl::unexpected(socket.error());
      neighbours_[rank - host.first].socket = *std::move(socket);
    }
    return {};
  }

  /// All have connected: callers wait already.
  Result<void> accept_up() {
    const RankRange host = own_host();
    for (std::uint32_t left = host.last - 1 - rank_; left > 0; --left) {
      auto caller = listener_->accept(kNeighbourPatience);
      if (!caller) return fail(ErrorCode::unavailable, "a neighbour's call did not arrive");
      if (caller->number <= rank_ || caller->number >= host.last)
        return fail(ErrorCode::unavailable, "a neighbour called that is none");
      neighbours_[caller->number - host.first].socket = std::move(caller->socket);
    }
    return {};
  }

  Result<void> swap_segments() {
    const RankRange host = own_host();
    if (host.size() == 1) return {};
    auto own = SharedSegment::create(ControlLayout::kBytes, ControlLayout::kTouched);
    if (!own) return tl::unexpected(own.error());
    control_ = *std::move(own);
    auto* header = reinterpret_cast<ControlHeader*>(control_->bytes().data());
    header->magic = ControlHeader::kMagic;
    header->layout_bytes = ControlLayout::kBytes;
    const Result<fabric::OwnedFd> memory = control_->duplicate();
    if (!memory) return tl::unexpected(memory.error());
    for (std::uint32_t rank = host.first; rank < host.last; ++rank) {
      if (rank == rank_) continue;
      Result<void> sent =
          neighbours_[rank - host.first].socket.send(*memory, kControlSegment, ControlLayout::kBytes);
      if (!sent) return sent;
    }
    for (std::uint32_t rank = host.first; rank < host.last; ++rank) {
      if (rank == rank_) continue;
      if (Result<void> received = receive_control(neighbours_[rank - host.first]); !received) return received;
    }
    return {};
  }

  static Result<void> receive_control(Neighbour& neighbour) {
    auto sent = neighbour.socket.receive(kNeighbourPatience);
    if (!sent) return tl::unexpected(sent.error());
    if (sent->number != kControlSegment)
      return fail(ErrorCode::unavailable, "a neighbour sent another segment");
    auto segment = SharedSegment::open(sent->memory, ControlLayout::kBytes);
    if (!segment) return tl::unexpected(segment.error());
    const auto* header = reinterpret_cast<const ControlHeader*>((*segment)->bytes().data());
    if (header->magic != ControlHeader::kMagic || header->layout_bytes != ControlLayout::kBytes)
      return fail(ErrorCode::unavailable, "a neighbour's segment has another layout");
    if (Result<void> touched = (*segment)->touch(ControlLayout::kTouched); !touched) return touched;
    neighbour.control = *std::move(segment);
    return {};
  }

  /// Whether a step worked for all members.
  Result<bool> all_agree(std::uint64_t round, const Result<void>& own) {
    if (!own) spdlog::info("collective: no shared memory here: {}", own.error().message);
    Result<std::vector<Buffer>> all = swap(round, Buffer::copy_of(own ? "yes" : "no"));
    if (!all) return tl::unexpected(all.error());
    for (const Buffer& answer : *all) {
      if (answer.text() != "yes") return false;
    }
    return true;
  }

  std::unique_ptr<Route> make_exchange_route() {
    std::vector<std::uint32_t> members(exchange_->world_size());
    for (std::uint32_t rank = 0; rank < members.size(); ++rank) members[rank] = rank;
    ExchangePath path(exchange_, std::move(members), rank_, plan_group(ranges_, ranges_.back().last));
    return make_flat_route(std::move(path), exchange_->world_size());
  }

  std::unique_ptr<SharedGroup> make_group() {
    const RankRange host = own_host();
    if (host.size() == 1) return nullptr;
    std::vector<std::uint32_t> ranks;
    for (std::uint32_t rank = host.first; rank < host.last; ++rank) ranks.push_back(rank);
    const auto ranges = std::span(ranges_).subspan(host.first, host.size());
    return std::make_unique<SharedGroup>(std::move(ranks), rank_ - host.first,
                                         plan_group(ranges, ranges_.back().last), std::move(control_),
                                         std::move(neighbours_), pool_);
  }

  std::unique_ptr<Route> make_shared_route() {
    if (hosts_->size() == 1) return make_flat_route(make_group(), exchange_->world_size());
    std::vector<RankRange> hosted;
    std::vector<std::uint32_t> first_ranks;
    std::uint32_t own = 0;
    for (std::uint32_t h = 0; h < hosts_->size(); ++h) {
      const RankRange host = (*hosts_)[h];
      hosted.push_back({ranges_[host.first].first, ranges_[host.last - 1].last});
      first_ranks.push_back(host.first);
      if (rank_ >= host.first && rank_ < host.last) own = h;
    }
    const GroupPlan plan = plan_group(hosted, ranges_.back().last);
    auto between = std::make_unique<ExchangePath>(exchange_, std::move(first_ranks), own, plan);
    return std::make_unique<HierarchyRoute>(rank_, *hosts_, plan, make_group(), std::move(between));
  }

  const std::shared_ptr<Exchange>& exchange_;
  const std::vector<RankRange>& ranges_;
  const CommunicatorOptions& options_;
  const std::shared_ptr<SegmentPool>& pool_;
  const std::uint32_t rank_;
  std::optional<NeighbourListener> listener_;
  std::vector<Hello> hellos_;
  std::optional<std::vector<RankRange>> hosts_;
  std::vector<Neighbour> neighbours_;
  std::shared_ptr<SharedSegment> control_;
};

}  // namespace

Result<std::unique_ptr<Route>> connect_route(const std::shared_ptr<Exchange>& exchange,
                                             const std::vector<RankRange>& ranges,
                                             const CommunicatorOptions& options,
                                             const std::shared_ptr<SegmentPool>& pool) {
  if (exchange->world_size() == 1) return make_lone_route(ranges.back().last);
  return RouteConnection(exchange, ranges, options, pool).run();
}

}  // namespace ds::collective

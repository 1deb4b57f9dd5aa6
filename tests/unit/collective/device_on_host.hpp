#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/device.hpp"

namespace ds::collective {

/// Connections between `HostQueue`s of one process.
class HostHub {
 public:
  using Bytes = std::vector<std::byte>;

  void join() {
    change([&] { ++members_; });
  }
  void leave() {
    change([&] { left_ = true; });
  }
  void send(std::uint32_t from, std::uint32_t to, Bytes bytes) {
    change([&] { sent_[{from, to}].push_back(std::move(bytes)); });
  }

  kernels::DeviceResult<void> wait_for_members(std::uint32_t count, const kernels::GiveUp& give_up) {
    return wait(give_up, [&] { return members_ == count; });
  }
  kernels::DeviceResult<Bytes> receive(std::uint32_t from, std::uint32_t to, const kernels::GiveUp& give_up) {
    Bytes bytes;
    return wait(give_up,
                [&] {
                  auto& queue = sent_[{from, to}];
                  if (queue.empty()) return false;
                  bytes = std::move(queue.front());
                  queue.pop_front();
                  return true;
                })
        .map([&] { return std::move(bytes); });
  }

  static std::shared_ptr<HostHub> find(std::uint64_t number) {
    static std::mutex mutex;
    static std::map<std::uint64_t, std::shared_ptr<HostHub>> hubs;
    const std::lock_guard lock(mutex);
    auto& hub = hubs[number];
    if (!hub) hub = std::make_shared<HostHub>();
    return hub;
  }

 private:
  template <class Change>
  void change(Change&& make) {
    const std::lock_guard lock(mutex_);
    make();
    changed_.notify_all();
  }

  template <class Ready>
  kernels::DeviceResult<void> wait(const kernels::GiveUp& give_up, Ready&& ready) {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (ready()) return {};
      if (left_) return kernels::device_failure(kernels::DeviceError::Kind::unavailable, "a queue has gone");
      if (give_up()) return kernels::device_failure(kernels::DeviceError::Kind::cancelled, "given up");
      changed_.wait_for(lock, std::chrono::milliseconds(2));
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint32_t members_ = 0;
  bool left_ = false;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::deque<Bytes>> sent_;
};

/// A `Device` that is this machine's memory and processor, so that what is put into queues, and in which
/// order, can be checked without a GPU. A stream is a `std::atomic<bool>`: whether its work is done.
class HostDevice final : public kernels::Device {
 public:
  /// The call that shall fail; empty: none does.
  explicit HostDevice(std::string failing = {}) : failing_(std::move(failing)) {}

  kernels::DeviceResult<void> attempt(const char* call) const {
    if (failing_ != call) return {};
    return kernels::device_failure(kernels::DeviceError::Kind::out_of_memory, failing_ + " failed");
  }

  kernels::DeviceResult<std::shared_ptr<void>> allocate(std::size_t bytes) override {
    return attempt("allocate").map([&] {
      return std::shared_ptr<void>(::operator new(bytes), [](void* memory) { ::operator delete(memory); });
    });
  }
  kernels::DeviceResult<void> copy(void* to, const void* from, std::size_t bytes) override {
    if (bytes > 0) std::memcpy(to, from, bytes);
    return {};
  }
  kernels::DeviceResult<kernels::DeviceMark> mark(kernels::DeviceStream stream) override {
    return attempt("mark").map([&] { return kernels::DeviceMark(kernels::DeviceMark(), stream.handle); });
  }
  kernels::DeviceResult<std::unique_ptr<kernels::DeviceQueue>> open_queue() override;

 private:
  const std::string failing_;
};

class HostQueue final : public kernels::DeviceQueue {
 public:
  explicit HostQueue(const HostDevice& device) : device_(device) {}
  ~HostQueue() override {
    if (hub_) hub_->leave();
  }

  kernels::DeviceResult<void> wait_for(const kernels::DeviceMark& mark,
                                       const kernels::GiveUp& give_up) override {
    const auto* done = static_cast<const std::atomic<bool>*>(mark.get());
    while (!done->load()) {
      if (give_up()) return kernels::device_failure(kernels::DeviceError::Kind::cancelled, "given up");
      std::this_thread::yield();
    }
    return {};
  }
  kernels::DeviceResult<void> wait(const kernels::GiveUp&) override { return device_.attempt("wait"); }

  kernels::DeviceResult<void> reduce(const kernels::TreeReduction& reduction) override {
    return device_.attempt("reduce").map([&] { kernels::reduce_tree(reduction); });
  }
  kernels::DeviceResult<void> copy(void* to, const void* from, std::size_t bytes) override {
    std::memcpy(to, from, bytes);
    return {};
  }

  kernels::DeviceResult<std::vector<std::byte>> make_invitation() override {
    static std::atomic<std::uint64_t> next{0};
    const std::uint64_t number = next++;
    return device_.attempt("invite").map([&] {
      const auto bytes = std::as_bytes(std::span(&number, 1));
      return std::vector<std::byte>(bytes.begin(), bytes.end());
    });
  }
  kernels::DeviceResult<void> connect(std::span<const std::byte> invitation, std::uint32_t rank,
                                      std::uint32_t world_size, const kernels::GiveUp& give_up) override {
    std::uint64_t number = 0;
    if (invitation.size() != sizeof number)
      return kernels::device_failure(kernels::DeviceError::Kind::failed, "no invitation");
    std::memcpy(&number, invitation.data(), sizeof number);
    rank_ = rank;
    world_size_ = world_size;
    hub_ = HostHub::find(number);
    return device_.attempt("connect").and_then([&] {
      hub_->join();
      return hub_->wait_for_members(world_size, give_up);
    });
  }

  kernels::DeviceResult<void> transfer(std::span<const kernels::DeviceSend> sends,
                                       std::span<const kernels::DeviceReceive> receives,
                                       const kernels::GiveUp& give_up) override {
    if (auto begun = device_.attempt("transfer"); !begun) return begun;
    for (const kernels::DeviceSend& send : sends) {
      const auto* data = static_cast<const std::byte*>(send.data);
      hub_->send(rank_, send.to, {data, data + send.bytes});
    }
    for (const kernels::DeviceReceive& receive : receives) {
      auto bytes = hub_->receive(receive.from, rank_, give_up);
      if (!bytes) return tl::unexpected(bytes.error());
      if (bytes->size() != receive.bytes)
        return kernels::device_failure(kernels::DeviceError::Kind::failed, "a part of another size arrived");
      std::memcpy(receive.data, bytes->data(), receive.bytes);
    }
    return {};
  }
  kernels::DeviceResult<void> broadcast(void* vector, std::size_t bytes, std::uint32_t root,
                                        const kernels::GiveUp& give_up) override {
    std::vector<kernels::DeviceSend> sends;
    std::vector<kernels::DeviceReceive> receives;
    if (rank_ != root) receives.push_back({root, vector, bytes});
    for (std::uint32_t to = 0; to < world_size_ && rank_ == root; ++to) {
      if (to != root) sends.push_back({to, vector, bytes});
    }
    return transfer(sends, receives, give_up);
  }

 private:
  const HostDevice& device_;
  std::shared_ptr<HostHub> hub_;
  std::uint32_t rank_ = 0;
  std::uint32_t world_size_ = 0;
};

inline kernels::DeviceResult<std::unique_ptr<kernels::DeviceQueue>> HostDevice::open_queue() {
  return attempt("open_queue").map([&]() -> std::unique_ptr<kernels::DeviceQueue> {
    return std::make_unique<HostQueue>(*this);
  });
}

}  // namespace ds::collective

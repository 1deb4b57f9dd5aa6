#pragma once

#include <caf/deserializer.hpp>
#include <caf/serializer.hpp>
#include <vector>

#include "actors/fabric/buffer.hpp"
#include "actors/fabric/wire.hpp"

namespace ds::fabric {

/// Writes a message into one block, and `Buffer`s beside it. Unlike CAF's binary serializer it keeps every
/// bit of a float.
class MessageWriter final : public caf::serializer {
 public:
  explicit MessageWriter(caf::actor_system& system) : caf::serializer(system), out_(kUsualBytes) {}

  void put_buffer(const Buffer& buffer);
  /// The block, then the buffers in the order they were put.
  std::vector<Buffer> take_parts();

  caf::error begin_object(uint16_t& type, std::string& name) override;
  caf::error end_object() override;
  caf::error begin_sequence(size_t& size) override;
  caf::error end_sequence() override;
  caf::error apply_raw(size_t size, void* data) override;

 protected:
  caf::error apply_impl(int8_t& x) override;
  caf::error apply_impl(uint8_t& x) override;
  caf::error apply_impl(int16_t& x) override;
  caf::error apply_impl(uint16_t& x) override;
  caf::error apply_impl(int32_t& x) override;
  caf::error apply_impl(uint32_t& x) override;
  caf::error apply_impl(int64_t& x) override;
  caf::error apply_impl(uint64_t& x) override;
  caf::error apply_impl(float& x) override;
  caf::error apply_impl(double& x) override;
  caf::error apply_impl(long double& x) override;
  caf::error apply_impl(std::string& x) override;
  caf::error apply_impl(std::u16string& x) override;
  caf::error apply_impl(std::u32string& x) override;

 private:
  static constexpr std::size_t kUsualBytes = 256;

  WireWriter out_;
  std::vector<Buffer> buffers_;
};

/// Reads what a `MessageWriter` wrote. Never reads past the block and never takes memory for more elements
/// than it has bytes.
class MessageReader final : public caf::deserializer {
 public:
  /// `parts` must outlive the reader.
  MessageReader(caf::actor_system& system, const std::vector<Buffer>& parts);

  caf::error take_buffer(Buffer& buffer);
  /// All bytes and all buffers were read.
  bool complete() const { return in_.complete() && next_buffer_ == parts_.size(); }

  caf::error begin_object(uint16_t& type, std::string& name) override;
  caf::error end_object() override;
  caf::error begin_sequence(size_t& size) override;
  caf::error end_sequence() override;
  caf::error apply_raw(size_t size, void* data) override;

 protected:
  caf::error apply_impl(int8_t& x) override;
  caf::error apply_impl(uint8_t& x) override;
  caf::error apply_impl(int16_t& x) override;
  caf::error apply_impl(uint16_t& x) override;
  caf::error apply_impl(int32_t& x) override;
  caf::error apply_impl(uint32_t& x) override;
  caf::error apply_impl(int64_t& x) override;
  caf::error apply_impl(uint64_t& x) override;
  caf::error apply_impl(float& x) override;
  caf::error apply_impl(double& x) override;
  caf::error apply_impl(long double& x) override;
  caf::error apply_impl(std::string& x) override;
  caf::error apply_impl(std::u16string& x) override;
  caf::error apply_impl(std::u32string& x) override;

 private:
  template <class T>
  caf::error read(T& x);

  const std::vector<Buffer>& parts_;
  WireReader in_;
  std::size_t next_buffer_ = 1;
};

}  // namespace ds::fabric

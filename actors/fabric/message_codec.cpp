#include "actors/fabric/message_codec.hpp"

#include <bit>
#include <caf/actor_system.hpp>
#include <caf/sec.hpp>
#include <cstring>
#include <typeinfo>

#include "actors/fabric/buffer_inspect.hpp"

namespace ds {

caf::error inspect(caf::serializer& sink, Buffer& x) {
  if (typeid(sink) != typeid(fabric::MessageWriter)) return caf::sec::unsupported_sys_key;
  static_cast<fabric::MessageWriter&>(sink).put_buffer(x);
  return caf::none;
}

caf::error inspect(caf::deserializer& source, Buffer& x) {
  if (typeid(source) != typeid(fabric::MessageReader)) return caf::sec::unsupported_sys_key;
  return static_cast<fabric::MessageReader&>(source).take_buffer(x);
}

std::string to_string(const Buffer& x) {
  return "buffer of " + std::to_string(x.size()) + " bytes";
}

namespace fabric {

// ---- writing ------------------------------------------------------------------------------------

void MessageWriter::put_buffer(const Buffer& buffer) {
  buffers_.push_back(buffer);
  out_.integer(static_cast<std::uint8_t>(buffers_.size()));
  out_.integer(static_cast<std::uint64_t>(buffer.size()));
}

std::vector<Buffer> MessageWriter::take_parts() {
  auto block = std::make_shared<std::vector<std::byte>>(out_.take());
  const std::span<const std::byte> bytes(*block);
  std::vector<Buffer> parts;
  parts.reserve(1 + buffers_.size());
  parts.emplace_back(std::move(block), bytes);
  for (Buffer& buffer : buffers_) parts.push_back(std::move(buffer));
  return parts;
}

caf::error MessageWriter::begin_object(uint16_t& type, std::string& name) {
  out_.integer(type);
  return type == 0 ? apply_impl(name) : caf::none;
}
caf::error MessageWriter::end_object() {
  return caf::none;
}
caf::error MessageWriter::begin_sequence(size_t& size) {
  out_.integer(static_cast<std::uint64_t>(size));
  return caf::none;
}
caf::error MessageWriter::end_sequence() {
  return caf::none;
}
caf::error MessageWriter::apply_raw(size_t size, void* data) {
  out_.bytes({static_cast<const std::byte*>(data), size});
  return caf::none;
}

caf::error MessageWriter::apply_impl(int8_t& x) {
  return out_.integer(x), caf::none;
}
caf::error MessageWriter::apply_impl(uint8_t& x) {
  return out_.integer(x), caf::none;
}
caf::error MessageWriter::apply_impl(int16_t& x) {
  return out_.integer(x), caf::none;
}
caf::error MessageWriter::apply_impl(uint16_t& x) {
  return out_.integer(x), caf::none;
}
caf::error MessageWriter::apply_impl(int32_t& x) {
  return out_.integer(x), caf::none;
}
caf::error MessageWriter::apply_impl(uint32_t& x) {
  return out_.integer(x), caf::none;
}
caf::error MessageWriter::apply_impl(int64_t& x) {
  return out_.integer(x), caf::none;
}
caf::error MessageWriter::apply_impl(uint64_t& x) {
  return out_.integer(x), caf::none;
}
caf::error MessageWriter::apply_impl(float& x) {
  return out_.integer(std::bit_cast<std::uint32_t>(x)), caf::none;
}
caf::error MessageWriter::apply_impl(double& x) {
  return out_.integer(std::bit_cast<std::uint64_t>(x)), caf::none;
}
caf::error MessageWriter::apply_impl(long double&) {
  return caf::sec::unsupported_sys_key;
}
caf::error MessageWriter::apply_impl(std::string& x) {
  out_.integer(static_cast<std::uint64_t>(x.size()));
  out_.bytes(std::as_bytes(std::span(x)));
  return caf::none;
}
caf::error MessageWriter::apply_impl(std::u16string&) {
  return caf::sec::unsupported_sys_key;
}
caf::error MessageWriter::apply_impl(std::u32string&) {
  return caf::sec::unsupported_sys_key;
}

// ---- reading ------------------------------------------------------------------------------------

MessageReader::MessageReader(caf::actor_system& system, const std::vector<Buffer>& parts)
    : caf::deserializer(system),
      parts_(parts),
      in_(parts.empty() ? std::span<const std::byte>() : parts[0].bytes()) {}

caf::error MessageReader::take_buffer(Buffer& buffer) {
  const auto index = in_.integer<std::uint8_t>();
  const auto size = in_.integer<std::uint64_t>();
  if (!in_.ok()) return caf::sec::end_of_stream;
  if (index != next_buffer_ || index >= parts_.size() || parts_[index].size() != size)
    return caf::sec::invalid_argument;
  buffer = parts_[next_buffer_++];
  return caf::none;
}

template <class T>
caf::error MessageReader::read(T& x) {
  x = in_.integer<T>();
  return in_.ok() ? caf::none : caf::error(caf::sec::end_of_stream);
}

caf::error MessageReader::begin_object(uint16_t& type, std::string& name) {
  if (auto error = read(type)) return error;
  return type == 0 ? apply_impl(name) : caf::none;
}
caf::error MessageReader::end_object() {
  return caf::none;
}
caf::error MessageReader::begin_sequence(size_t& size) {
  std::uint64_t count = 0;
  if (auto error = read(count)) return error;
  if (count > in_.left()) return caf::sec::end_of_stream;
  size = count;
  return caf::none;
}
caf::error MessageReader::end_sequence() {
  return caf::none;
}
caf::error MessageReader::apply_raw(size_t size, void* data) {
  auto bytes = in_.bytes(size);
  if (!in_.ok()) return caf::sec::end_of_stream;
  if (size != 0) std::memcpy(data, bytes.data(), size);
  return caf::none;
}

caf::error MessageReader::apply_impl(int8_t& x) {
  return read(x);
}
caf::error MessageReader::apply_impl(uint8_t& x) {
  return read(x);
}
caf::error MessageReader::apply_impl(int16_t& x) {
  return read(x);
}
caf::error MessageReader::apply_impl(uint16_t& x) {
  return read(x);
}
caf::error MessageReader::apply_impl(int32_t& x) {
  return read(x);
}
caf::error MessageReader::apply_impl(uint32_t& x) {
  return read(x);
}
caf::error MessageReader::apply_impl(int64_t& x) {
  return read(x);
}
caf::error MessageReader::apply_impl(uint64_t& x) {
  return read(x);
}
caf::error MessageReader::apply_impl(float& x) {
  std::uint32_t bits = 0;
  auto error = read(bits);
  x = std::bit_cast<float>(bits);
  return error;
}
caf::error MessageReader::apply_impl(double& x) {
  std::uint64_t bits = 0;
  auto error = read(bits);
  x = std::bit_cast<double>(bits);
  return error;
}
caf::error MessageReader::apply_impl(long double&) {
  return caf::sec::unsupported_sys_key;
}
caf::error MessageReader::apply_impl(std::string& x) {
  size_t size = 0;
  if (auto error = begin_sequence(size)) return error;
  x.resize(size);
  return apply_raw(size, x.data());
}
caf::error MessageReader::apply_impl(std::u16string&) {
  return caf::sec::unsupported_sys_key;
}
caf::error MessageReader::apply_impl(std::u32string&) {
  return caf::sec::unsupported_sys_key;
}

}  // namespace fabric
}  // namespace ds

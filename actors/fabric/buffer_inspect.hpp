#pragma once

#include <string>

#include "actors/fabric/buffer.hpp"

// Lets `Buffer` be a field of a message. Only names of CAF are needed, so that headers of messages stay
// light.
namespace caf {
class deserializer;
class error;
class serializer;
}  // namespace caf

namespace ds {

/// Puts the buffer beside the message. Fails with `caf::sec::unsupported_sys_key` under any serializer but
/// the fabric's.
caf::error inspect(caf::serializer& sink, Buffer& x);
/// Takes it from beside the message.
caf::error inspect(caf::deserializer& source, Buffer& x);

/// For CAF's printing of messages: the size, not the bytes.
std::string to_string(const Buffer& x);

}  // namespace ds

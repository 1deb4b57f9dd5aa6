#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace ds::storage {

using Sha256 = std::array<std::uint8_t, 32>;

/// SHA-256 of bytes that arrive in pieces. Not thread-safe.
class Sha256Hasher {
 public:
  Sha256Hasher();
  Sha256Hasher(Sha256Hasher&&) noexcept;
  Sha256Hasher& operator=(Sha256Hasher&&) noexcept;
  ~Sha256Hasher();

  Sha256Hasher& add(std::string_view bytes);
  /// Ends the sum; the hasher may only be destroyed afterwards.
  Sha256 finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

Sha256 sha256(std::string_view bytes);
std::string to_hex(const Sha256& sum);

inline std::string_view to_view(const Sha256& sum) {
  return {reinterpret_cast<const char*>(sum.data()), sum.size()};
}

}  // namespace ds::storage

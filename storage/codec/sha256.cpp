#include "storage/codec/sha256.hpp"

#include <openssl/evp.h>

#include <cstdlib>

namespace ds::storage {

namespace {

// OpenSSL's digest functions fail only when memory or the provider is gone; no caller could go on without a
// sum.
void require(int outcome) {
  if (outcome != 1) std::abort();
}

}  // namespace

struct Sha256Hasher::Context {
  EVP_MD_CTX* handle = EVP_MD_CTX_new();
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(handle); }
};

Sha256Hasher::Sha256Hasher() : context_(std::make_unique<Context>()) {
  require(context_->handle != nullptr ? 1 : 0);
  require(EVP_DigestInit_ex(context_->handle, EVP_sha256(), nullptr));
}
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;
Sha256Hasher::~Sha256Hasher() = default;

Sha256Hasher& Sha256Hasher::add(std::string_view bytes) {
  require(EVP_DigestUpdate(context_->handle, bytes.data(), bytes.size()));
  return *this;
}

Sha256 Sha256Hasher::finish() {
  Sha256 sum{};
  require(EVP_DigestFinal_ex(context_->handle, sum.data(), nullptr));
  return sum;
}

Sha256 sha256(std::string_view bytes) {
  return Sha256Hasher().add(bytes).finish();
}

std::string to_hex(const Sha256& sum) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * sum.size());
  for (const std::uint8_t byte : sum) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace ds::storage

#include "storage/files/file_digest.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <vector>

#include "storage/codec/sha256.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::storage {
namespace {

constexpr std::size_t kPiece = 1 << 20;

Result<std::string> digest_of(int descriptor, const std::filesystem::path& file, std::uint64_t limit) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return fail_with_errno(errno, "cannot look at", file);
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::invalid_argument, file.string() + " is no file");
  Sha256Hasher hasher;
  std::vector<char> piece(kPiece);
  for (std::uint64_t bytes = 0;;) {
    const ssize_t size = ::read(descriptor, piece.data(), piece.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_with_errno(errno, "cannot read", file);
    if (size == 0) return to_hex(hasher.finish());
    bytes += static_cast<std::uint64_t>(size);
    if (bytes > limit)
      return fail(ErrorCode::invalid_argument,
                  fmt::format("{} has more than {} bytes", file.string(), limit));
    hasher.add({piece.data(), static_cast<std::size_t>(size)});
  }
}

}  // namespace

Result<std::string> digest_of_file(const std::filesystem::path& file, std::uint64_t limit) {
  const int descriptor =
      ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // of a pipe nobody writes to
  if (descriptor < 0) return fail_with_errno(errno, "cannot open", file);
  auto digest = digest_of(descriptor, file, limit);
  ::close(descriptor);
  return digest;
}

}  // namespace ds::storage

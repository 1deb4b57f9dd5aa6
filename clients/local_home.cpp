#include "clients/local_home.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "clients/failure.hpp"

namespace ds::clients {
namespace {

constexpr std::size_t kMaxRecordBytes = 64 << 10;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

}  // namespace

LocalHome find_local_home() {
  std::filesystem::path root = environment("DS_HOME");
  if (root.empty()) {
    std::filesystem::path state = environment("XDG_STATE_HOME");
    if (state.empty() ||
        state.is_relative()) {  // relative ones are to be ignored, says the XDG specification
      const std::string home = environment("HOME");
      if (home.empty()) {
        throw Failure(ExitCode::usage, "usage",
                      "no place for the local cluster: DS_HOME and HOME are both unset",
                      "set DS_HOME to a directory");
      }
      state = std::filesystem::path(home) / ".local" / "state";
    }
    root = state / "ds";
  }
  return {std::filesystem::absolute(root).lexically_normal()};
}

std::optional<std::string> read_small_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(kMaxRecordBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad() || text.size() > kMaxRecordBytes) return std::nullopt;
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

void write_small_file(const std::filesystem::path& file, const std::string& text) {
  const std::filesystem::path temporary = file.string() + "." + std::to_string(::getpid()) + ".tmp";
  std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(temporary, file, error);
  if (!out || error) {
    const std::string why = error ? error.message() : std::strerror(errno);
    std::filesystem::remove(temporary, error);
    throw Failure(ExitCode::unexpected, "local", "cannot write " + file.string() + ": " + why);
  }
}

}  // namespace ds::clients

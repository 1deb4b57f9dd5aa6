#include "actors/programs/program.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <signal.h>
#include <spdlog/cfg/helpers.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

namespace ds::programs {
namespace {

constexpr std::size_t kSecretBytes = 32;

sigset_t end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int one : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, one);
  return signals;
}

Result<void> write_new_file(const std::filesystem::path& file, const std::string& content) {
  const int descriptor = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    return fail(ErrorCode::permission_denied,
                fmt::format("cannot write {}: {}", file.string(), std::strerror(errno)));
  }
  const bool whole =
      write(descriptor, content.data(), content.size()) == static_cast<ssize_t>(content.size()) &&
      fsync(descriptor) == 0;
  close(descriptor);
  if (!whole) return fail(ErrorCode::resource_exhausted, fmt::format("cannot write {}", file.string()));
  return {};
}

}  // namespace

Result<HostPort> parse_host_port(const std::string& text) {
  const auto colon = text.rfind(':');
  HostPort parsed;
  if (colon != std::string::npos) {
    parsed.host = text.substr(0, colon);
    if (parsed.host.size() > 2 && parsed.host.front() == '[' && parsed.host.back() == ']') {
      parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
    }
    const auto* end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data() + colon + 1, end, parsed.port);
    if (error == std::errc() && stopped == end && !parsed.host.empty()) {
      if (parsed.host == "localhost") parsed.host = "127.0.0.1";
      return parsed;
    }
  }
  return fail(ErrorCode::invalid_argument, fmt::format("expected HOST:PORT, got \"{}\"", text),
              "for example 127.0.0.1:8080");
}

bool is_loopback(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  return host == "::1" || host == "localhost";
}

Result<void> check_listen_address(const std::string& host, bool insecure) {
  std::array<unsigned char, sizeof(in6_addr)> parsed{};
  if (inet_pton(AF_INET, host.c_str(), parsed.data()) != 1 &&
      inet_pton(AF_INET6, host.c_str(), parsed.data()) != 1) {
    return fail(ErrorCode::invalid_argument, fmt::format("{} is not a numeric address", host));
  }
  if (host == "0.0.0.0" || host == "::") {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is no address that others could connect to", host),
                "name the address of the interface that the cluster's machines share");
  }
  if (is_loopback(host) || insecure) return {};
  return fail(
      ErrorCode::permission_denied,
      fmt::format("{} can be reached from other machines, and the cluster has no tokens and no TLS yet: "
                  "whoever reaches it can run jobs and read data",
                  host),
      "use a loopback address, or --insecure-listen on a network where you trust everybody");
}

Result<std::string> load_secret(const std::filesystem::path& file, bool create) {
  std::error_code error;
  if (create && !std::filesystem::exists(file, error)) {
    std::array<unsigned char, kSecretBytes> random{};
    if (RAND_bytes(random.data(), random.size()) != 1) return fail(ErrorCode::internal, "no random numbers");
    std::string text;
    for (const auto byte : random) text += fmt::format("{:02x}", byte);
    if (auto written = replace_file(file, text + "\n"); !written) return tl::unexpected(written.error());
  }
  std::ifstream stream(file);
  std::string secret;
  if (!stream || !(stream >> secret) || secret.size() < kSecretBytes) {
    return fail(ErrorCode::permission_denied,
                fmt::format("cannot read the cluster's secret from {}", file.string()),
                "it is the file cluster.secret in the data directory of ds-head");
  }
  return secret;
}

Result<void> replace_file(const std::filesystem::path& file, const std::string& content) {
  auto next = file;
  next += ".new";
  if (auto written = write_new_file(next, content); !written) return written;
  std::error_code error;
  std::filesystem::rename(next, file, error);
  if (error)
    return fail(ErrorCode::internal, fmt::format("cannot write {}: {}", file.string(), error.message()));
  return {};
}

void set_up_logging(const std::string& program) {
  auto logger = std::make_shared<spdlog::logger>(program, std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %n %l: %v");
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  const char* level = std::getenv("DS_LOG_LEVEL");
  spdlog::set_level(level == nullptr ? spdlog::level::info : spdlog::level::from_str(level));
}

void block_end_signals() {
  const auto signals = end_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

void wait_for_signal() {
  const auto signals = end_signals();
  int got = 0;
  sigwait(&signals, &got);
}

void request_end() {
  kill(getpid(), SIGTERM);
}

int report_failure(const std::string& program, const Error& error) {
  fmt::print(stderr, "{}: {}\n", program, error.message);
  if (!error.hint.empty()) fmt::print(stderr, "  {}\n", error.hint);
  return 1;
}

}  // namespace ds::programs

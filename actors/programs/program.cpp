#include "actors/programs/program.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <signal.h>
#include <spdlog/cfg/helpers.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "storage/files/whole_file.hpp"

namespace ds::programs {
namespace {

constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kClusterIdBytes = 8;
constexpr std::size_t kMaxIdFileBytes = 256;

sigset_t end_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int one : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, one);
  return signals;
}

Result<void> write_random(const std::filesystem::path& file, std::size_t bytes) {
  std::vector<unsigned char> random(bytes);
  if (RAND_bytes(random.data(), static_cast<int>(bytes)) != 1)
    return fail(ErrorCode::internal, "no random numbers");
  std::string text;
  for (const auto byte : random) text += fmt::format("{:02x}", byte);
  return storage::replace_file(file, text + "\n");
}

}  // namespace

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
    if (auto written = write_random(file, kSecretBytes); !written) return tl::unexpected(written.error());
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

Result<std::string> load_cluster_id(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) {
    if (auto written = write_random(file, kClusterIdBytes); !written) return tl::unexpected(written.error());
  }
  auto id = storage::read_file(file, kMaxIdFileBytes);
  if (!id) return id;
  while (!id->empty() && id->back() == '\n') id->pop_back();
  if (id->empty() || id->find_first_not_of("0123456789abcdef") != std::string::npos) {
    return fail(ErrorCode::data_loss, fmt::format("{} does not hold the cluster's id", file.string()),
                "delete the file: a new id is made, and nothing else depends on the old one");
  }
  return id;
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

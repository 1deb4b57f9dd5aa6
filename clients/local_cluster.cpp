#include "clients/local_cluster.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <sstream>
#include <string_view>
#include <thread>

#include "clients/api_client.hpp"
#include "clients/failure.hpp"
#include "clients/free_port.hpp"
#include "clients/json_fields.hpp"
#include "clients/output.hpp"
#include "clients/printable.hpp"

namespace ds::clients {
namespace {

constexpr std::chrono::seconds kReadyTime{60};
constexpr std::chrono::seconds kNodesAnswerTime{5};
constexpr std::chrono::seconds kNodesStopTime{10};
constexpr std::chrono::seconds kStopTime{15};
constexpr std::chrono::milliseconds kLookPause{50};
constexpr std::chrono::seconds kPortIsLeftWithin{3};
constexpr std::size_t kShownLogLines = 12;
constexpr std::string_view kHead = "head";

std::string node_name(int number) {
  return fmt::format("node-{}", number);
}

std::filesystem::path find_program(const std::string& name) {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto program = self.parent_path() / name;
  if (error || ::access(program.c_str(), X_OK) != 0) {
    throw Failure(ExitCode::unexpected, "local",
                  fmt::format("{} is not beside ds-submit in {}", name, self.parent_path().string()),
                  "build or install all programs: cmake --build --preset release");
  }
  return program;
}

void make_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error)
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, error);  // secrets live there
  if (error) {
    throw Failure(ExitCode::unexpected, "local",
                  fmt::format("cannot make {}: {}", folder.string(), error.message()),
                  "set DS_HOME to a directory that you may write to");
  }
}

/// 0: it names none.
std::uint16_t port_of(const std::string& address) {
  std::uint16_t port = 0;
  const auto colon = address.rfind(':');
  if (colon != std::string::npos)
    std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  return port;
}

/// The node that `entry` of the API describes lives: the head may still list one that died before.
bool describes_living_node(const nlohmann::json& entry, const std::string& name) {
  if (text_at(entry, "id") != name) return false;
  const auto pid = static_cast<pid_t>(integer_at(entry, "pid"));
  return pid <= 0 || ::kill(pid, 0) == 0 || errno == EPERM;
}

}  // namespace

ClusterShape choose_shape(const ShapeOptions& options, const std::optional<ClusterShape>& before) {
  ClusterShape shape = before.value_or(ClusterShape{});
  shape.nodes = options.nodes.value_or(shape.nodes);
  shape.slots = options.slots.value_or(shape.slots);
  shape.gpus = options.gpus.value_or(shape.gpus);
  shape.port = options.port.value_or(shape.port);
  if (shape.gpus == "auto") shape.gpus.clear();
  return shape;
}

std::string describe_shape(const ClusterShape& shape) {
  return fmt::format("{} node{} of {} slot{}{}", shape.nodes, shape.nodes == 1 ? "" : "s", shape.slots,
                     shape.slots == 1 ? "" : "s",
                     shape.gpus.empty() ? "" : ", GPUs of node-1: " + shape.gpus);
}

std::string format_cluster_shape(const ClusterShape& shape) {
  const auto gpus = shape.gpus.empty() ? std::string() : fmt::format("gpus {}\n", shape.gpus);
  const auto port = shape.port == 0 ? std::string() : fmt::format("port {}\n", shape.port);
  return fmt::format("nodes {}\nslots {}\n{}{}", shape.nodes, shape.slots, port, gpus);
}

std::optional<ClusterShape> parse_cluster_shape(const std::string& text) {
  std::istringstream in(text);
  std::string nodes;
  std::string slots;
  ClusterShape shape;
  if (!(in >> nodes >> shape.nodes >> slots >> shape.slots) || nodes != "nodes" || slots != "slots")
    return std::nullopt;
  constexpr std::string_view kPort = "\nport ";
  if (const auto port = text.find(kPort); port != std::string::npos) {
    const char* begin = text.data() + port + kPort.size();
    std::from_chars(begin, text.data() + text.size(), shape.port);
  }
  constexpr std::string_view kGpus = "\ngpus ";  // a kind may have spaces
  if (const auto gpus = text.find(kGpus); gpus != std::string::npos) {
    shape.gpus = text.substr(gpus + kGpus.size());
    shape.gpus.resize(std::min(shape.gpus.find('\n'), shape.gpus.size()));
  }
  return shape;
}

std::string gpus_of_node(const ClusterShape& shape, int number) {
  return number == 1 ? shape.gpus : "0";
}

LocalCluster::LocalCluster(LocalHome home) : home_(std::move(home)) {}

LocalCluster::~LocalCluster() {
  if (lock_ >= 0) ::close(lock_);
}

/// The lock file also marks the folder as ours: only such a folder is ever purged.
bool LocalCluster::lock(bool create) {
  lock_ = ::open(home_.lock_file().c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
  if (lock_ < 0 && errno == ENOENT && !create) return false;
  if (lock_ < 0) {
    throw Failure(ExitCode::unexpected, "local",
                  fmt::format("cannot open {}: {}", home_.lock_file().string(), std::strerror(errno)),
                  "set DS_HOME to a directory that you may write to");
  }
  const auto deadline = Clock::now() + kReadyTime + kStopTime;
  bool told = false;
  while (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    if (Clock::now() >= deadline) {
      throw Failure(ExitCode::conflict, "conflict", "another ds-submit up or down does not come to an end");
    }
    if (!told) write_err("waiting for another ds-submit up or down to finish\n");
    told = true;
    std::this_thread::sleep_for(kLookPause);
  }
  return true;
}

void LocalCluster::prepare_folders() {
  std::error_code error;
  const bool ours = std::filesystem::exists(home_.lock_file(), error);
  if (!ours && !std::filesystem::is_empty(home_.head_dir(), error) && !error) {
    throw Failure(ExitCode::conflict, "conflict",
                  fmt::format("{} exists and was not made by ds-submit up", home_.head_dir().string()),
                  "set DS_HOME to a directory of its own");
  }
  make_folder(home_.root);
  lock(true);
  make_folder(home_.run_dir());
}

LocalCluster::Members LocalCluster::living_members() const {
  Members living;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(home_.run_dir(), error)) {
    if (entry.path().extension() != ".pid") continue;
    const auto text = read_small_file(entry.path());
    const auto record = text ? parse_member_record(*text) : std::nullopt;
    if (record && is_alive(*record)) living[entry.path().stem().string()] = *record;
  }
  return living;
}

void LocalCluster::start(const std::string& name, const std::string& program,
                         const std::vector<std::string>& arguments) {
  const auto record = start_member(find_program(program), arguments, home_.log_file(name), home_.run_dir());
  started_[name] = members_[name] = record;
  write_small_file(home_.pid_file(name), format_member_record(record));
}

void LocalCluster::fail_with_log(const std::string& name, const std::string& what) const {
  const std::string lines = printable_text(read_last_lines(home_.log_file(name), kShownLogLines));
  throw Failure(ExitCode::unexpected, "local",
                fmt::format("{} {}{}{}", name, what, lines.empty() ? "" : "; it said last:\n", lines),
                "the whole log is " + home_.log_file(name).string());
}

void LocalCluster::check_members() const {
  for (const auto& [name, record] : members_) {
    if (is_alive(record)) continue;
    const std::string end = describe_end(record);
    fail_with_log(name, end.empty() ? "died while the cluster was starting"
                                    : "ended with " + end + " while the cluster was starting");
  }
}

std::string LocalCluster::choose_listen_address(std::uint16_t port) const {
  const auto remembered = read_small_file(home_.address_file());
  const bool is_named = port != 0;
  if (!is_named) port = remembered ? port_of(*remembered) : 0;
  const auto listen = fmt::format("127.0.0.1:{}", port);
  int why = why_not_free(port);
  // A head that was killed a moment ago may have it still.
  const auto until = Clock::now() + kPortIsLeftWithin;
  while (why == EADDRINUSE && remembered && Clock::now() < until) {
    std::this_thread::sleep_for(kLookPause);
    why = why_not_free(port);
  }
  if (why == 0) return listen;
  const std::string others =
      is_fresh_ ? "or choose another: ds-submit up --port N (0 takes any free one)"
                : "or ds-submit down, then ds-submit up --port N: what runs looks for the head there";
  if (why == EADDRINUSE) {
    if (is_fresh_ && !is_named) {
      write_err(
          fmt::format("another program has port {}, where the cluster was; it gets another one\n", port));
      return "127.0.0.1:0";
    }
    throw Failure(
        ExitCode::conflict, "conflict",
        fmt::format("another program has port {} of 127.0.0.1, so the head can't listen there", port),
        fmt::format("ss -ltnp 'sport = :{}' names it; end it and try again, {}", port, others));
  }
  throw Failure(ExitCode::usage, "usage",
                fmt::format("the head can't listen on port {} of 127.0.0.1: {}", port, std::strerror(why)),
                why == EACCES ? "choose a port above 1023, " + others : others);
}

std::string LocalCluster::start_head(std::uint16_t port, Clock::time_point deadline) {
  const auto listen = choose_listen_address(port);
  const auto ready_file = home_.head_dir() / "address";
  std::error_code ignored;
  std::filesystem::remove(ready_file, ignored);  // of the head before; the new one writes it when it is ready
  std::vector<std::string> arguments{"--data-dir", home_.head_dir().string(), "--listen", listen};
  if (std::filesystem::exists(home_.tenants_file(), ignored))
    arguments.insert(arguments.end(), {"--tenants", home_.tenants_file().string()});
  start(std::string(kHead), "ds-head", arguments);
  for (;;) {
    const auto address = read_small_file(ready_file);
    if (address && !address->empty()) {
      write_small_file(home_.address_file(), *address + "\n");
      return *address;
    }
    check_members();
    if (Clock::now() >= deadline) fail_with_log(std::string(kHead), "was not ready in time");
    std::this_thread::sleep_for(kLookPause);
  }
}

void LocalCluster::fail_without(const std::vector<std::string>& nodes) const {
  if (is_fresh_) fail_with_log(nodes.front(), "did not register with the head in time");
  std::string names;
  std::string end_them, go_on;
  for (const auto& name : nodes) {
    const auto& record = members_.at(name);
    names += fmt::format("{}{} (pid {}{})", names.empty() ? "" : ", ", name, record.pid,
                         is_stopped(record) ? ", stopped by a signal" : "");
    end_them += fmt::format(" {}", record.pid);
    if (is_stopped(record)) go_on += fmt::format(" {}", record.pid);
  }
  throw Failure(ExitCode::unexpected, "local",
                fmt::format("the head is up, but without {}: not registered with it", names),
                fmt::format("what runs goes on; {}kill -9{} and ds-submit up start anew; logs are in {}",
                            go_on.empty() ? "" : fmt::format("kill -CONT{} lets it go on, or ", go_on),
                            end_them, home_.run_dir().string()));
}

void LocalCluster::wait_for_nodes(const std::string& address, const ClusterShape& shape,
                                  Clock::time_point deadline) {
  ApiClient api(parse_head_address(address, home_.address_file().string()));
  for (;;) {
    std::vector<std::string> missing;
    bool answers = true;
    try {
      const auto nodes = api.get("/api/v1/nodes", kNodesAnswerTime);
      for (int i = 1; i <= shape.nodes; ++i) {
        const bool is_there = std::ranges::any_of(
            nodes, [&](const auto& node) { return describes_living_node(node, node_name(i)); });
        if (!is_there) missing.push_back(node_name(i));
      }
      if (missing.empty()) return;
    } catch (const Failure& failure) {
      if (failure.exit_code != ExitCode::no_server && failure.exit_code != ExitCode::timed_out) throw;
      answers = false;
    }
    check_members();
    const bool is_late = Clock::now() >= deadline;
    const auto& head = members_.at(std::string(kHead));
    if (!answers && is_stopped(head)) {
      throw Failure(
          ExitCode::unexpected, "local",
          fmt::format("the head (pid {}) is stopped by a signal and answers nobody", head.pid),
          fmt::format("kill -CONT {0} lets it go on; or kill -9 {0}, and ds-submit up starts it again: "
                      "what runs goes on meanwhile",
                      head.pid));
    }
    if (!answers && is_late) fail_with_log(std::string(kHead), "does not answer");
    const auto is_held = [&](const std::string& node) { return is_stopped(members_.at(node)); };
    if (answers && (is_late || std::ranges::all_of(missing, is_held))) fail_without(missing);
    std::this_thread::sleep_for(kLookPause);
  }
}

void LocalCluster::remember_tenants(const std::optional<std::string>& text) {
  if (text && !text->empty()) return write_small_file(home_.tenants_file(), *text + "\n");
  std::error_code ignored;
  std::filesystem::remove(home_.tenants_file(), ignored);
}

/// Of what is running.
void LocalCluster::check_shape(const ClusterShape& before, const ClusterShape& shape) const {
  constexpr const char* kHint =
      "ds-submit up without these options starts what of it is not running; after ds-submit down, "
      "which ends what runs and keeps jobs and checkpoints, it may have another shape";
  ClusterShape elsewhere = before;
  elsewhere.port = shape.port;
  if (elsewhere != shape) {
    throw Failure(ExitCode::conflict, "conflict",
                  fmt::format("a local cluster of {} is up already, not of {}", describe_shape(before),
                              describe_shape(shape)),
                  kHint);
  }
  const auto address = read_small_file(home_.address_file());
  if (shape.port == 0 || !address || port_of(*address) == shape.port) return;
  throw Failure(ExitCode::conflict, "conflict",
                fmt::format("the local cluster is up at {} already, not at port {}", *address, shape.port),
                kHint);
}

LocalCluster::Up LocalCluster::up(const ShapeOptions& options, const std::optional<std::string>& tenants) {
  prepare_folders();
  members_ = living_members();
  is_fresh_ = members_.empty();
  const auto shape_text = read_small_file(home_.shape_file());
  const auto before = parse_cluster_shape(shape_text.value_or(""));
  const ClusterShape shape = choose_shape(options, before);
  if (!is_fresh_ && before) check_shape(*before, shape);
  const bool head_lives = members_.count(std::string(kHead)) > 0;
  const auto tenants_before = read_small_file(home_.tenants_file());
  if (tenants && head_lives && *tenants != tenants_before.value_or("")) {
    throw Failure(ExitCode::conflict, "conflict", "the head is up with other tenants",
                  "ds-submit tenants --apply FILE changes them while it runs");
  }
  write_small_file(home_.shape_file(), format_cluster_shape(shape));
  if (tenants) remember_tenants(tenants);
  const auto deadline = Clock::now() + kReadyTime;
  try {
    Up result;
    result.shape = shape;
    const auto remembered = read_small_file(home_.address_file());
    result.address = head_lives && remembered ? *remembered : start_head(shape.port, deadline);
    for (int i = 1; i <= shape.nodes; ++i) {
      if (members_.count(node_name(i)) > 0) continue;
      std::vector<std::string> arguments{
          "--head", result.address, "--secret-file", (home_.head_dir() / "cluster.secret").string(),
          "--name", node_name(i),   "--slots",       std::to_string(shape.slots)};
      if (const auto gpus = gpus_of_node(shape, i); !gpus.empty())
        arguments.insert(arguments.end(), {"--gpus", gpus});
      start(node_name(i), "ds-node", arguments);
    }
    wait_for_nodes(result.address, shape, deadline);
    for (const auto& [name, record] : started_) result.started.push_back(name);
    return result;
  } catch (...) {
    if (is_fresh_) {
      stop_members(started_);
      std::error_code ignored;
      std::filesystem::remove(home_.shape_file(), ignored);
      if (before) write_small_file(home_.shape_file(), format_cluster_shape(*before));
    }
    forget(started_);
    const auto head = started_.find(std::string(kHead));
    if (tenants && (head == started_.end() || !is_alive(head->second))) remember_tenants(tenants_before);
    throw;
  }
}

void LocalCluster::stop_members(const Members& members) {
  const auto begin = Clock::now();
  const auto any_alive = [&](bool head) {
    for (const auto& [name, record] : members) {
      if ((name == kHead) == head && is_alive(record)) return true;
    }
    return false;
  };
  const auto stop = [&](bool head, std::chrono::seconds until) {
    for (const auto& [name, record] : members) {
      if ((name == kHead) == head) signal_member(record, SIGTERM);
    }
    while (any_alive(head) && Clock::now() - begin < until) std::this_thread::sleep_for(kLookPause);
  };
  stop(false, kNodesStopTime);
  stop(true, kStopTime);
  for (const auto& [name, record] : members) {
    if (!is_alive(record)) continue;
    write_err(fmt::format("{} (pid {}) does not stop; killing it\n", name, record.pid));
    signal_member(record, SIGKILL);
  }
  const auto kill_deadline =
      Clock::now() + kStopTime;  // a process in a stuck disk call can outlive even SIGKILL
  while ((any_alive(false) || any_alive(true)) && Clock::now() < kill_deadline)
    std::this_thread::sleep_for(kLookPause);
}

void LocalCluster::forget(const Members& members) {
  std::error_code ignored;
  for (const auto& [name, record] : members) {
    describe_end(record);  // reaps it where it was our child
    if (!is_alive(record)) std::filesystem::remove(home_.pid_file(name), ignored);
  }
}

std::vector<std::string> LocalCluster::down(bool purge) {
  if (!lock(false)) return {};
  const Members members = living_members();
  stop_members(members);
  std::vector<std::string> stopped;
  for (const auto& [name, record] : members) {
    if (is_alive(record)) {
      throw Failure(ExitCode::unexpected, "local",
                    fmt::format("{} (pid {}) cannot be stopped", name, record.pid),
                    "it probably hangs in a call of the kernel; try again later");
    }
    stopped.push_back(name);
  }
  std::error_code error;
  std::filesystem::remove_all(home_.run_dir(), error);
  if (purge && !error) std::filesystem::remove_all(home_.head_dir(), error);
  if (purge && !error) std::filesystem::remove(home_.tenants_file(), error);
  if (purge && !error) std::filesystem::remove(home_.shape_file(), error);
  if (purge && !error) std::filesystem::remove_all(home_.index_dir(), error);
  if (purge && !error) std::filesystem::remove(home_.lock_file(), error);
  if (error)
    throw Failure(ExitCode::unexpected, "local",
                  "cannot remove files in " + home_.root.string() + ": " + error.message());
  if (purge) std::filesystem::remove(home_.root, error);  // stays when something else is in it
  return stopped;
}

}  // namespace ds::clients

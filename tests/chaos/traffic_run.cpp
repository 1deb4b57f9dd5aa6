#include "tests/chaos/traffic_run.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <map>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace ds::chaos {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kQuiet = 3'000'000'000;

}  // namespace

TrafficRun::TrafficRun(std::filesystem::path program) : program_(std::move(program)) {
  signal(SIGPIPE, SIG_IGN);
}

TrafficRun::~TrafficRun() {
  for (Slot& slot : slots_) slot.process.reset();
}

void TrafficRun::start(std::size_t index, const std::string& host, const std::vector<std::string>& before) {
  Slot& slot = slots_.at(index);
  slot.incarnation = incarnations_.size();
  slot.host = host;
  std::vector<std::string> command = before;
  command.insert(command.end(),
                 {program_.string(), std::to_string(index), host, std::to_string(slot.port), "/dev/fd/3"});
  JournalMemory journal;
  const std::string program = command.front();
  command.erase(command.begin());
  slot.process = std::make_unique<PeerProcess>(program, command, "DS_CHAOS_RUN=single", journal.fd());
  Incarnation born;
  born.slot = index;
  born.pid = slot.process->pid();
  born.started_ns = now_ns();
  const auto address = slot.process->hear(60s);
  if (!address || !(std::istringstream(*address) >> born.id >> slot.port))
    throw std::runtime_error(
        fmt::format("a process did not start on {}; it said '{}'", host, address.value_or("")));
  incarnations_.push_back(born);
  journals_.push_back(std::move(journal));
}

void TrafficRun::introduce() {
  for (std::size_t index = 0; index < kSlots; ++index) {
    const Slot& slot = slots_[index];
    if (slot.process) everybody(fmt::format("peer {} {} {} {}", index, id(index), slot.host, slot.port));
  }
  everybody("start");
}

void TrafficRun::everybody(const std::string& line) const {
  for (const Slot& slot : slots_) {
    if (slot.process) slot.process->say(line);
  }
}

void TrafficRun::kill(std::size_t index) {
  Slot& slot = slots_.at(index);
  incarnations_[slot.incarnation].killed_ns = now_ns();
  slot.process.reset();
}

void TrafficRun::stop(std::size_t index) {
  Slot& slot = slots_.at(index);
  incarnations_[slot.incarnation].stops.push_back({now_ns(), INT64_MAX});
  slot.process->signal(SIGSTOP);
}

void TrafficRun::wake(std::size_t index) {
  Slot& slot = slots_.at(index);
  slot.process->signal(SIGCONT);
  incarnations_[slot.incarnation].stops.back().to_ns = now_ns();
}

void TrafficRun::excuse(std::size_t index, std::int64_t from_ns, std::int64_t to_ns) {
  incarnations_[slots_.at(index).incarnation].stops.push_back({from_ns, to_ns});
}

bool TrafficRun::eventually(const std::function<bool()>& condition, std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (true) {
    read();
    if (condition()) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(20ms);
  }
}

bool TrafficRun::flows() {
  read();
  const auto ids = living();
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> before;
  for (auto from : ids) {
    for (auto to : ids) before[{from, to}] = check_.arrived(from, to);
  }
  return eventually([&] {
    for (const auto& [way, count] : before) {
      if (way.first != way.second && check_.arrived(way.first, way.second) < count + 100) return false;
    }
    return true;
  });
}

std::vector<std::string> TrafficRun::settle() {
  std::vector<std::string> found;
  // A connection that was half made during a fault may still be lost a time-out later, and so void what is
  // under way.
  const bool quiet =
      eventually([&] { return now_ns() - check_.last_loss_ns(living()) >= kQuiet; }) && flows();
  if (!quiet) found.push_back("losses do not end");
  everybody("stop");
  for (const Slot& slot : slots_) {
    if (slot.process && slot.process->hear(60s) != "stopped")
      found.push_back(
          fmt::format("process {:016x} does not stop sending", incarnations_[slot.incarnation].id));
  }
  if (!eventually([&] { return check_.unsettled(living()).empty(); })) {
    for (auto& wait : check_.unsettled(living())) found.push_back("a minute after the end: " + wait);
  }
  for (const Slot& slot : slots_) {
    if (slot.process && slot.process->wait(0s))
      found.push_back(fmt::format("process {:016x} ended by itself", incarnations_[slot.incarnation].id));
  }
  for (auto& finding : check_.findings(incarnations_)) found.push_back(std::move(finding));
  return found;
}

std::vector<std::uint64_t> TrafficRun::living() const {
  std::vector<std::uint64_t> ids;
  for (const Slot& slot : slots_) {
    if (slot.process) ids.push_back(incarnations_[slot.incarnation].id);
  }
  return ids;
}

void TrafficRun::read() {
  for (std::size_t i = 0; i < incarnations_.size(); ++i) check_.read(incarnations_[i].id, journals_[i]);
}

}  // namespace ds::chaos

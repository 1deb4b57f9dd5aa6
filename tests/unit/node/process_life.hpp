#pragma once

#include <chrono>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "actors/node/spawner.hpp"

namespace ds::node {

/// Everything one worker did until it exited.
struct Life {
  int pid = 0;
  std::string output;
  int status = -1;
};

inline Life wait_for_exit(Spawner& spawner, std::uint64_t worker) {
  Life life;
  while (auto event = spawner.wait_event()) {
    if (const auto* started = std::get_if<ProcessStarted>(&*event);
        started != nullptr && started->worker == worker) {
      life.pid = started->pid;
    }
    if (const auto* output = std::get_if<ProcessOutput>(&*event);
        output != nullptr && output->worker == worker) {
      life.output += output->bytes;
    }
    if (const auto* exited = std::get_if<ProcessExited>(&*event);
        exited != nullptr && exited->worker == worker) {
      life.status = exited->status;
      return life;
    }
  }
  return life;
}

inline bool is_running(int pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(stat, line)) return false;
  const char state = line.at(line.rfind(')') + 2);
  return state != 'Z' && state != 'X';
}

/// Polls until it holds; false when that takes too long.
inline bool holds_soon(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

inline bool ends_soon(int pid) {
  return holds_soon([pid] { return !is_running(pid); });
}

inline int first_pid(Spawner& spawner) {
  while (auto event = spawner.wait_event()) {
    if (const auto* started = std::get_if<ProcessStarted>(&*event)) return started->pid;
  }
  return 0;
}

inline int parent_of(int pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  return std::getline(stat, line) ? std::stoi(line.substr(line.rfind(')') + 4)) : 0;
}

}  // namespace ds::node

#include "actors/node/machine.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "kernels/gpu.hpp"

namespace ds::node {
namespace {

constexpr std::uint32_t kMaxGpus = 1024;

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::optional<std::uint32_t> parse_number(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_whole = fault == std::errc() && end == text.data() + text.size();
  return is_whole ? std::optional(number) : std::nullopt;
}

}  // namespace

Machine inspect_machine() {
  Machine machine;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    machine.cores = static_cast<std::uint32_t>(CPU_COUNT(&allowed));
  }
  machine.memory_bytes =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  for (const auto& gpu : kernels::list_gpus()) machine.gpus.push_back(gpu.name);
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) machine.devices = split(visible, ',');
  return machine;
}

Result<std::vector<std::string>> parse_gpus(std::string_view text) {
  if (text == "0") return std::vector<std::string>{};
  const auto colon = std::min(text.rfind(':'), text.size());
  const auto kind = text.substr(0, colon);
  const auto count = parse_number(text.substr(std::min(colon + 1, text.size())));
  const bool is_kind =
      !kind.empty() && kind.size() <= 63 && kind.find_first_of(":,;\n\t") == std::string_view::npos;
  if (!is_kind || !count || *count == 0 || *count > kMaxGpus)
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("--gpus: expected a kind of GPU and how many, at most {}, got \"{}\"", kMaxGpus, text),
        "such as --gpus H200:4, or --gpus 0 to offer none");
  return std::vector<std::string>(*count, std::string(kind));
}

std::string visible_to_programs(const Machine& machine, std::string_view numbers) {
  auto names = split(numbers, ',');
  for (auto& name : names) {
    const auto number = parse_number(name);
    if (number && *number < machine.devices.size()) name = machine.devices[*number];
  }
  return fmt::format("{}", fmt::join(names, ","));
}

}  // namespace ds::node

#include "actors/node/machine.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
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

/// None: the variable is not set, and every GPU has its number for a name. As the driver does, nothing is
/// taken from behind an entry that is none.
std::optional<std::vector<std::string>> read_visible(const char* visible) {
  if (visible == nullptr) return std::nullopt;
  std::vector<std::string> names;
  for (const auto& entry : split(visible, ',')) {
    const auto first = std::min(entry.find_first_not_of(' '), entry.size());
    const auto name = entry.substr(first, entry.find_last_not_of(' ') + 1 - first);
    if (name.empty() || name.front() == '-' || name == "NoDevFiles") break;
    names.push_back(name);
  }
  return names;
}

}  // namespace

Machine inspect_machine(const char* visible) {
  Machine machine;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
    machine.cores = static_cast<std::uint32_t>(CPU_COUNT(&allowed));
  }
  machine.memory_bytes =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  const auto names = read_visible(visible);
  for (const auto& gpu : kernels::list_gpus()) {  // of which those that are broken are missing
    if (names && gpu.index >= names->size()) continue;
    machine.gpus.push_back(gpu.name);
    machine.devices.push_back(names ? (*names)[gpu.index] : std::to_string(gpu.index));
  }
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

Result<void> offer_stated(Machine& machine, std::vector<std::string> names, const char* visible) {
  auto devices = read_visible(visible);
  if (devices && devices->size() < names.size())
    return fail(ErrorCode::invalid_argument,
                fmt::format("--gpus: {} GPUs are stated, and CUDA_VISIBLE_DEVICES=\"{}\" shows {}",
                            names.size(), visible, devices->size()),
                "unset it, let it show as many, or state less; --gpus 0 offers none");
  if (!devices) {
    devices.emplace();
    for (std::size_t i = 0; i < names.size(); ++i) devices->push_back(std::to_string(i));
  }
  devices->resize(names.size());
  machine.gpus = std::move(names);
  machine.devices = std::move(*devices);
  return {};
}

Result<void> check_devices(const Machine& machine) {
  auto sorted = machine.devices;
  std::ranges::sort(sorted);
  const auto twice = std::ranges::adjacent_find(sorted);
  if (twice == sorted.end()) return {};
  return fail(
      ErrorCode::invalid_argument,
      fmt::format("CUDA_VISIBLE_DEVICES: names {} twice, and each GPU is given to one program", *twice),
      "name each GPU once, or offer none with --gpus 0");
}

std::string visible_to_programs(const Machine& machine, std::string_view numbers) {
  std::vector<std::string> names;
  for (const auto& text : split(numbers, ',')) {
    const auto number = parse_number(text);
    if (number && *number < machine.devices.size()) names.push_back(machine.devices[*number]);
  }
  return fmt::format("{}", fmt::join(names, ","));
}

}  // namespace ds::node

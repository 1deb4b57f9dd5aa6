// What one worker of a job needs.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "scheduler/spec/gpu_kind_name.hpp"
#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"
#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/slot_count.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr std::uint64_t kMinMemory = 1ULL << 20;
constexpr std::uint64_t kMaxMemory = 1ULL << 50;
constexpr std::uint32_t kMaxGpus = 1024;
constexpr std::size_t kMaxGpuKinds = 8;
constexpr SlotCount kMostSlots = 1024;

struct Gpus {
  std::uint32_t count = 0;
  std::string kind;
};

std::optional<std::uint32_t> parse_count(std::string_view text) {
  const auto number = parse_whole(text);
  if (number.fault != NumberFault::none || number.value > kMaxGpus) return std::nullopt;
  return static_cast<std::uint32_t>(number.value);
}

/// `2`, `H200` or `H200:2`.
std::optional<Gpus> parse_gpus(std::string_view text) {
  if (const auto count = parse_count(text)) return Gpus{*count, {}};
  const auto colon = text.rfind(':');
  const std::string_view kind = text.substr(0, colon);
  const auto count = colon == std::string_view::npos ? 1 : parse_count(text.substr(colon + 1)).value_or(0);
  if (!is_gpu_kind_name(kind) || count == 0) return std::nullopt;
  return Gpus{count, std::string(kind)};
}

/// `{H200: 2}`; YAML takes `{H200:2}` for a key without a value, which `H200:` is too and lacks its number.
std::optional<Gpus> read_gpus(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::scalar) return parse_gpus(node.text);
  if (node.kind != YamlNode::Kind::mapping || node.entries.size() != 1) return std::nullopt;
  const YamlEntry& entry = node.entries.front();
  const bool has_number = entry.key.find(':') != std::string::npos;
  if (entry.value.kind == YamlNode::Kind::null) return has_number ? parse_gpus(entry.key) : std::nullopt;
  if (entry.value.kind != YamlNode::Kind::scalar || !is_gpu_kind_name(entry.key)) return std::nullopt;
  return parse_gpus(entry.key + ":" + entry.value.text);
}

/// `[H200:2, A100:2]`: any of these kinds, the most wanted first. None of a fault, which is reported.
std::optional<Gpus> read_gpu_choice(const Section& section, const YamlNode& list) {
  if (list.items.size() < 2 || list.items.size() > kMaxGpuKinds) {
    section.fail("gpu",
                 "expected 2 to " + std::to_string(kMaxGpuKinds) + " kinds of GPU in a list, got " +
                     std::to_string(list.items.size()),
                 "such as [H200:2, A100:2], the most wanted first; or one without a list: H200:2");
    return std::nullopt;
  }
  Gpus choice;
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    const YamlNode& item = list.items[i];
    const auto gpus = read_gpus(item);
    const auto fail = [&](const std::string& message, const std::string& hint) {
      section.findings().add_error(section.path_of("gpu") + "[" + std::to_string(i) + "]", item.mark, message,
                                   hint);
      return std::nullopt;
    };
    if (!gpus || gpus->kind.empty()) {
      return fail("expected a kind of GPU, with how many for each worker or without, got " + describe(item),
                  "such as H200 or H200:2; a kind begins with a letter");
    }
    if (i > 0 && gpus->count != choice.count) {
      return fail("expected " + std::to_string(choice.count) + " of each kind, got " + describe(item),
                  "a worker has the same number of GPUs whatever their kind");
    }
    const auto known = split_gpu_kinds(choice.kind);
    if (std::ranges::find(known, gpus->kind) != known.end())
      return fail("given twice: " + describe(item), "each kind once, the most wanted first");
    if (i > 0) choice.kind += kGpuKindSeparator;
    choice.kind += gpus->kind;
    choice.count = gpus->count;
  }
  return choice;
}

/// `2`, `0.5`, or `500m` as Kubernetes has it.
std::optional<SlotCount> read_slots(const YamlNode& node) {
  if (node.kind != YamlNode::Kind::scalar) return std::nullopt;
  const std::string_view text = node.text;
  if (text.ends_with('m')) {
    const auto thousandths = parse_whole(text.substr(0, text.size() - 1));
    if (thousandths.fault != NumberFault::none) return std::nullopt;
    return SlotCount::of_thousandths(thousandths.value);
  }
  if (node.is_quoted) return std::nullopt;
  const auto number = parse_real(text);
  return number.fault == NumberFault::none ? SlotCount::from_number(number.value) : std::nullopt;
}

void read_cpus(const Section& section, Resources& resources) {
  const YamlNode* cpus = section.find("cpus");
  if (cpus == nullptr) return;
  const auto slots = read_slots(*cpus);
  if (slots && *slots >= kLeastSlots && *slots <= kMostSlots) {
    resources.cpus = *slots;
    return;
  }
  const bool is_quoted_number = cpus->is_quoted && parse_real(cpus->text).fault == NumberFault::none;
  section.fail("cpus",
               "expected a number from " + number_text(kLeastSlots) + " to " + number_text(kMostSlots) +
                   " with at most 3 decimals, got " + describe(*cpus),
               is_quoted_number ? "remove the quotes"
                                : "slots for each worker, or a part of one: such as 2, 0.5 or 500m");
}

void read_memory(const Section& section, Resources& resources) {
  const YamlNode* memory = section.find("memory");
  if (memory == nullptr) return;
  const auto bytes = memory->kind == YamlNode::Kind::scalar ? parse_size(memory->text) : std::nullopt;
  if (!bytes) {
    section.fail("memory", "expected a size, got " + describe(*memory), "such as 512Mi or 8Gi");
  } else if (*bytes < kMinMemory || *bytes > kMaxMemory) {
    section.fail("memory", "expected a size from 1Mi to 1Pi, got " + describe(*memory),
                 "a size without a unit is in bytes; such as 512Mi or 8Gi");
  } else {
    resources.memory_bytes = *bytes;
  }
}

}  // namespace

void read_resources(const Section& root, JobKind kind, Resources& resources) {
  const auto section = root.open("resources", keys::kResources);
  if (!section) return;
  read_cpus(*section, resources);
  read_memory(*section, resources);
  const YamlNode* gpu = section->find("gpu");
  if (gpu == nullptr) return;
  const bool is_choice = gpu->kind == YamlNode::Kind::sequence;
  auto gpus = is_choice ? read_gpu_choice(*section, *gpu) : read_gpus(*gpu);
  if (!gpus && is_choice) return;
  if (!gpus) {
    section->fail(
        "gpu",
        "expected GPUs for each worker, at most " + std::to_string(kMaxGpus) + ", got " + describe(*gpu),
        "a whole number, a kind or both: such as 1, H200 or H200:2; a kind begins with a letter; or a list "
        "of kinds: [H200:2, A100:2]");
  } else if (gpus->count > 0 && kind != JobKind::command && kind != JobKind::serve) {
    section->fail("gpu",
                  "workers of kind " + std::string(to_string(kind)) + " use no GPU in this version, got " +
                      describe(*gpu),
                  "remove it; programs of kind command and replicas of kind serve are given GPUs");
  } else if (gpus->count > 1 && kind == JobKind::serve) {
    section->fail("gpu", "a replica runs its model on one GPU, got " + describe(*gpu),
                  "such as 1 or H200; more replicas use more GPUs");
  } else {
    resources.gpus = gpus->count;
    resources.gpu_kind = std::move(gpus->kind);
  }
}

}  // namespace ds::scheduler

#include "scheduler/spec/tenant_file.hpp"

#include <array>
#include <set>
#include <string>
#include <utility>

#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/section.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

constexpr std::size_t kMaxErrors = 50;
constexpr WholeRange kSlots{0, 100'000'000};
constexpr RealRange kWeight{.low_open = true, .high = 1e6, .words = "above 0 to 1000000"};

constexpr auto kFile = std::to_array<Known>({{"version"}, {"tenants"}});
constexpr auto kQueue = std::to_array<Known>({{"guaranteed"},
                                              {"borrowing_limit"},
                                              {"lending_limit"},
                                              {"guaranteed_gpus"},
                                              {"gpu_limit"},
                                              {"weight"},
                                              {"queues"}});

class Reader {
 public:
  Reader(Findings& findings, TenantTree& tree) : findings_(findings), tree_(tree) {}

  /// Reads a mapping of names to queues, the children of `parent`.
  void read_queues(const Section& around, std::string_view key, std::size_t parent) {
    const YamlNode* node = around.find(key);
    if (node == nullptr) return;
    if (node->kind != YamlNode::Kind::mapping) {
      return around.fail(key, "expected a mapping, got " + describe(*node), "such as {nlp: {guaranteed: 8}}");
    }
    for (const YamlEntry& entry : node->entries) {
      const std::string path = join_path(around.path_of(key), entry.key);
      if (parent == TenantTree::kRoot) names_.clear();
      if (!is_identifier(entry.key)) {
        findings_.add_error(path, entry.key_mark, "expected a name, got " + to_quoted(entry.key),
                            "a name has 1 to 63 of a-z, 0-9, '.', '_', '-'");
      } else if (!(parent == TenantTree::kRoot ? tenants_ : names_).insert(entry.key).second) {
        findings_.add_error(path, entry.key_mark, "given twice", "names are unique within a tenant");
      } else if (tree_.queues.size() > kMaxQueues) {
        findings_.add_error(path, entry.key_mark,
                            "expected at most " + std::to_string(kMaxQueues) + " tenants and queues");
        return;
      } else {
        read_queue(entry, path, parent);
      }
    }
  }

 private:
  void read_queue(const YamlEntry& entry, const std::string& path, std::size_t parent) {
    const std::size_t depth = tree_[parent].depth + 1;
    if (depth > kMaxQueueDepth) {
      return findings_.add_error(path, entry.key_mark,
                                 "expected at most " + std::to_string(kMaxQueueDepth) + " levels of queues");
    }
    const std::size_t self = tree_.queues.size();
    tree_.queues[parent].is_leaf = false;
    tree_.queues.push_back({.name = entry.key, .parent = parent, .depth = depth});
    YamlNode value = entry.value;
    if (value.kind == YamlNode::Kind::null) value.kind = YamlNode::Kind::mapping;  // `dev:` alone
    if (value.kind != YamlNode::Kind::mapping) {
      return findings_.add_error(path, value.mark, "expected a mapping, got " + describe(value),
                                 "such as {guaranteed: 8}");
    }
    const Section section(value, path, entry.key_mark, kQueue, findings_);
    read_queues(section, "queues", self);
    std::uint64_t below = 0, gpus_below = 0;
    for (std::size_t i = self + 1; i < tree_.queues.size(); ++i) {
      if (tree_[i].parent != self) continue;
      below += tree_[i].guaranteed;
      gpus_below += tree_[i].guaranteed_gpus;
    }
    QueueSpec& queue = tree_.queues[self];
    queue.guaranteed = below;
    queue.guaranteed_gpus = gpus_below;
    section.read("guaranteed", queue.guaranteed, kSlots);
    section.read("guaranteed_gpus", queue.guaranteed_gpus, kSlots);
    read_limit(section, "borrowing_limit", queue.borrowing_limit);
    read_limit(section, "lending_limit", queue.lending_limit);
    read_limit(section, "gpu_limit", queue.gpu_limit);
    section.read("weight", queue.weight, kWeight);
    if (below > queue.guaranteed) {
      section.fail("guaranteed",
                   "the queues below are guaranteed " + std::to_string(below) +
                       " slots together, which is more than " + std::to_string(queue.guaranteed),
                   "guarantee them less, or this one more");
    }
    check_gpus(section, queue, gpus_below);
    if (queue.lending_limit && depth > 1) {
      section.fail("lending_limit",
                   "only a tenant may keep idle slots; its queues lend each other all of theirs",
                   "remove it, or give it to the tenant");
      queue.lending_limit.reset();
    }
    if (queue.lending_limit && *queue.lending_limit > queue.guaranteed) {
      section.fail("lending_limit",
                   "expected at most " + std::to_string(queue.guaranteed) + " (guaranteed), got " +
                       std::to_string(*queue.lending_limit),
                   "only guaranteed slots are lent; leave it out to lend them all");
      queue.lending_limit = queue.guaranteed;
    }
  }

  static void check_gpus(const Section& section, QueueSpec& queue, std::uint64_t below) {
    if (below > queue.guaranteed_gpus) {
      section.fail("guaranteed_gpus",
                   "the queues below are guaranteed " + std::to_string(below) +
                       " GPUs together, which is more than " + std::to_string(queue.guaranteed_gpus),
                   "guarantee them less, or this one more");
    }
    if (queue.guaranteed_gpus > 0 && queue.guaranteed == 0) {
      section.fail("guaranteed_gpus",
                   "nobody could have them back without slots, of which 0 are guaranteed: a worker with GPUs "
                   "has slots as well",
                   "such as guaranteed: " + std::to_string(queue.guaranteed_gpus));
    }
    if (queue.gpu_limit && *queue.gpu_limit < queue.guaranteed_gpus) {
      section.fail("gpu_limit",
                   "expected at least " + std::to_string(queue.guaranteed_gpus) + " (guaranteed_gpus), got " +
                       std::to_string(*queue.gpu_limit),
                   "it counts those that are guaranteed, too");
      queue.gpu_limit = queue.guaranteed_gpus;
    }
  }

  static void read_limit(const Section& section, std::string_view key, std::optional<std::uint64_t>& out) {
    if (!section.has(key)) return;
    std::uint64_t value = 0;
    section.read(key, value, kSlots);
    out = value;
  }

  Findings& findings_;
  TenantTree& tree_;
  std::set<std::string> tenants_;
  std::set<std::string> names_;  ///< of the tenant that is read
};

}  // namespace

std::variant<TenantTree, std::vector<SpecError>> parse_tenant_file(std::string_view text) {
  auto document = parse_yaml(text, "a file of tenants");
  if (auto* error = std::get_if<SpecError>(&document)) return std::vector{std::move(*error)};
  const YamlNode& root = std::get<YamlNode>(document);
  if (root.kind != YamlNode::Kind::mapping) {
    return std::vector{SpecError{"", root.mark, "expected a mapping, got " + describe(root),
                                 "such as tenants: {nlp: {guaranteed: 8}}"}};
  }
  Findings findings;
  TenantTree tree;
  const Section section(root, "", root.mark, kFile, findings);
  std::uint64_t version = 1;
  section.read("version", version, {1, 1});
  section.require("tenants", "such as {nlp: {guaranteed: 8}}");
  Reader(findings, tree).read_queues(section, "tenants", TenantTree::kRoot);
  if (findings.empty() && !tree.has_tenants()) section.fail("tenants", "expected at least one tenant");
  if (!findings.empty()) return findings.take_errors(kMaxErrors);
  return tree;
}

}  // namespace ds::scheduler

#include <string>
#include <utility>

#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"

namespace ds::scheduler {
namespace {

constexpr std::size_t kMaxTerms = 16;
constexpr std::size_t kMaxClasses = 65'536;

/// Reads `{name: focal, weight: 0.5, gamma: 2}`.
LossTerm read_term(const Section& section) {
  LossTerm term;
  section.require("name", "one of " + list_names(keys::kLosses));
  section.read_choice("name", term.name, keys::kLosses);
  section.read("weight", term.weight, kAboveZero);
  section.read("gamma", term.gamma, kNotNegative);
  section.read("label_smoothing", term.label_smoothing, kBelowOne);
  section.read_reals("classes", term.classes, kNotNegative, {2, kMaxClasses});
  const bool is_focal = term.name == "focal", is_entropy = term.name == "cross_entropy";
  const auto refuse = [&](const char* key, bool is_taken, const char* takers) {
    if (section.has(key) && !is_taken) section.fail(key, term.name + " has no " + key, takers);
  };
  refuse("gamma", is_focal, "focal has it");
  refuse("label_smoothing", is_entropy, "cross_entropy has it");
  refuse("classes", is_focal || is_entropy, "cross_entropy and focal have it");
  return term;
}

/// Reads `{cross_entropy: 1, dice: 0.5}`.
void read_weights(const Section& section, std::vector<LossTerm>& terms) {
  for (const Known& loss : keys::kLosses) {
    if (!section.has(loss.name)) continue;
    LossTerm term;
    term.name = loss.name;
    section.read(loss.name, term.weight, kAboveZero);
    terms.push_back(std::move(term));
  }
}

void read_list(const Section& root, const YamlNode& list, std::vector<LossTerm>& terms) {
  if (list.items.empty() || list.items.size() > kMaxTerms) {
    root.fail("loss", "expected a list of 1 to " + std::to_string(kMaxTerms) + ", got a list of " +
                          std::to_string(list.items.size()));
    return;
  }
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    const YamlNode& node = list.items[i];
    const std::string path = root.path_of("loss") + "[" + std::to_string(i) + "]";
    if (node.kind != YamlNode::Kind::mapping) {
      root.findings().add_error(path, node.mark, "expected a mapping, got " + describe(node),
                                "such as {name: focal, weight: 0.5}");
      continue;
    }
    terms.push_back(read_term(Section(node, path, node.mark, keys::kLoss, root.findings())));
  }
}

}  // namespace

void read_loss(const Section& root, std::vector<LossTerm>& terms) {
  const YamlNode* node = root.find("loss");
  if (node == nullptr) return;
  std::vector<LossTerm> read;
  if (node->kind == YamlNode::Kind::sequence) {
    read_list(root, *node, read);
  } else if (node->kind == YamlNode::Kind::mapping) {
    bool is_term = node->entries.empty();
    for (const YamlEntry& entry : node->entries) is_term = is_term || entry.key == "name";
    if (is_term) {
      read.push_back(read_term(*root.open("loss", keys::kLoss)));
    } else {
      read_weights(*root.open("loss", keys::kLosses), read);
    }
  } else {
    LossTerm term;
    root.read_choice("loss", term.name, keys::kLosses);
    read.push_back(std::move(term));
  }
  if (!read.empty()) terms = std::move(read);
}

}  // namespace ds::scheduler

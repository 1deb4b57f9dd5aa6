#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/train/model.hpp"

namespace ds::train {

/// Reads a model's settings. The first problem is kept, naming the job file's field, and told by `check`.
class Settings {
 public:
  explicit Settings(const scheduler::ModelSpec& model) : model_(model) {}

  std::int64_t whole(const std::string& name, std::int64_t fallback, std::int64_t least = 1,
                     std::int64_t most = 1 << 20);
  std::vector<std::int64_t> wholes(const std::string& name, std::vector<std::int64_t> fallback,
                                   std::int64_t least = 1, std::int64_t most = 1 << 20);
  bool flag(const std::string& name, bool fallback);             ///< 0 or 1
  double probability(const std::string& name, double fallback);  ///< in [0, 1)

  /// A problem that a model found by itself.
  void refuse(const std::string& name, const std::string& problem);

  /// To be called when all were read: what was wrong, or a setting that nobody asked for.
  Result<void> check() const;

 private:
  const scheduler::ModelSpec& model_;
  std::vector<std::string> known_;
  Result<void> problem_;
};

/// The one input of a model that takes tokens (int64 numbers in one dimension) or numbers (anything else).
Result<data::FieldShape> token_input(const ModelRequest& request);
Result<data::FieldShape> number_input(const ModelRequest& request);

/// What a zoo model gives for a sample: `{classes}` scores, one score for two classes when the loss is made
/// for it (`bce`), or as many numbers as the label has. The label of a classifier is one number.
Result<std::vector<std::int64_t>> output_shape(const ModelRequest& request);

/// Whether the loss wants one score for two classes: it has a `bce` term and none that needs two.
bool wants_one_score(const ModelRequest& request);

const data::FieldShape* find_label(const ModelRequest& request);

/// `[2, 3]`.
std::string to_text(const std::vector<std::int64_t>& shape);
std::string to_text(const data::FieldShape& field);
std::int64_t product_of(const std::vector<std::int64_t>& shape);

}  // namespace ds::train

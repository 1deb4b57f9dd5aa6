#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "actors/data/random_stream.hpp"
#include "actors/data/sample.hpp"
#include "scheduler/spec/train_spec.hpp"
#include "storage/result.hpp"

namespace ds::data {

/// Changes samples, one at a time. Derive from it for transforms of your own (`DatasetOptions::further`).
class Transform {
 public:
  virtual ~Transform() = default;

  /// Learns where its field stands and says what it makes of it. Called once, before any sample; an error
  /// (`invalid_argument`) tells what does not fit.
  virtual Result<void> plan(std::vector<FieldPlan>& fields) = 0;

  /// Changes a sample. Without `random` (outside of training) nothing random may happen; with it, what
  /// happens may depend on nothing else. Any thread. An error makes the sample a bad record.
  virtual Result<void> apply(Sample& sample, const RandomStream* random) const = 0;
};

/// What transforms learn from the training set.
struct Learnt {
  std::vector<std::string> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;
  std::uint32_t classes = 0;  ///< 0: the label is no class
  std::uint32_t ngrams = 1;   ///< as `Preprocessing::ngrams`
};

/// The transforms of a job file, in its order. `fields` are the source's and become the batch's; errors name
/// `data.transforms[i]`.
Result<std::vector<std::shared_ptr<Transform>>> make_transforms(
    std::span<const scheduler::TransformSpec> specs, const Learnt& learnt, std::vector<FieldPlan>& fields);

/// The field that a transform with text changes, or the one named; an index into `fields`.
Result<std::size_t> find_field(const std::vector<FieldPlan>& fields, std::string_view named,
                               std::span<const std::string_view> usual, Form form);

/// By kind; used by `make_transforms`.
std::shared_ptr<Transform> make_tokenize(const scheduler::Tokenize& spec, const std::string& field,
                                         const Learnt& learnt, std::size_t most_tokens);
std::shared_ptr<Transform> make_pad_sequences(const scheduler::PadSequences& spec, const std::string& field);
std::shared_ptr<Transform> make_normalize(const scheduler::Normalize& spec, const std::string& field);
std::shared_ptr<Transform> make_one_hot(const scheduler::OneHot& spec, const std::string& field,
                                        std::uint32_t classes);
std::shared_ptr<Transform> make_noise(const scheduler::Noise& spec, const std::string& field);
std::shared_ptr<Transform> make_resize(const scheduler::Resize& spec, const std::string& field);
std::shared_ptr<Transform> make_crop(const scheduler::Crop& spec, const std::string& field);
std::shared_ptr<Transform> make_flip(const scheduler::Flip& spec, const std::string& field);
std::shared_ptr<Transform> make_rotate(const scheduler::Rotate& spec, const std::string& field);
std::shared_ptr<Transform> make_elastic_deform(const scheduler::ElasticDeform& spec,
                                               const std::string& field);

}  // namespace ds::data

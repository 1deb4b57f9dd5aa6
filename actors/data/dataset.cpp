#include "actors/data/dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include "actors/data/batch_builder.hpp"
#include "actors/data/byte_pairs.hpp"
#include "actors/data/first_pass.hpp"
#include "actors/data/settings_text.hpp"
#include "actors/data/source.hpp"
#include "actors/data/transform.hpp"
#include "actors/data/vocabulary.hpp"

namespace ds::data {
namespace {

using scheduler::TransformSpec;

/// `invalid_argument` of many samples would say where each is wrong; others name their file already.
Error at_place(const std::string& place, Error error) {
  if (error.message.find(place) == std::string::npos) error.message = place + ": " + error.message;
  return error;
}

std::vector<std::string> tokenized_fields(std::span<const TransformSpec> transforms) {
  std::vector<std::string> fields;
  for (const TransformSpec& transform : transforms) {
    if (std::holds_alternative<scheduler::Tokenize>(transform.what) && !transform.field.empty())
      fields.push_back(transform.field);
  }
  return fields;
}

const scheduler::Tokenize* find_tokenize(std::span<const TransformSpec> transforms) {
  for (const TransformSpec& transform : transforms) {
    if (const auto* tokenize = std::get_if<scheduler::Tokenize>(&transform.what)) return tokenize;
  }
  return nullptr;
}

/// What images may be shrunk to while they are decoded: the size that the first transform resizes them to.
storage::ImageSize size_that_is_enough(std::span<const TransformSpec> transforms) {
  for (const TransformSpec& transform : transforms) {
    if (!transform.field.empty() && transform.field != "image") continue;
    if (const auto* resize = std::get_if<scheduler::Resize>(&transform.what))
      return resize->size.size() == 2 ? storage::ImageSize{resize->size[0], resize->size[1]}
                                      : storage::ImageSize{};
    if (!std::holds_alternative<scheduler::OneHot>(transform.what)) return {};
  }
  return {};
}

/// The shapes of a batch's fields, which must all be known.
Result<std::vector<FieldShape>> shapes_of(const std::vector<FieldPlan>& plans) {
  std::vector<FieldShape> shapes;
  for (const FieldPlan& plan : plans) {
    if (plan.form == Form::text)
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the field \"{}\" is text, not numbers", plan.name),
                  "Add data.transforms: tokenize and pad_sequences.");
    if (std::ranges::find(plan.shape, kAnyExtent) != plan.shape.end())
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the field \"{}\" differs in size from sample to sample", plan.name),
                  "Add a transform that makes them equal: resize or crop (images), pad_sequences (text).");
    shapes.push_back({plan.name, plan.form == Form::whole ? Element::int64 : Element::float32, plan.shape});
  }
  return shapes;
}

class SourceDataset final : public Dataset {
 public:
  SourceDataset(std::unique_ptr<Source> source, scheduler::Tolerance on_bad_record)
      : source_(std::move(source)), on_bad_record_(on_bad_record) {}

  /// `learnt`: by the training set; without it this is the training set and learns.
  Result<void> prepare(const scheduler::DataSpec& spec, const scheduler::SourceSpec& which,
                       const Preprocessing* learnt, const DatasetOptions& options) {
    std::vector<FieldPlan> plans = source_->fields();
    has_label_ = plans.back().name == "label";
    auto studied = study(spec, plans, learnt, options.threads);
    if (!studied) return studied;
    source_->set_enough(size_that_is_enough(spec.transforms));
    if (has_label_) rules_->plan(plans.back());
    const Learnt rest{preprocessing_.vocabulary, preprocessing_.merges,
                      static_cast<std::uint32_t>(preprocessing_.labels.size()), preprocessing_.ngrams};
    auto transforms = make_transforms(spec.transforms, rest, plans);
    if (!transforms) return tl::unexpected(transforms.error());
    transforms_ = std::move(*transforms);
    for (const std::shared_ptr<Transform>& own : options.further) {
      auto planned = own->plan(plans);
      if (!planned) return planned;
      transforms_.push_back(own);
    }
    auto shapes = shapes_of(plans);
    if (!shapes) return tl::unexpected(shapes.error());
    fields_ = std::move(*shapes);
    storage::Sha256Hasher hasher;
    hasher.add(storage::to_view(source_->content())).add(settings_text(which, spec.transforms));
    fingerprint_ = storage::to_hex(hasher.finish());
    return {};
  }

  std::uint64_t size() const override { return source_->size(); }
  const Preprocessing& preprocessing() const override { return preprocessing_; }
  const std::vector<FieldShape>& fields() const override { return fields_; }
  const std::string& fingerprint() const override { return fingerprint_; }
  const std::vector<std::uint64_t>& class_counts() const override { return class_counts_; }
  std::string place_of(std::uint64_t sample) const override { return source_->place_of(sample); }

  Result<Batch> make_batch(std::span<const std::uint64_t> samples,
                           const std::optional<Draw>& draw) const override {
    BatchBuilder builder(fields_, samples.size());
    Sample sample;
    std::uint64_t skipped = 0;
    std::string first_skipped;
    for (std::size_t i = 0; i < samples.size(); ++i) {
      if (samples[i] >= size())
        return fail(ErrorCode::invalid_argument,
                    fmt::format("there is no sample {}: the data set has {}", samples[i], size()));
      auto made = make_sample(samples[i], draw, i, sample);
      if (made) made = builder.add(sample);
      if (made) continue;
      auto tolerated = tolerate(samples[i], made.error());
      if (!tolerated) return tl::unexpected(tolerated.error());
      if (skipped++ == 0) first_skipped = at_place(place_of(samples[i]), made.error()).message;
    }
    auto same = source_->check_unchanged(samples);
    if (!same) return tl::unexpected(same.error());
    Batch batch = builder.finish();
    batch.samples.assign(samples.begin(), samples.end());
    batch.skipped = skipped;
    batch.first_skipped = std::move(first_skipped);
    return batch;
  }

 private:
  /// Learns what the training set teaches, and counts the classes of either set.
  Result<void> study(const scheduler::DataSpec& spec, const std::vector<FieldPlan>& plans,
                     const Preprocessing* learnt, std::uint32_t threads) {
    if (learnt != nullptr) preprocessing_ = *learnt;
    const scheduler::Tokenize* tokenize = learnt == nullptr ? find_tokenize(spec.transforms) : nullptr;
    FirstPassPlan plan{has_label_ && plans.back().form != Form::numbers, {}, on_bad_record_, threads};
    if (tokenize != nullptr) {
      plan.ngrams = tokenize->ngrams;
      plan.most_words = std::max(plan.most_words, 2 * std::size_t{tokenize->vocabulary});
    }
    for (std::size_t f = 0; tokenize != nullptr && f + (has_label_ ? 1 : 0) < plans.size(); ++f) {
      if (plans[f].form == Form::text) plan.text_fields.push_back(f);
    }
    FirstPass pass;
    if (plan.has_label || !plan.text_fields.empty()) {
      auto taken = take_first_pass(*source_, plan);
      if (!taken) return tl::unexpected(taken.error());
      pass = std::move(*taken);
    }
    bad_.insert(pass.bad.begin(), pass.bad.end());
    if (plan.has_label && learnt == nullptr) {
      auto classes = pass.labels.classes();
      if (!classes) return tl::unexpected(classes.error());
      preprocessing_.labels = std::move(*classes);
    }
    for (const std::string& name : preprocessing_.labels) class_counts_.push_back(pass.labels.count_of(name));
    rules_ = std::make_unique<LabelRules>(preprocessing_.labels);
    if (tokenize != nullptr) learn_tokens(*tokenize, pass.words);
    return {};
  }

  void learn_tokens(const scheduler::Tokenize& tokenize, const WordCounts& words) {
    if (tokenize.method == "byte_pair") {
      const BytePairs pairs = BytePairs::learn(words, tokenize.vocabulary);
      preprocessing_.vocabulary = pairs.tokens();
      preprocessing_.merges = pairs.merges();
    } else {
      preprocessing_.vocabulary = Vocabulary::of(words, tokenize.vocabulary).words();
      preprocessing_.ngrams = tokenize.ngrams;
    }
  }

  Result<void> make_sample(std::uint64_t record, const std::optional<Draw>& draw, std::size_t position,
                           Sample& sample) const {
    auto made = source_->read(record, sample);
    if (made && has_label_) made = rules_->apply(sample.fields.back());
    for (std::size_t t = 0; made && t < transforms_.size(); ++t) {
      if (!draw) {
        made = transforms_[t]->apply(sample, nullptr);
        continue;
      }
      const RandomStream random(draw->seed, Stream::transform,
                                {draw->step, draw->logical_rank, draw->first + position, t});
      made = transforms_[t]->apply(sample, &random);
    }
    if (made) {
      for (Value& value : sample.fields) value.to_numbers();
    }
    return made;
  }

  /// Passes when the record may be left out.
  Result<void> tolerate(std::uint64_t record, const Error& error) const {
    if (!is_bad_record(error)) return tl::unexpected(error);
    Error named = at_place(place_of(record), error);
    if (!on_bad_record_.skip) return tl::unexpected(std::move(named));
    std::lock_guard lock(bad_mutex_);
    bad_.insert(record);
    if (bad_.size() > on_bad_record_.most)
      return tl::unexpected(too_many_bad_records(on_bad_record_.most, named));
    return {};
  }

  std::unique_ptr<Source> source_;
  scheduler::Tolerance on_bad_record_;
  bool has_label_ = false;
  std::unique_ptr<LabelRules> rules_;
  std::vector<std::shared_ptr<Transform>> transforms_;
  Preprocessing preprocessing_;
  std::vector<FieldShape> fields_;
  std::string fingerprint_;
  std::vector<std::uint64_t> class_counts_;
  mutable std::mutex bad_mutex_;
  mutable std::set<std::uint64_t> bad_;  // records that were left out, each counted once
};

Result<std::unique_ptr<Dataset>> open(const scheduler::DataSpec& spec, const scheduler::SourceSpec& which,
                                      const std::string& name, const Preprocessing* learnt,
                                      const DatasetOptions& options) {
  auto source = open_source(
      which, name,
      {options.index_directory, std::max(options.threads, 1U), tokenized_fields(spec.transforms)});
  if (!source) return tl::unexpected(source.error());
  auto dataset = std::make_unique<SourceDataset>(std::move(*source), spec.on_bad_record);
  auto prepared = dataset->prepare(spec, which, learnt, options);
  if (!prepared) return tl::unexpected(prepared.error());
  return dataset;
}

}  // namespace

Result<std::unique_ptr<Dataset>> Dataset::open_training(const scheduler::DataSpec& spec,
                                                        const DatasetOptions& options) {
  return open(spec, spec.train, "data.train", nullptr, options);
}

Result<std::unique_ptr<Dataset>> Dataset::open_validation(const scheduler::DataSpec& spec,
                                                          const Preprocessing& learnt,
                                                          const DatasetOptions& options) {
  if (!spec.validate) return fail(ErrorCode::invalid_argument, "data.validate is not given");
  return open(spec, *spec.validate, "data.validate", &learnt, options);
}

}  // namespace ds::data

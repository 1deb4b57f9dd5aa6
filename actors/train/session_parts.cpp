#include "actors/train/session_parts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>
#include <variant>

#include "actors/data/vocabulary.hpp"
#include "storage/codec/sha256.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::train {
namespace {

constexpr std::size_t kMaxModuleBytes = std::size_t{4} << 30;

tl::unexpected<Error> refuse(const char* field, const std::string& problem, const std::string& hint = {}) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", field, problem), hint);
}

/// What this version can train; the job file's parser allows no more, but a session may be made without it.
Result<void> check_spec(const scheduler::JobSpec& spec) {
  if (spec.model.zoo.empty() == spec.model.torchscript.empty())
    return refuse("model", "needs either zoo or torchscript");
  if (spec.batch.global == 0) return refuse("batch.global", "must be at least 1");
  if (spec.batch.accumulate == 0) return refuse("batch.accumulate", "must be at least 1");
  if (spec.workers.max == 0) return refuse("workers.max", "must be at least 1");
  if (spec.resources.cpus == 0) return refuse("resources.cpus", "must be more than 0");
  for (const scheduler::TransformSpec& transform : spec.data.transforms) {
    const auto* tokenize = std::get_if<scheduler::Tokenize>(&transform.what);
    const auto* pad = std::get_if<scheduler::PadSequences>(&transform.what);
    if (tokenize != nullptr && tokenize->vocabulary <= data::Vocabulary::kReserved)
      return refuse("data.transforms.tokenize.vocabulary", "must be at least 3: two are reserved");
    if (tokenize != nullptr && (tokenize->ngrams < 1 || tokenize->ngrams > scheduler::Tokenize::kMostNgrams))
      return refuse("data.transforms.tokenize.ngrams", "must be 1, 2 or 3");
    if (tokenize != nullptr && tokenize->ngrams > 1 && tokenize->method != "word")
      return refuse("data.transforms.tokenize.ngrams", "is for whole words, not for byte_pair");
    if (pad != nullptr && pad->length == 0)
      return refuse("data.transforms.pad_sequences.length", "must be at least 1");
  }
  if (spec.loss.empty()) return refuse("loss", "needs at least one term");
  if (spec.strategy.name != "allreduce" && spec.strategy.name != "parameter_server")
    return refuse("strategy", fmt::format("no strategy \"{}\", there are allreduce and parameter_server",
                                          spec.strategy.name));
  if (spec.until.epochs.has_value() == spec.until.steps.has_value())
    return refuse("until", "needs either epochs or steps");
  const bool judges = spec.early_stop.has_value() || spec.until.metric.has_value();
  if (judges && !spec.data.validate) {
    return refuse(spec.early_stop ? "early_stop" : "until.metric", "needs a validation set",
                  "give data.validate");
  }
  return {};
}

/// Metrics that the job waits for must be among those that are computed.
Result<void> check_metrics(const scheduler::JobSpec& spec, std::uint32_t classes, bool is_mask) {
  const std::vector<std::string> names = metric_names(spec, classes);
  for (const std::string& name : names) {
    if (classes == 0 && name != "loss")
      return refuse("validate.metrics", fmt::format("{} needs classes, and the label is no class", name));
  }
  const bool wants_auc = std::ranges::find(names, "auc") != names.end();
  if (wants_auc && is_mask) return refuse("validate.metrics", "auc is for one label a sample, not for masks");
  const auto known = [&](const scheduler::Goal& goal) {
    return goal.metric == "loss" || std::ranges::find(names, goal.metric) != names.end();
  };
  if (spec.early_stop && !known(spec.early_stop->goal))
    return refuse("early_stop.metric", fmt::format("{} is not computed", spec.early_stop->goal.metric),
                  "name it in validate.metrics");
  if (spec.until.metric && !known(*spec.until.metric))
    return refuse("until.metric", fmt::format("{} is not computed", spec.until.metric->metric),
                  "name it in validate.metrics");
  return {};
}

/// Every worker holds all scores at once to find the area under the curve.
Result<void> check_auc(const scheduler::JobSpec& spec, std::size_t classes, std::uint64_t rows) {
  constexpr std::uint64_t kMostScores = std::uint64_t{1} << 26;  // half a GiB of doubles
  const auto& names = spec.validate.metrics;
  if (std::ranges::find(names, "auc") == names.end() || rows <= kMostScores / (classes + 1)) return {};
  return refuse(
      "validate.metrics",
      fmt::format("auc of {} rows and {} classes would keep more than {} scores", rows, classes, kMostScores),
      "evaluate fewer records (data.validate.records), or ask for accuracy or f1");
}

/// On the validation set, of always answering the most frequent label of the training set, the first of
/// equals.
double majority_accuracy(const data::Dataset& training, const data::Dataset& validation) {
  const auto& counts = training.class_counts();
  if (counts.empty() || validation.size() == 0) return 0;
  const auto most = static_cast<std::size_t>(std::ranges::max_element(counts) - counts.begin());
  const auto& theirs = validation.class_counts();
  if (most >= theirs.size()) return 0;
  // Of masks each voxel counts, and counted is what the files hold, before anything is cut to size.
  const bool mask = !validation.fields().back().shape.empty();
  const double elements =
      mask ? std::accumulate(theirs.begin(), theirs.end(), 0.0) : static_cast<double>(validation.size());
  return elements == 0 ? 0 : static_cast<double>(theirs[most]) / elements;
}

ModelRequest request_for(const scheduler::JobSpec& spec, const data::Dataset& training) {
  const data::Preprocessing& learnt = training.preprocessing();
  ModelRequest request;
  request.model = spec.model;
  request.loss = spec.loss;
  request.fields = training.fields();
  request.classes = static_cast<std::uint32_t>(learnt.labels.size());
  request.vocabulary = static_cast<std::uint32_t>(learnt.vocabulary.size());
  request.precision = spec.precision;
  request.threads = spec.resources.threads();
  request.seed = spec.seed;
  return request;
}

}  // namespace

Result<SessionParts> make_parts(const scheduler::JobSpec& spec) {
  if (const Result<void> supported = check_spec(spec); !supported) return tl::unexpected(supported.error());
  SessionParts parts;
  parts.spec = spec;
  data::DatasetOptions options;
  options.threads = spec.resources.threads();
  Result<std::unique_ptr<data::Dataset>> training = data::Dataset::open_training(spec.data, options);
  if (!training) return tl::unexpected(training.error());
  parts.training = *std::move(training);
  const data::Preprocessing& learnt = parts.training->preprocessing();
  if (learnt.labels.size() == 1) {
    return refuse("data.train",
                  fmt::format("all samples have the label \"{}\", a classifier needs at least 2",
                              learnt.labels.front()),
                  "choose another label column, or a file whose rows have different labels");
  }
  if (spec.data.validate) {
    auto validation = data::Dataset::open_validation(spec.data, learnt, options);
    if (!validation) return tl::unexpected(validation.error());
    parts.validation = *std::move(validation);
    parts.majority_accuracy = majority_accuracy(*parts.training, *parts.validation);
    if (const auto fits = check_auc(spec, learnt.labels.size(), parts.validation->size()); !fits)
      return tl::unexpected(fits.error());
  }
  ModelRequest request = request_for(spec, *parts.training);
  const bool is_mask = !request.fields.empty() && !request.fields.back().shape.empty();
  if (const auto fits = check_metrics(spec, request.classes, is_mask); !fits)
    return tl::unexpected(fits.error());
  if (!spec.model.torchscript.empty()) {
    const auto bytes = storage::read_file(spec.model.torchscript, kMaxModuleBytes);
    if (!bytes) return tl::unexpected(bytes.error());
    parts.module = Buffer::copy_of(std::string_view(*bytes));
    parts.description.module_sha256 = storage::to_hex(storage::sha256(*bytes));
  }
  Result<std::unique_ptr<Model>> model = Model::create(request);
  if (!model) return tl::unexpected(model.error());
  parts.model = *std::move(model);
  parts.description.parameters = parts.model->parameter_slots();
  parts.description.buffers = parts.model->buffer_slots();
  parts.description.counters = parts.model->counter_slots();
  parts.description.data = {parts.training->fingerprint(), learnt};
  parts.description.request = std::move(request);
  return parts;
}

std::vector<std::string> metric_names(const scheduler::JobSpec& spec, std::uint32_t classes) {
  if (!spec.validate.metrics.empty()) return spec.validate.metrics;
  if (classes == 0) return {};
  const bool masks = std::ranges::any_of(spec.loss, [](const auto& term) { return term.name == "dice"; });
  return masks ? std::vector<std::string>{"dice", "accuracy"} : std::vector<std::string>{"accuracy"};
}

}  // namespace ds::train

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace ds::scheduler {

// ---- data -----------------------------------------------------------------------------------------

/// A field of a sample and the columns of the file that it is made of.
struct FieldColumns {
  std::string field;                 ///< `text`, `features`, `label`, …
  std::vector<std::string> columns;  ///< names; numbers from 1 where the file has no header
  bool operator==(const FieldColumns&) const = default;
};

/// Samples `from` to before `to` of a source, in its order.
struct RecordRange {
  std::uint64_t from = 0;
  std::optional<std::uint64_t> to;  ///< none: to the end
  bool operator==(const RecordRange&) const = default;
};

/// Where samples come from: `data.train` or `data.validate`.
struct SourceSpec {
  std::vector<std::string> paths;     ///< absolute: files, folders, globs (`*`, `?`, `[…]`, sorted by name)
  std::string format;                 ///< one of `keys::kFormats`; empty: what the first path's name says
  std::vector<FieldColumns> columns;  ///< csv, tsv, jsonl, npz
  bool header = true;                 ///< csv, tsv: the first line names the columns
  std::vector<std::string>
      labels;  ///< idx, text, npy, nifti, raw: the files with labels or masks, as `paths`
  std::vector<std::int64_t> shape;  ///< raw: of one sample
  std::string element;              ///< raw: uint8, int16, float32, …
  RecordRange records;
  bool operator==(const SourceSpec&) const = default;
};

struct Tokenize {
  std::string method = "word";  ///< word, byte_pair
  std::uint32_t vocabulary = 8000;
  std::uint32_t ngrams = 1;  ///< word: also up to so many neighbouring words are a token; 1 to kMostNgrams
  static constexpr std::uint32_t kMostNgrams = 3;
  bool operator==(const Tokenize&) const = default;
};
struct PadSequences {
  std::uint32_t length = 32;  ///< tokens a sample; longer ones are cut
  bool operator==(const PadSequences&) const = default;
};
/// (x - mean) / deviation: given for each channel (or one for all), or taken from each sample itself.
struct Normalize {
  std::vector<double> mean, deviation;
  bool per_sample = false;
  bool operator==(const Normalize&) const = default;
};
struct OneHot {
  std::uint32_t classes = 0;  ///< 0: as many as the training set has
  bool operator==(const OneHot&) const = default;
};
struct Resize {
  std::vector<std::uint32_t> size;  ///< height, width; for volumes depth first
  bool operator==(const Resize&) const = default;
};
/// Pads every border by `padding` zeros, then takes `size`: at random while training, else from the middle.
struct Crop {
  std::vector<std::uint32_t> size;
  std::uint32_t padding = 0;
  bool random = true;
  bool operator==(const Crop&) const = default;
};
struct Flip {
  std::vector<std::string> axes{"horizontal"};  ///< horizontal, vertical, depth; each with `probability`
  double probability = 0.5;
  bool operator==(const Flip&) const = default;
};
struct Rotate {
  double degrees = 15;  ///< uniform in ±degrees, in the plane of the last two axes
  bool operator==(const Rotate&) const = default;
};
struct ElasticDeform {
  double alpha = 10;  ///< of the noise before it is smoothed, in pixels: places move far less
  double sigma = 4;   ///< smoothness, in pixels
  bool operator==(const ElasticDeform&) const = default;
};
struct Noise {
  double deviation = 0.1;  ///< of the Gaussian noise that is added
  bool operator==(const Noise&) const = default;
};

/// One item of `data.transforms`. `flip`, `rotate`, `elastic_deform`, `noise` and a random `crop` are for
/// training only; the first four of geometry (`resize`, `crop`, `flip`, `rotate`) and `elastic_deform` move a
/// mask alike, taking the nearest label.
struct TransformSpec {
  std::variant<Tokenize, PadSequences, Normalize, OneHot, Resize, Crop, Flip, Rotate, ElasticDeform, Noise>
      what;
  std::string
      field;  ///< the field it changes; empty: the one it is made for (text, image, features or label)
  bool operator==(const TransformSpec&) const = default;
};

/// What to do about something wrong: fail the job, or go on without, so many times at most.
struct Tolerance {
  bool skip = false;
  std::uint64_t most = 100;
  bool operator==(const Tolerance&) const = default;
};

struct DataSpec {
  SourceSpec train;
  std::optional<SourceSpec> validate;  ///< none: no evaluation
  std::vector<TransformSpec> transforms;
  bool shuffle = true;
  Tolerance on_bad_record;
  std::uint32_t shards = 0;  ///< processes that read and batch for the workers; 0: workers do it themselves
  bool operator==(const DataSpec&) const = default;
};

// ---- model ----------------------------------------------------------------------------------------

/// Exactly one of `zoo` and `torchscript` is given.
struct ModelSpec {
  std::string
      zoo;  ///< text_classifier, bag_of_words, mlp, resnet, transformer, lstm, unet, or one of the plugin's
  std::string torchscript;  ///< absolute path of a scripted module
  std::string plugin;       ///< absolute path of a shared library that registers further models; may be empty
  /// Sizes and the like, by name; a single number is a list of one. For a model of ours the names and ranges
  /// were checked; those of a plugin's model it checks itself.
  std::map<std::string, std::vector<double>> settings;
  bool operator==(const ModelSpec&) const = default;
};

/// `loss` is the sum of its terms, each times its weight.
struct LossTerm {
  std::string name = "cross_entropy";  ///< cross_entropy, bce, mse, dice, focal
  double weight = 1;
  double gamma = 2;             ///< focal: how little easy samples count
  double label_smoothing = 0;   ///< cross_entropy: in [0, 1)
  std::vector<double> classes;  ///< cross_entropy, focal: a weight for each class; empty: all 1
  bool operator==(const LossTerm&) const = default;
};

// ---- optimisation ---------------------------------------------------------------------------------

struct BatchSpec {
  std::uint32_t global = 128;    ///< samples a step over all logical ranks
  std::uint32_t accumulate = 1;  ///< micro-batches that one logical rank's share is run in
  /// A step may grow to so many samples, `global` times a power of two, by taking several batches of `global`
  /// in a row; 0: it never does.
  std::uint32_t max_global = 0;

  /// Batches that a step may take at most.
  std::uint32_t most_batches() const { return max_global > global ? max_global / global : 1; }
  bool operator==(const BatchSpec&) const = default;
};

struct OptimizerSpec {
  std::string name = "adamw";  ///< sgd, adam, adamw
  double lr = 1e-3;
  double momentum = 0;    ///< sgd
  bool nesterov = false;  ///< sgd
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;           ///< default: adamw 0.01, others 0
  std::optional<double> clip_norm;   ///< the gradient's L2 norm is cut to this
  std::optional<double> clip_value;  ///< each of its elements is cut to ± this
  bool operator==(const OptimizerSpec&) const = default;
};

/// The factor on `optimizer.lr` at a step.
struct ScheduleSpec {
  std::string name = "constant";  ///< constant, linear, cosine, step
  std::uint64_t warmup = 0;       ///< steps in which it rises from 0, whatever the name
  double final = 0;               ///< linear, cosine: the factor at the job's last step
  std::uint64_t every = 0;        ///< step: steps between two cuts
  double factor = 0.1;            ///< step: of a cut
  std::vector<std::uint64_t> at;  ///< step: or the steps at which it is cut
  bool operator==(const ScheduleSpec&) const = default;
};

/// A metric of the validation set and what is better.
struct Goal {
  std::string metric = "loss";  ///< loss, accuracy, f1, auc, dice
  bool larger = false;          ///< larger is better: all but loss
  bool operator==(const Goal&) const = default;
};

struct ValidateSpec {
  std::optional<std::uint64_t> every_steps;  ///< none: at the end of each `every_epochs`th epoch
  std::uint32_t every_epochs = 1;
  std::vector<std::string> metrics;  ///< `loss` is given anyway; empty: those that fit the loss
  bool operator==(const ValidateSpec&) const = default;
};

/// Ends training after `patience` validations in a row without an improvement of more than `min_delta`.
struct EarlyStop {
  Goal goal;
  std::uint32_t patience = 3;
  double min_delta = 0;
  bool operator==(const EarlyStop&) const = default;
};

/// When training ends: one of `epochs` and `steps` is set, or earlier when `metric` reaches `target`.
struct Until {
  std::optional<std::uint32_t> epochs;
  std::optional<std::uint64_t> steps;
  std::optional<Goal> metric;
  double target = 0;
  bool operator==(const Until&) const = default;
};

struct CheckpointSpec {
  std::uint64_t every_steps = 200;
  std::uint32_t keep_last = 3;
  std::uint32_t keep_best = 1;  ///< by the first metric of `validate`
  bool operator==(const CheckpointSpec&) const = default;
};

// ---- synchronisation ------------------------------------------------------------------------------

/// What gradients are pushed as to parameter servers.
struct CompressionSpec {
  std::string name = "none";  ///< none, float16, bfloat16, int8, top_k
  double share = 0.01;  ///< top_k: of the elements that are sent; the error stays and is added to the next
  bool operator==(const CompressionSpec&) const = default;
};

struct StrategySpec {
  std::string name = "allreduce";    ///< allreduce, parameter_server
  std::string consistency = "sync";  ///< sync, bounded, async
  std::uint32_t staleness = 1;  ///< bounded: steps that the fastest logical rank may be ahead of the slowest
  std::uint32_t servers = 1;
  std::uint32_t replicas = 1;  ///< further copies of each server's state
  CompressionSpec compression;
  bool operator==(const StrategySpec&) const = default;
};

}  // namespace ds::scheduler

#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "scheduler/spec/section.hpp"

/// Every key and word of the job file's format, in one place, with what this version does with it.
namespace ds::scheduler::keys {

inline constexpr auto kOnly = Known::Support::only;
inline constexpr auto kNotYet = Known::Support::not_yet;

inline constexpr std::array<Known, 4> kKinds{{{"train"}, {"tune", kNotYet}, {"serve"}, {"command"}}};

template <std::size_t A, std::size_t B>
constexpr std::array<Known, A + B> join(const std::array<Known, A>& first,
                                        const std::array<Known, B>& second) {
  std::array<Known, A + B> all{};
  std::copy(second.begin(), second.end(), std::copy(first.begin(), first.end(), all.begin()));
  return all;
}

/// What jobs of all kinds have at their root.
inline constexpr auto kCommon = std::to_array<Known>({
    {"version"},     {"kind"},
    {"name"},        {"labels"},
    {"description"}, {"tenant"},
    {"queue"},       {"priority"},
    {"preemptible"}, {"resources"},
    {"workers"},     {"gang", kOnly, "true"},
    {"placement"},   {"secrets", kNotYet},
    {"time_limit"},  {"deadline"},
    {"start_after"}, {"depends_on"},
    {"restart"},     {"retention"},
});

inline constexpr auto kTrain =
    join(kCommon,
         std::to_array<Known>({
             {"env", kNotYet}, {"model"},   {"data"},      {"batch"},       {"optimizer"}, {"schedule"},
             {"loss"},         {"until"},   {"precision"}, {"on_nan"},      {"strategy"},  {"consistency"},
             {"staleness"},    {"servers"}, {"replicas"},  {"compression"}, {"validate"},  {"early_stop"},
             {"checkpoint"},   {"seed"},    {"audit"},
         }));

inline constexpr auto kServe = join(kCommon, std::to_array<Known>({{"env", kNotYet},
                                                                   {"model"},
                                                                   {"batching"},
                                                                   {"precision"},
                                                                   {"quantize"},
                                                                   {"slo"},
                                                                   {"replicas"},
                                                                   {"autoscale"},
                                                                   {"traffic"},
                                                                   {"drain"}}));
inline constexpr auto kServedModel = std::to_array<Known>({{"source"}, {"inputs"}, {"outputs"}});
inline constexpr auto kServedInput = std::to_array<Known>({{"name"}, {"datatype"}, {"shape"}});
inline constexpr auto kServedOutput = std::to_array<Known>({{"name"}});
inline constexpr auto kDatatypes = std::to_array<Known>(
    {{"BOOL"}, {"UINT8"}, {"INT8"}, {"INT16"}, {"INT32"}, {"INT64"}, {"FP16"}, {"FP32"}, {"FP64"}, {"BF16"}});
inline constexpr auto kBatching = std::to_array<Known>({{"mode"}, {"max_size"}, {"max_delay"}, {"padding"}});
inline constexpr auto kPadding = std::to_array<Known>({{"buckets"}, {"value"}, {"cut"}, {"tolerance"}});
inline constexpr auto kQuantize = std::to_array<Known>({{"to"}, {"eval"}, {"max_loss"}, {"max_error"}});
inline constexpr auto kQuantizations = std::to_array<Known>({{"int8"}});
inline constexpr auto kBatchingModes = std::to_array<Known>({{"adaptive"}, {"fixed"}, {"off"}});
inline constexpr auto kRequestQueue =
    std::to_array<Known>({{"name"}, {"max_depth"}, {"max_bytes"}, {"timeout"}});
inline constexpr auto kReplicas = std::to_array<Known>({{"min"}, {"max"}});
inline constexpr auto kAutoscale =
    std::to_array<Known>({{"target"}, {"up_delay"}, {"down_delay"}, {"to_zero_after"}});
inline constexpr auto kSlo = std::to_array<Known>({{"p99"}});

inline constexpr auto kCommand = join(kCommon, std::to_array<Known>({{"env"}, {"run"}, {"setup"}}));

/// The words for a priority; any number of the range may stand as well.
inline constexpr auto kPriorities = std::to_array<Known>({{"low"}, {"normal"}, {"high"}, {"critical"}});

inline constexpr auto kResources = std::to_array<Known>({{"cpus"}, {"memory"}, {"gpu"}});
inline constexpr auto kPlacements = std::to_array<Known>({{"pack"}, {"spread"}, {"same_node"}});
inline constexpr auto kWorkers = std::to_array<Known>({{"min"}, {"max"}, {"preferred"}});

/// Keys of `model`; the settings of each model of ours are in `zoo_settings.cpp`.
inline constexpr auto kModel =
    std::to_array<Known>({{"zoo"}, {"torchscript"}, {"plugin"}, {"init_from", kNotYet}});
inline constexpr auto kZoo = std::to_array<Known>(
    {{"text_classifier"}, {"bag_of_words"}, {"mlp"}, {"resnet"}, {"transformer"}, {"lstm"}, {"unet"}});

inline constexpr auto kData = std::to_array<Known>(
    {{"train"}, {"validate"}, {"transforms"}, {"shuffle"}, {"on_bad_record"}, {"shards"}});
inline constexpr auto kSource = std::to_array<Known>(
    {{"source"}, {"format"}, {"columns"}, {"header"}, {"labels"}, {"shape"}, {"element"}, {"records"}});
inline constexpr auto kFormats = std::to_array<Known>(
    {{"csv"}, {"tsv"}, {"jsonl"}, {"text"}, {"idx"}, {"image_folder"}, {"npy"}, {"npz"}, {"nifti"}, {"raw"}});
/// The fields that a sample may have.
inline constexpr auto kFields = std::to_array<Known>({{"text"}, {"features"}, {"image"}, {"label"}});
inline constexpr auto kElements = std::to_array<Known>(
    {{"uint8"}, {"int8"}, {"uint16"}, {"int16"}, {"uint32"}, {"int32"}, {"int64"}, {"float32"}, {"float64"}});
inline constexpr auto kRecords = std::to_array<Known>({{"from"}, {"to"}});

inline constexpr auto kTransforms = std::to_array<Known>({{"tokenize"},
                                                          {"pad_sequences"},
                                                          {"normalize"},
                                                          {"one_hot"},
                                                          {"resize"},
                                                          {"crop"},
                                                          {"flip"},
                                                          {"rotate"},
                                                          {"elastic_deform"},
                                                          {"noise"}});
inline constexpr auto kTokenize = std::to_array<Known>({{"vocabulary"}, {"method"}, {"ngrams"}, {"field"}});
inline constexpr auto kTokenizers = std::to_array<Known>({{"word"}, {"byte_pair"}});
inline constexpr auto kPadSequences = std::to_array<Known>({{"length"}, {"field"}});
inline constexpr auto kNormalize = std::to_array<Known>({{"mean"}, {"deviation"}, {"per_sample"}, {"field"}});
inline constexpr auto kOneHot = std::to_array<Known>({{"classes"}, {"field"}});
inline constexpr auto kResize = std::to_array<Known>({{"size"}, {"field"}});
inline constexpr auto kCrop = std::to_array<Known>({{"size"}, {"padding"}, {"random"}, {"field"}});
inline constexpr auto kFlip = std::to_array<Known>({{"axes"}, {"probability"}, {"field"}});
inline constexpr auto kAxes = std::to_array<Known>({{"horizontal"}, {"vertical"}, {"depth"}});
inline constexpr auto kRotate = std::to_array<Known>({{"degrees"}, {"field"}});
inline constexpr auto kElasticDeform = std::to_array<Known>({{"alpha"}, {"sigma"}, {"field"}});
inline constexpr auto kNoise = std::to_array<Known>({{"deviation"}, {"field"}});

/// `on_bad_record` and `on_nan`: one of the words, or `{skip: N}`.
inline constexpr auto kTolerances = std::to_array<Known>({{"fail"}, {"skip"}});
inline constexpr auto kTolerance = std::to_array<Known>({{"skip"}});

inline constexpr auto kBatch = std::to_array<Known>({{"global"}, {"accumulate"}, {"max_global"}});
inline constexpr auto kOptimizer = std::to_array<Known>({{"name"},
                                                         {"lr"},
                                                         {"momentum"},
                                                         {"nesterov"},
                                                         {"beta1"},
                                                         {"beta2"},
                                                         {"betas"},
                                                         {"eps"},
                                                         {"weight_decay"},
                                                         {"clip_norm"},
                                                         {"clip_value"}});
inline constexpr auto kOptimizers = std::to_array<Known>({{"sgd"}, {"adam"}, {"adamw"}});
inline constexpr auto kSchedule =
    std::to_array<Known>({{"name"}, {"warmup"}, {"final"}, {"every"}, {"factor"}, {"at"}});
inline constexpr auto kSchedules = std::to_array<Known>({{"constant"}, {"linear"}, {"cosine"}, {"step"}});
inline constexpr auto kLosses =
    std::to_array<Known>({{"cross_entropy"}, {"bce"}, {"mse"}, {"dice"}, {"focal"}});
inline constexpr auto kLoss =
    std::to_array<Known>({{"name"}, {"weight"}, {"gamma"}, {"label_smoothing"}, {"classes"}});

inline constexpr auto kValidate = std::to_array<Known>({{"every"}, {"metrics"}});
inline constexpr auto kMetrics = std::to_array<Known>({{"loss"}, {"accuracy"}, {"f1"}, {"auc"}, {"dice"}});
inline constexpr auto kGoals = std::to_array<Known>({{"loss"}, {"accuracy"}, {"f1"}, {"auc"}, {"dice"}});
inline constexpr auto kEarlyStop = std::to_array<Known>({{"metric"}, {"patience"}, {"min_delta"}});
inline constexpr auto kUntil = std::to_array<Known>({{"epochs"}, {"steps"}, {"metric"}});
inline constexpr auto kCheckpoint = std::to_array<Known>({{"every"}, {"keep_last"}, {"keep_best"}});

inline constexpr auto kPrecisions = std::to_array<Known>({{"fp32"}, {"bf16"}, {"fp16"}});
inline constexpr auto kServedPrecisions = std::to_array<Known>({{"fp32"}, {"bf16"}});
inline constexpr auto kStrategies = std::to_array<Known>({{"allreduce"}, {"parameter_server"}});
inline constexpr auto kConsistencies = std::to_array<Known>({{"sync"}, {"bounded"}, {"async"}});
inline constexpr auto kCompression = std::to_array<Known>({{"name"}, {"share"}});
inline constexpr auto kCompressions =
    std::to_array<Known>({{"none"}, {"float16"}, {"bfloat16"}, {"int8"}, {"top_k"}});

}  // namespace ds::scheduler::keys

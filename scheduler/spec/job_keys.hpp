#pragma once

#include <array>

#include "scheduler/spec/section.hpp"

/// Every key and word of the job file's format, in one place, with what this version does with it.
namespace ds::scheduler::keys {

inline constexpr auto kOnly = Known::Support::only;
inline constexpr auto kNotYet = Known::Support::not_yet;

inline constexpr std::array<Known, 4> kKinds{
    {{"train"}, {"tune", kNotYet}, {"serve", kNotYet}, {"command", kNotYet}}};

/// The root of a `train` job: what it has in common with other kinds, then its own.
inline constexpr auto kTrain = std::to_array<Known>({
    {"version"},
    {"kind"},
    {"name"},
    {"labels"},
    {"description"},
    {"tenant"},
    {"queue", kOnly, "default"},
    {"priority", kOnly, "normal"},
    {"preemptible", kOnly, "true"},
    {"resources"},
    {"workers"},
    {"gang", kOnly, "true"},
    {"placement", kOnly, "pack"},
    {"env", kNotYet},
    {"secrets", kNotYet},
    {"time_limit", kNotYet},
    {"deadline", kNotYet},
    {"start_after", kNotYet},
    {"depends_on", kNotYet},
    {"restart"},
    {"retention", kNotYet},
    {"model"},
    {"data"},
    {"batch"},
    {"optimizer"},
    {"schedule", kNotYet},
    {"loss"},
    {"until"},
    {"precision"},
    {"strategy"},
    {"consistency", kNotYet},
    {"staleness", kNotYet},
    {"validate", kNotYet},
    {"early_stop", kNotYet},
    {"checkpoint"},
    {"seed"},
});

inline constexpr auto kResources = std::to_array<Known>({{"cpus"}, {"memory"}, {"gpu", kNotYet}});
inline constexpr auto kWorkers = std::to_array<Known>({{"min"}, {"max"}, {"preferred"}});
inline constexpr auto kModel =
    std::to_array<Known>({{"zoo"}, {"width"}, {"dropout"}, {"torchscript", kNotYet}, {"init_from", kNotYet}});
inline constexpr auto kZoo = std::to_array<Known>({{"text_classifier"}});

inline constexpr auto kData = std::to_array<Known>({{"train"}, {"validate"}, {"transforms"}, {"shuffle"}});
inline constexpr auto kSource = std::to_array<Known>({{"source"}, {"format"}, {"columns"}});
inline constexpr auto kFormats = std::to_array<Known>({{"csv"}});
inline constexpr auto kColumns = std::to_array<Known>({{"text"}, {"label"}});
inline constexpr auto kTransforms = std::to_array<Known>({{"tokenize"}, {"pad_sequences"}});  // in this order
inline constexpr auto kTokenize = std::to_array<Known>({{"vocabulary"}});
inline constexpr auto kPadSequences = std::to_array<Known>({{"length"}});

inline constexpr auto kBatch = std::to_array<Known>({{"global"}, {"accumulate"}});
inline constexpr auto kOptimizer =
    std::to_array<Known>({{"name"}, {"lr"}, {"beta1"}, {"beta2"}, {"betas"}, {"eps"}, {"weight_decay"}});
inline constexpr auto kOptimizers = std::to_array<Known>({{"adamw"}});
inline constexpr auto kLosses = std::to_array<Known>({{"cross_entropy"}});
inline constexpr auto kStrategies = std::to_array<Known>({{"allreduce"}, {"parameter_server", kNotYet}});
inline constexpr auto kPrecisions = std::to_array<Known>({{"fp32"}, {"bf16", kNotYet}, {"fp16", kNotYet}});
inline constexpr auto kUntil = std::to_array<Known>({{"epochs"}, {"steps"}, {"metric", kNotYet}});
inline constexpr auto kCheckpoint = std::to_array<Known>({{"every"}, {"keep_last"}, {"keep_best"}});

}  // namespace ds::scheduler::keys

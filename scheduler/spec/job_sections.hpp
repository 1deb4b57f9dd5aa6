#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "scheduler/spec/job_spec.hpp"
#include "scheduler/spec/section.hpp"

/// The readers of the sections of a job. Faults go to the section's findings, and leave the field at
/// its default. `root` is the section around; paths are taken from `directory`.
namespace ds::scheduler {

inline constexpr WholeRange kStepRange{1, 1'000'000'000'000};
inline constexpr RealRange kAnyReal{.low = -std::numeric_limits<double>::max(), .words = ""};
inline constexpr RealRange kAboveZero{.low_open = true, .words = "above 0"};
inline constexpr RealRange kNotNegative{.words = "from 0"};
inline constexpr RealRange kBelowOne{.high = 1, .high_open = true, .words = "from 0 to below 1"};
inline constexpr RealRange kUpToOne{.high = 1, .words = "from 0 to 1"};
inline constexpr RealRange kShare{.low_open = true, .high = 1, .words = "above 0 to 1"};

/// What `parse_job_file` makes of a file's tree; `text` is what a job without a name is named after.
std::variant<ParsedJob, std::vector<SpecError>> parse_job_tree(const YamlNode& root, std::string_view text,
                                                               std::string_view directory);

/// Reads the fields that jobs of all kinds have, but `version` and `kind`, and checks the rules between them.
void read_common(const Section& root, JobSpec& spec);
/// Reads the name of a queue, or its path: `prod`, `research/prod`, `nlp/research/prod`.
void read_queue_name(const Section& section, std::string_view key, std::string& queue);
/// Reads a job's whole root, but `version` and `kind`, then checks the rules between its fields.
void read_command_job(const Section& root, JobSpec& spec);
void read_serve_job(const Section& root, std::string_view directory, JobSpec& spec);
/// Reads `quantize` of a serve job: `int8`, or a mapping.
void read_quantize(const Section& root, std::string_view directory, std::optional<QuantizeSpec>& quantize);
void read_train_job(const Section& root, std::string_view directory, JobSpec& spec);

void read_data(const Section& root, std::string_view directory, DataSpec& data);
/// Reads `train` or `validate` of `data`.
void read_source(const Section& data, std::string_view key, std::string_view directory, SourceSpec& source);
/// Reads `data.transforms`.
void read_transforms(const Section& data, std::vector<TransformSpec>& transforms);
/// Puts in the transforms that texts need to become numbers, where the list does without.
void complete_text_transforms(std::vector<TransformSpec>& transforms);

void read_model(const Section& root, std::string_view directory, ModelSpec& model);
void read_loss(const Section& root, std::vector<LossTerm>& terms);
void read_optimizer(const Section& root, OptimizerSpec& optimizer);
void read_schedule(const Section& root, ScheduleSpec& schedule);
void read_validate(const Section& root, ValidateSpec& validate);
void read_early_stop(const Section& root, std::optional<EarlyStop>& early_stop);
void read_until(const Section& root, Until& until);
void read_resources(const Section& root, JobKind kind, Resources& resources);
/// Reads `traffic`; the model and the replicas have been read.
void read_traffic(const Section& root, JobSpec& spec);
/// Reads `batching.padding`; the model, the mode and the precision have been read.
void read_padding(const Section& batching, JobSpec& spec);
/// Reads `start_after`, `depends_on`, `time_limit`, `retention` and `deadline`.
void read_start(const Section& root, JobSpec& spec);
void read_strategy(const Section& root, StrategySpec& strategy);
/// Reads `fail`, `skip` or `{skip: N}`.
void read_tolerance(const Section& section, std::string_view key, Tolerance& tolerance);
/// Reads the path of one file that the job needs.
void read_file(const Section& section, std::string_view key, std::string_view directory, std::string& path);
/// `path` made absolute; none when it is an address (`s3://…`), which is reported at `field`.
std::optional<std::string> resolve_path(const std::string& path, std::string_view directory,
                                        const std::string& field, Mark mark, Findings& findings);

/// Reports fields that contradict each other; a rule is skipped when one of its fields is faulty already.
void check_rules(const Section& root, const JobSpec& spec);

}  // namespace ds::scheduler

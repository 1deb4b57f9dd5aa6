#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "actors/data/sample.hpp"
#include "scheduler/spec/train_spec.hpp"
#include "storage/codec/sha256.hpp"
#include "storage/result.hpp"

namespace ds::data {

/// What a source of any format gives: samples by number, as they stand in the files. Immutable; any thread.
class Source {
 public:
  virtual ~Source() = default;

  virtual std::uint64_t size() const = 0;
  /// `label` last. A class is Form::text (its name) or Form::whole without dimensions.
  virtual const std::vector<FieldPlan>& fields() const = 0;
  /// Fills every field of `sample`. `invalid_argument` for a record that is wrong, which names its place;
  /// any other code for what no other record can do better.
  virtual Result<void> read(std::uint64_t record, Sample& sample) const = 0;
  /// Fills at least `label`, and every field that is text.
  virtual Result<void> read_label(std::uint64_t record, Sample& sample) const { return read(record, sample); }
  /// As `Dataset::place_of`.
  virtual std::string place_of(std::uint64_t record) const = 0;
  /// `conflict` when a file that these records come from is not as it was.
  virtual Result<void> check_unchanged(std::span<const std::uint64_t> records) const = 0;
  /// Of all files' bytes, in order.
  virtual const storage::Sha256& content() const = 0;
  /// Images larger than this both ways may be given smaller, but not below it.
  virtual void set_enough(storage::ImageSize) {}
};

struct SourceOptions {
  std::filesystem::path index_directory;
  std::uint32_t threads = 1;
  std::vector<std::string> text_fields;  ///< besides `text`: what is tokenized
};

/// The source of a job file's `data.train` or `data.validate`. Errors name file, line and column, or the
/// field of the job file after `name`.
Result<std::unique_ptr<Source>> open_source(const scheduler::SourceSpec& spec, const std::string& name,
                                            const SourceOptions& options);

/// By format.
Result<std::unique_ptr<Source>> open_table_source(const scheduler::SourceSpec& spec,
                                                  std::span<const std::filesystem::path> files,
                                                  const SourceOptions& options);
Result<std::unique_ptr<Source>> open_line_source(std::span<const std::filesystem::path> files,
                                                 std::span<const std::filesystem::path> labels,
                                                 const SourceOptions& options);
Result<std::unique_ptr<Source>> open_array_source(const scheduler::SourceSpec& spec,
                                                  std::span<const std::filesystem::path> files,
                                                  std::span<const std::filesystem::path> labels);
Result<std::unique_ptr<Source>> open_image_source(std::span<const std::filesystem::path> files,
                                                  const SourceOptions& options);
Result<std::unique_ptr<Source>> open_volume_source(std::span<const std::filesystem::path> files,
                                                   std::span<const std::filesystem::path> labels,
                                                   const SourceOptions& options);

}  // namespace ds::data

#pragma once

#include <cstdint>
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "actors/data/batch.hpp"
#include "actors/data/dataset.hpp"
#include "scheduler/spec/train_spec.hpp"
#include "storage/result.hpp"

namespace ds {

/// What a range-for loop over a `DataLoader::Epoch` ends with when a batch can't be made.
class DataError : public std::runtime_error {
 public:
  explicit DataError(Error error) : std::runtime_error(error.message), error_(std::move(error)) {}
  const Error& error() const { return error_; }

 private:
  Error error_;
};

/// Batches of a data set, ready in order, for programs of your own:
///
///     auto loader = ds::DataLoader::open({.source = {...}, .transforms = {...}, .batch_size = 64});
///     for (std::uint64_t epoch = 0; epoch < 5; ++epoch)
///       for (const ds::data::Batch& batch : loader->epoch(epoch)) train(batch);
///
/// Threads read, transform and batch ahead of the loop, at most `prefetch` batches. What comes out depends on
/// the options and the epoch's number only, never on the number of threads.
class DataLoader {
 public:
  struct Options {
    scheduler::SourceSpec source;
    std::vector<scheduler::TransformSpec> transforms;
    std::vector<std::shared_ptr<data::Transform>> further = {};  ///< of your own, behind the others
    std::uint32_t batch_size = 32;
    bool shuffle = true;
    bool drop_last = false;  ///< leave out a last batch that is smaller
    bool training = true;    ///< do what is random; without it validation batches come out
    std::uint64_t seed = 0;
    std::uint32_t threads = 1;   ///< that make batches; 0: the loop's own thread makes each when it is asked
    std::uint32_t prefetch = 4;  ///< batches made ahead, at least one a thread
    scheduler::Tolerance on_bad_record = {};
    std::optional<data::Preprocessing> learnt = {};  ///< by the training set, for a validation set
    std::filesystem::path index_directory = {};      ///< as `data::DatasetOptions`
  };

  /// Errors as `data::Dataset`'s.
  static Result<DataLoader> open(Options options);

  const data::Dataset& dataset() const { return *dataset_; }
  /// Batches of an epoch.
  std::uint64_t size() const;

  class Epoch;
  /// Starts making the batches of an epoch. The loader must outlive it; several may run at once.
  Epoch epoch(std::uint64_t number) const;
  /// One batch of an epoch, made by the caller's thread.
  Result<data::Batch> make_batch(std::uint64_t epoch, std::uint64_t number) const;

 private:
  DataLoader(Options options, std::unique_ptr<data::Dataset> dataset);

  Options options_;
  std::unique_ptr<data::Dataset> dataset_;
};

/// One pass. Stops its threads when it goes. One thread at a time.
class DataLoader::Epoch {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = data::Batch;
    using difference_type = std::ptrdiff_t;
    using pointer = const data::Batch*;
    using reference = const data::Batch&;

    reference operator*() const { return *epoch_->current_; }
    pointer operator->() const { return &*epoch_->current_; }
    Iterator& operator++() {
      epoch_->advance();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return !epoch_->current_; }

   private:
    friend class Epoch;
    explicit Iterator(Epoch* epoch) : epoch_(epoch) {}
    Epoch* epoch_;
  };

  Epoch(Epoch&&) noexcept;
  Epoch& operator=(Epoch&&) = delete;
  ~Epoch();

  /// The next batch, nothing behind the last one. After an error it gives the same error again.
  Result<std::optional<data::Batch>> next();

  /// For a loop; throws `DataError` instead.
  Iterator begin() {
    advance();
    return Iterator(this);
  }
  static std::default_sentinel_t end() { return std::default_sentinel; }

 private:
  friend class DataLoader;
  class Makers;
  explicit Epoch(std::unique_ptr<Makers> makers);
  void advance();

  std::unique_ptr<Makers> makers_;
  std::optional<data::Batch> current_;
};

}  // namespace ds

#include "actors/data/data_loader.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "actors/data/sample_order.hpp"

namespace ds {

DataLoader::DataLoader(Options options, std::unique_ptr<data::Dataset> dataset)
    : options_(std::move(options)), dataset_(std::move(dataset)) {}

Result<DataLoader> DataLoader::open(Options options) {
  if (options.batch_size == 0) return fail(ErrorCode::invalid_argument, "batch_size must be at least 1");
  scheduler::DataSpec spec;
  spec.train = options.source;
  spec.transforms = options.transforms;
  spec.on_bad_record = options.on_bad_record;
  const data::DatasetOptions how{options.index_directory, std::max(options.threads, 1U), options.further};
  Result<std::unique_ptr<data::Dataset>> dataset;
  if (options.learnt) {
    spec.validate = options.source;
    dataset = data::Dataset::open_validation(spec, *options.learnt, how);
  } else {
    dataset = data::Dataset::open_training(spec, how);
  }
  if (!dataset) return tl::unexpected(dataset.error());
  return DataLoader(std::move(options), std::move(*dataset));
}

std::uint64_t DataLoader::size() const {
  const std::uint64_t samples = dataset_->size();
  return options_.drop_last ? samples / options_.batch_size
                            : (samples + options_.batch_size - 1) / options_.batch_size;
}

Result<data::Batch> DataLoader::make_batch(std::uint64_t epoch, std::uint64_t number) const {
  const data::SampleOrder order(dataset_->size(), options_.seed, options_.shuffle);
  const std::uint64_t begin = number * options_.batch_size;
  const std::uint64_t end = std::min(begin + options_.batch_size, dataset_->size());
  std::vector<std::uint64_t> samples;
  samples.reserve(options_.batch_size);
  for (std::uint64_t position = begin; position < end; ++position)
    samples.push_back(order.sample_at(epoch, position));
  std::optional<data::Draw> draw;
  if (options_.training) draw = data::Draw{options_.seed, epoch * size() + number, 0, 0};
  return dataset_->make_batch(samples, draw);
}

/// Threads that make batches ahead, each into the slot of its number.
class DataLoader::Epoch::Makers {
 public:
  Makers(const DataLoader& loader, std::uint64_t epoch)
      : loader_(loader),
        epoch_(epoch),
        count_(loader.size()),
        slots_(std::max(loader.options_.prefetch, loader.options_.threads)) {
    for (std::uint32_t i = 0; i < loader.options_.threads; ++i) threads_.emplace_back([this] { work(); });
  }
  Makers(const Makers&) = delete;
  Makers& operator=(const Makers&) = delete;
  ~Makers() {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    room_.notify_all();
  }

  Result<std::optional<data::Batch>> next() {
    if (error_) return tl::unexpected(*error_);
    if (taken_ == count_) return std::nullopt;
    Result<data::Batch> batch = threads_.empty() ? loader_.make_batch(epoch_, taken_) : wait();
    ++taken_;
    if (batch) return std::optional<data::Batch>(std::move(*batch));
    error_ = batch.error();
    return tl::unexpected(*error_);
  }

 private:
  Result<data::Batch> wait() {
    std::unique_lock lock(mutex_);
    std::optional<Result<data::Batch>>& slot = slots_[taken_ % slots_.size()];
    made_.wait(lock, [&] { return slot.has_value(); });
    Result<data::Batch> batch = std::move(*slot);
    slot.reset();
    ++free_until_;
    lock.unlock();
    room_.notify_one();
    return batch;
  }

  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      room_.wait(lock, [&] { return stopping_ || begun_ == count_ || begun_ < free_until_ + slots_.size(); });
      if (stopping_ || begun_ == count_) return;
      const std::uint64_t number = begun_++;
      lock.unlock();
      Result<data::Batch> batch = loader_.make_batch(epoch_, number);
      lock.lock();
      slots_[number % slots_.size()] = std::move(batch);
      made_.notify_one();
      // Who waits for room because all batches were begun must end, too.
      if (begun_ == count_) room_.notify_all();
    }
  }

  const DataLoader& loader_;
  const std::uint64_t epoch_, count_;
  std::mutex mutex_;
  std::condition_variable made_, room_;
  std::vector<std::optional<Result<data::Batch>>> slots_;
  std::uint64_t begun_ = 0, free_until_ = 0;  // batches that threads took; that the loop took
  bool stopping_ = false;
  std::uint64_t taken_ = 0;  // of the loop's thread only, as `error_`
  std::optional<Error> error_;
  std::vector<std::jthread> threads_;  // last: they use all of the above
};

DataLoader::Epoch DataLoader::epoch(std::uint64_t number) const {
  return Epoch(std::make_unique<Epoch::Makers>(*this, number));
}

DataLoader::Epoch::Epoch(std::unique_ptr<Makers> makers) : makers_(std::move(makers)) {}
DataLoader::Epoch::Epoch(Epoch&&) noexcept = default;
DataLoader::Epoch::~Epoch() = default;

Result<std::optional<data::Batch>> DataLoader::Epoch::next() {
  return makers_->next();
}

void DataLoader::Epoch::advance() {
  auto batch = next();
  if (!batch) throw DataError(batch.error());
  current_ = std::move(*batch);
}

}  // namespace ds

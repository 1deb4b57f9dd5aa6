#include "stored_example.hpp"

#include <algorithm>
#include <future>
#include <map>
#include <random>
#include <stdexcept>

using ds::Error;
using ds::Result;
using ds::storage::Checkpoint;
using ds::storage::CheckpointEntry;
using ds::storage::CheckpointStore;
using ds::storage::NamedBytes;
using ds::storage::StateJournal;

namespace {

constexpr std::size_t kLargeTensorBytes = (1U << 20) + 1000;  // two chunks
constexpr std::size_t kSmallTensorBytes = 5000;
const std::map<std::string, std::vector<std::uint64_t>> kExampleSteps = {{"train-a1b2", {100, 200, 300}},
                                                                         {"train-c3", {5}}};

template <class T>
T require(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::vector<std::string> make_events(int number) {
  return {"event " + std::to_string(number), std::string(static_cast<std::size_t>(number) * 20, 'x')};
}

constexpr int kPieces = 3;  ///< of the snapshot of the first 20 records

std::string make_piece(int number) {
  return "piece " + std::to_string(number) + std::string(300, 's');
}

std::string on_one_line(const Error& error) {
  std::string text = "refused " + std::to_string(static_cast<int>(error.code)) + " " + error.message;
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

CheckpointEntry make_entry(std::uint64_t step) {
  return {step,
          0,
          static_cast<std::int64_t>(1'700'000'000'000 + step),
          {{"accuracy", 0.25 + static_cast<double>(step) / 1000}}};
}

std::vector<std::pair<std::string, std::vector<std::byte>>> make_tensors(std::uint64_t step) {
  return {{"embedding", make_tensor(7, kLargeTensorBytes)},
          {"weight", make_tensor(step, kSmallTensorBytes)},
          {"empty", {}}};
}

std::string judge_job(const CheckpointStore& store, const std::string& job,
                      const std::vector<std::uint64_t>& steps) {
  const auto entries = store.list(job);
  if (!entries) return "WRONG list of " + job + ": " + entries.error().message;
  std::vector<std::uint64_t> listed;
  for (const CheckpointEntry& entry : *entries) listed.push_back(entry.step);
  if (listed != steps) return "WRONG versions of " + job;
  std::uint64_t newest_whole = 0;
  std::string refusal;
  for (const std::uint64_t step : steps) {
    const auto checkpoint = store.load(job, step);
    if (!checkpoint && checkpoint.error().code != ds::ErrorCode::data_loss)
      return "WRONG " + on_one_line(checkpoint.error());
    if (!checkpoint) refusal = on_one_line(checkpoint.error());
    if (!checkpoint) continue;
    const std::string difference = compare_with_example(*checkpoint, job);
    if (!difference.empty()) return "WRONG " + difference;
    newest_whole = step;
  }
  std::vector<Error> skipped;
  const auto newest = store.load_newest(job, &skipped);
  const std::uint64_t found = newest && *newest ? (*newest)->entry.step : 0;
  if (found != newest_whole) return "WRONG newest version of " + job + ": " + std::to_string(found);
  return refusal;
}

}  // namespace

Result<void> append_and_wait(StateJournal& journal, std::vector<std::string> events) {
  std::promise<Result<void>> outcome;
  journal.append(std::move(events), [&](Result<void> result) { outcome.set_value(std::move(result)); });
  return outcome.get_future().get();
}

Result<void> compact_and_wait(StateJournal& journal, StateJournal::SnapshotPiece piece) {
  std::promise<Result<void>> outcome;
  journal.compact(std::move(piece), [&](Result<void> result) { outcome.set_value(std::move(result)); });
  return outcome.get_future().get();
}

void write_example_journal(const std::filesystem::path& directory) {
  {
    const auto journal = require(StateJournal::open(directory));
    for (int i = 1; i <= 20; ++i) require(append_and_wait(*journal, make_events(i)));
    for (int i = 0; i < kPieces; ++i) {
      require(compact_and_wait(*journal, {make_piece(i), i == 0, i + 1 == kPieces}));
      require(append_and_wait(*journal, make_events(21 + i)));
    }
    for (int i = 21 + kPieces; i <= 30; ++i) require(append_and_wait(*journal, make_events(i)));
    require(compact_and_wait(*journal,
                             {"of a snapshot that has no end", true, false}));  // goes when it is opened
  }
  const auto journal = require(StateJournal::open(directory));
  for (int i = 31; i <= 40; ++i) require(append_and_wait(*journal, make_events(i)));
}

std::vector<std::byte> make_tensor(std::uint64_t seed, std::size_t size) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 255U);
  return bytes;
}

Result<void> save_example(CheckpointStore& store, const std::string& job, std::uint64_t step) {
  const auto tensors = make_tensors(step);
  std::vector<NamedBytes> named;
  for (const auto& [name, bytes] : tensors) named.push_back({name, bytes});
  return store.save(job, make_entry(step), "description of " + job, named);
}

void write_example_checkpoints(const std::filesystem::path& directory) {
  {
    const auto store = require(CheckpointStore::open(directory));
    require(save_example(*store, "train-a1b2", 100));
    require(save_example(*store, "train-a1b2", 200));
  }
  const auto store = require(CheckpointStore::open(directory));
  require(save_example(*store, "train-c3", 5));
  require(save_example(*store, "train-a1b2", 300));
}

std::string compare_with_example(const Checkpoint& checkpoint, const std::string& job) {
  const std::uint64_t step = checkpoint.entry.step;
  CheckpointEntry expected = make_entry(step);
  expected.bytes = kLargeTensorBytes + kSmallTensorBytes;
  if (checkpoint.entry != expected) return "entry of step " + std::to_string(step);
  if (checkpoint.description != "description of " + job) return "description of step " + std::to_string(step);
  if (checkpoint.tensors != make_tensors(step)) return "tensors of step " + std::to_string(step);
  return "";
}

std::string judge_example_journal(const std::filesystem::path& directory) {
  auto journal = StateJournal::open(directory);
  if (!journal) return on_one_line(journal.error());
  const StateJournal::Recovered recovered = (*journal)->take_recovered();
  std::vector<std::string> pieces;
  for (int i = 0; i < kPieces; ++i) pieces.push_back(make_piece(i));
  if (recovered.snapshot != pieces) return "WRONG snapshot";
  std::vector<std::string> expected;
  for (int i = 21; i <= 40; ++i)
    for (std::string& event : make_events(i)) expected.push_back(std::move(event));
  if (recovered.events != expected) return "WRONG events: " + std::to_string(recovered.events.size());
  // What is found whole must also be able to go on.
  const auto appended = append_and_wait(**journal, {"one more"});
  return appended ? "correct" : on_one_line(appended.error());
}

std::string judge_example_checkpoints(const std::filesystem::path& directory) {
  const auto store = CheckpointStore::open(directory);
  if (!store) return on_one_line(store.error());
  std::string refusal;
  for (const auto& [job, steps] : kExampleSteps) {
    const std::string verdict = judge_job(**store, job, steps);
    if (verdict.starts_with("WRONG")) return verdict;
    if (!verdict.empty()) refusal = verdict;
  }
  return refusal.empty() ? "correct" : refusal;
}

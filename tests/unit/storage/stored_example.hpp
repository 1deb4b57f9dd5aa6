#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "storage/checkpoint/checkpoint_store.hpp"
#include "storage/state/journal.hpp"

/// Stores with known content, written by a test and judged by the probe program after somebody damaged them.

/// Appends and waits until it is durable or refused.
ds::Result<void> append_and_wait(ds::storage::StateJournal& journal, std::vector<std::string> events);
ds::Result<void> compact_and_wait(ds::storage::StateJournal& journal,
                                  ds::storage::StateJournal::SnapshotPiece piece);

/// Writes a journal with records in tables and in the log, with a snapshot on the way.
void write_example_journal(const std::filesystem::path& directory);

/// Bytes of one tensor, a function of the arguments alone.
std::vector<std::byte> make_tensor(std::uint64_t seed, std::size_t size);

/// Saves the example's version `step` of `job`.
ds::Result<void> save_example(ds::storage::CheckpointStore& store, const std::string& job,
                              std::uint64_t step);

/// Writes checkpoints of two jobs, in tables and in the log.
void write_example_checkpoints(const std::filesystem::path& directory);

/// "" when `checkpoint` is what `save_example` saved, else what differs.
std::string compare_with_example(const ds::storage::Checkpoint& checkpoint, const std::string& job);

/// "correct", "refused CODE MESSAGE" or "WRONG what", on one line.
std::string judge_example_journal(const std::filesystem::path& directory);
std::string judge_example_checkpoints(const std::filesystem::path& directory);

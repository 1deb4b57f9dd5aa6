#include "storage/state/journal_chain.hpp"

#include <fmt/format.h>
#include <rocksdb/db.h>

#include <memory>
#include <utility>

#include "storage/rocks/database.hpp"
#include "storage/state/journal_record.hpp"

namespace ds::storage {

namespace {

std::unique_ptr<rocksdb::Iterator> make_iterator(rocksdb::DB& database) {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  return std::unique_ptr<rocksdb::Iterator>(database.NewIterator(options));
}

Result<JournalRecord> read_record(const rocksdb::Iterator& at, const std::filesystem::path& directory) {
  auto record = decode_record({at.key().data(), at.key().size()}, {at.value().data(), at.value().size()});
  if (record) return record;
  const std::string message =
      fmt::format("the state journal in {} is damaged: {}", directory.string(), record.error().message);
  if (record.error().code == ErrorCode::data_loss) return fail_with_damage(message);
  return fail(record.error().code, message, record.error().hint);
}

/// Takes the next record into the chain, or says which one is missing.
Result<void> follow(VerifiedChain& chain, JournalRecord record, const std::filesystem::path& directory) {
  const bool is_snapshot = record.kind == JournalRecord::Kind::snapshot;
  // A snapshot stands for everything before it, so the chain may begin with it.
  if (!is_snapshot && (record.seq != chain.end.seq + 1 || record.previous != chain.end.hash))
    return fail_with_damage(fmt::format("the state journal in {} lacks records: {} does not follow {}",
                                        directory.string(), record.seq, chain.end.seq));
  chain.end = {record.seq, record.hash};
  if (is_snapshot) {
    chain.recovered = {std::move(record.payload.front()), {}};
    chain.bytes_since_snapshot = 0;
    return {};
  }
  for (std::string& event : record.payload) {
    chain.bytes_since_snapshot += event.size();
    chain.recovered.events.push_back(std::move(event));
  }
  return {};
}

}  // namespace

Result<VerifiedChain> verify_chain(rocksdb::DB& database, const ChainEnd& mark,
                                   const std::filesystem::path& directory) {
  VerifiedChain chain;
  const auto records = make_iterator(database);
  for (records->SeekToFirst(); records->Valid(); records->Next()) {
    auto record = read_record(*records, directory);
    if (!record) return tl::unexpected<Error>(record.error());
    if (record->seq == mark.seq && record->hash != mark.hash)
      return fail_with_damage(
          fmt::format("record {} of the state journal in {} is not the one that was acknowledged", mark.seq,
                      directory.string()));
    auto followed = follow(chain, std::move(*record), directory);
    if (!followed) return tl::unexpected<Error>(followed.error());
  }
  if (!records->status().ok())
    return fail_with_status(records->status(), "cannot read the state journal in", directory);
  if (chain.end.seq < mark.seq)
    return fail_with_damage(
        fmt::format("the state journal in {} lost records: {} were acknowledged (HIGH_WATER), {} are there",
                    directory.string(), mark.seq, chain.end.seq));
  return chain;
}

Result<ChainEnd> read_chain_end(rocksdb::DB& database, const std::filesystem::path& directory) {
  const auto records = make_iterator(database);
  records->SeekToLast();
  if (!records->status().ok())
    return fail_with_status(records->status(), "cannot read the state journal in", directory);
  if (!records->Valid()) return ChainEnd{};
  auto record = read_record(*records, directory);
  if (!record) return tl::unexpected<Error>(record.error());
  return ChainEnd{record->seq, record->hash};
}

}  // namespace ds::storage

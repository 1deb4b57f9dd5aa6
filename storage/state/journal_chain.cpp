#include "storage/state/journal_chain.hpp"

#include <fmt/format.h>
#include <rocksdb/db.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "storage/rocks/database.hpp"
#include "storage/state/journal_record.hpp"
#include "storage/state/snapshot_pieces.hpp"

namespace ds::storage {

namespace {

std::unique_ptr<rocksdb::Iterator> make_iterator(rocksdb::DB& database) {
  rocksdb::ReadOptions options;
  options.verify_checksums = true;
  options.fill_cache = false;
  return std::unique_ptr<rocksdb::Iterator>(database.NewIterator(options));
}

/// Says where it is damaged.
template <class Value>
Result<Value> in_journal(Result<Value> read, const std::filesystem::path& directory) {
  if (read) return read;
  const std::string message =
      fmt::format("the state journal in {} is damaged: {}", directory.string(), read.error().message);
  if (read.error().code == ErrorCode::data_loss) return fail_with_damage(message);
  return fail(read.error().code, message, read.error().hint);
}

std::string_view to_text(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

/// Takes one key after another, in their order, into a chain.
class ChainReader {
 public:
  ChainReader(const ChainEnd& mark, const std::filesystem::path& directory)
      : mark_(mark), directory_(directory) {}

  Result<void> take(std::string_view key, std::string_view value) {
    if (is_piece_key(key)) return take_piece(in_journal(decode_piece(key, value), directory_));
    if (auto whole = require_all_pieces(); !whole) return whole;
    if (may_be_index(value)) return take_index(in_journal(decode_index(key, value), directory_));
    return take_record(in_journal(decode_record(key, value), directory_));
  }

  Result<VerifiedChain> finish() {
    if (auto whole = require_all_pieces(); !whole) return tl::unexpected<Error>(whole.error());
    if (chain_.end.seq < mark_.seq)
      return fail_with_damage(
          fmt::format("the state journal in {} lost records: {} were acknowledged (HIGH_WATER), {} are there",
                      directory_.string(), mark_.seq, chain_.end.seq));
    return std::move(chain_);
  }

 private:
  Result<void> require_marked(const ChainEnd& record) const {
    if (record.seq != mark_.seq || record.hash == mark_.hash) return {};
    return fail_with_damage(
        fmt::format("record {} of the state journal in {} is not the one that was acknowledged", mark_.seq,
                    directory_.string()));
  }

  /// Of the snapshot with which the chain begins.
  Result<void> require_all_pieces() const {
    if (found_ == found_of_index_) return {};
    return fail_with_damage(fmt::format("the snapshot at record {} of the state journal in {} lacks pieces",
                                        found_of_index_.cut.seq, directory_.string()));
  }

  /// It stands for everything before it, so the chain may begin with it.
  Result<void> take_index(Result<SnapshotIndex> index) {
    if (!index) return tl::unexpected<Error>(index.error());
    if (auto marked = require_marked(index->cut); !marked) return marked;
    chain_ = {index->cut, {}, 0, index->cut.seq, {}};
    found_of_index_ = *index;
    found_ = {index->cut, 0, index->cut.hash};
    return {};
  }

  Result<void> take_piece(Result<StoredPiece> piece) {
    if (!piece) return tl::unexpected<Error>(piece.error());
    if (piece->cut != chain_.snapshot_at) {
      chain_.unfinished.insert(piece->cut);
      return {};
    }
    if (piece->number != found_.pieces || piece->previous != found_.last_piece)
      return fail_with_damage(
          fmt::format("piece {} of the snapshot at record {} of the state journal in {} follows no other",
                      piece->number, piece->cut, directory_.string()));
    ++found_.pieces;
    found_.last_piece = piece->hash;
    chain_.recovered.snapshot.push_back(std::move(piece->text));
    return {};
  }

  /// Or says which one is missing.
  Result<void> take_record(Result<JournalRecord> record) {
    if (!record) return tl::unexpected<Error>(record.error());
    if (auto marked = require_marked({record->seq, record->hash}); !marked) return marked;
    const bool is_snapshot = record->kind == JournalRecord::Kind::snapshot;
    if (!is_snapshot && (record->seq != chain_.end.seq + 1 || record->previous != chain_.end.hash))
      return fail_with_damage(fmt::format("the state journal in {} lacks records: {} does not follow {}",
                                          directory_.string(), record->seq, chain_.end.seq));
    chain_.end = {record->seq, record->hash};
    if (is_snapshot) {
      chain_.recovered = {std::move(record->payload), {}};
      chain_.bytes_since_snapshot = 0;
      return {};
    }
    for (std::string& event : record->payload) {
      chain_.bytes_since_snapshot += event.size();
      chain_.recovered.events.push_back(std::move(event));
    }
    return {};
  }

  const ChainEnd mark_;
  const std::filesystem::path directory_;
  VerifiedChain chain_;
  SnapshotIndex found_of_index_, found_;  ///< what it tells of its pieces, and what they are
};

}  // namespace

Result<VerifiedChain> verify_chain(rocksdb::DB& database, const ChainEnd& mark,
                                   const std::filesystem::path& directory) {
  ChainReader reader(mark, directory);
  const auto entries = make_iterator(database);
  for (entries->SeekToFirst(); entries->Valid(); entries->Next()) {
    if (auto taken = reader.take(to_text(entries->key()), to_text(entries->value())); !taken)
      return tl::unexpected<Error>(taken.error());
  }
  if (!entries->status().ok())
    return fail_with_status(entries->status(), "cannot read the state journal in", directory);
  return reader.finish();
}

Result<ChainEnd> read_chain_end(rocksdb::DB& database, const std::filesystem::path& directory) {
  const auto entries = make_iterator(database);
  entries->SeekToLast();
  if (entries->Valid() && is_piece_key(to_text(entries->key()))) {
    const std::uint64_t cut = cut_of_key(to_text(entries->key()));
    // Pieces that were written before the first record stand behind none.
    const std::string record = to_record_key(cut);
    entries->Seek(record);
    if (cut == 0 && entries->Valid() && to_text(entries->key()) != record) return ChainEnd{};
  }
  if (!entries->status().ok())
    return fail_with_status(entries->status(), "cannot read the state journal in", directory);
  if (!entries->Valid()) return ChainEnd{};
  const auto key = to_text(entries->key()), value = to_text(entries->value());
  if (may_be_index(value)) {
    auto index = in_journal(decode_index(key, value), directory);
    if (!index) return tl::unexpected<Error>(index.error());
    return index->cut;
  }
  auto record = in_journal(decode_record(key, value), directory);
  if (!record) return tl::unexpected<Error>(record.error());
  return ChainEnd{record->seq, record->hash};
}

}  // namespace ds::storage

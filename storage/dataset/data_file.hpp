#pragma once

#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/codec/sha256.hpp"
#include "storage/result.hpp"

namespace ds::storage {

/// What tells one state of a file from another without reading all of it.
struct FileIdentity {
  std::uint64_t size = 0;
  std::int64_t modified_ns = 0;
  Sha256 edges{};  ///< of its first and last 4 KiB
  bool operator==(const FileIdentity&) const = default;
};

/// Pieces of files that were read lately, the least lately used thrown away first. Thread-safe.
class PieceCache {
 public:
  static constexpr std::size_t kPieceBytes = std::size_t{256} << 10;
  using Piece = std::shared_ptr<const std::vector<char>>;

  explicit PieceCache(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  Piece find(std::uint64_t file, std::uint64_t number);
  void put(std::uint64_t file, std::uint64_t number, const Piece& piece);

 private:
  struct Key {
    std::uint64_t file, number;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const {
      return (key.file * 0x9E3779B97F4A7C15U) ^ (key.number * 0xBF58476D1CE4E5B9U);
    }
  };
  struct Entry {
    Key key;
    Piece piece;
  };

  const std::size_t most_bytes_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // the latest used first
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> places_;
  std::size_t bytes_ = 0;
};

/// Keeps alive what `DataFile::view` gave out; one a thread, used again and again.
struct FilePin {
  std::uint64_t file = 0;
  std::uint64_t number = 0;
  PieceCache::Piece piece;
  std::string joined;  ///< what lay on a border of two pieces
};

/// A file of samples, open for reading at any place. A file packed with gzip or zstd (told by its first
/// bytes) is unpacked to a file without a name in TMPDIR first, which takes up to `kMaxUnpackedBytes` there.
///
/// Nothing is mapped: a file that shrinks is an error (`conflict`, it names the file), never a signal. Any
/// thread.
class DataFile {
 public:
  static constexpr std::uint64_t kMaxUnpackedBytes = std::uint64_t{64} << 30;

  static Result<std::shared_ptr<const DataFile>> open(const std::filesystem::path& file,
                                                      std::shared_ptr<PieceCache> cache);
  /// `unpacked` is a descriptor of a file that holds a part of `file` (an archive's member), which is named
  /// `name` in errors. Takes the descriptor.
  static Result<std::shared_ptr<const DataFile>> adopt(const std::filesystem::path& file, std::string name,
                                                       int unpacked, std::shared_ptr<PieceCache> cache);
  DataFile(const DataFile&) = delete;
  DataFile& operator=(const DataFile&) = delete;
  ~DataFile();

  const std::filesystem::path& path() const { return path_; }
  const std::string& name() const { return name_; }           ///< for messages
  std::uint64_t size() const { return size_; }                ///< unpacked
  const FileIdentity& identity() const { return identity_; }  ///< of the file itself, packed or not
  bool packed() const { return descriptor_ != watched_; }

  /// Fills `out` from `offset`; whatever lies behind the end is an error.
  Result<void> read(std::uint64_t offset, std::span<char> out) const;
  /// The same bytes without a copy where they lie in one piece; valid until `pin` is used again.
  Result<std::string_view> view(std::uint64_t offset, std::size_t size, FilePin& pin) const;

  /// `conflict` when the file was written to, cut or replaced since it was opened.
  Result<void> check_unchanged() const;
  /// SHA-256 of the file's bytes, packed or not. Reads all of it.
  Result<Sha256> sum() const;

 private:
  DataFile(std::filesystem::path path, std::string name, int watched, std::shared_ptr<PieceCache> cache);
  Result<void> identify();
  tl::unexpected<Error> fail_changed(std::uint64_t now) const;

  std::filesystem::path path_;
  std::string name_;
  int watched_;     // the file itself
  int descriptor_;  // what is read: the same, or what it was unpacked to
  std::uint64_t size_ = 0;
  FileIdentity identity_;
  std::shared_ptr<PieceCache> cache_;
  std::uint64_t number_;  // in the cache
};

}  // namespace ds::storage

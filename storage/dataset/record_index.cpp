#include "storage/dataset/record_index.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "storage/codec/wire.hpp"
#include "storage/dataset/index_folder.hpp"
#include "storage/dataset/record_scanner.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::storage {
namespace {

constexpr std::uint64_t kSegmentBytes = std::uint64_t{4} << 20;
constexpr std::size_t kPartBytes = std::size_t{1} << 20;
constexpr std::string_view kMagic = "DSINDEX1";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct Segment {
  std::uint64_t begin = 0, end = 0;
};

struct Scanned {
  std::vector<RecordStart> starts;
  std::uint32_t lines = 0;
  bool in_quotes = false;
};

Result<Scanned> scan(const DataFile& file, RecordLayout layout, Segment segment, bool in_quotes) {
  RecordScanner scanner(layout, in_quotes);
  std::string part;
  for (std::uint64_t at = segment.begin; at < segment.end;) {
    part.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPartBytes, segment.end - at)));
    auto taken = file.read(at, part);
    if (!taken) return tl::unexpected(taken.error());
    scanner.feed(part, at);
    at += part.size();
  }
  if (segment.end == file.size()) scanner.finish();
  return Scanned{std::move(scanner.starts()), scanner.lines(), scanner.in_quotes()};
}

/// Where the line ends that `from` lies in; the file's end when nothing does.
Result<std::uint64_t> find_line_end(const DataFile& file, std::uint64_t from) {
  std::string part;
  for (std::uint64_t at = from; at < file.size();) {
    part.resize(static_cast<std::size_t>(std::min<std::uint64_t>(std::uint64_t{64} << 10, file.size() - at)));
    auto taken = file.read(at, part);
    if (!taken) return tl::unexpected(taken.error());
    const std::size_t found = part.find('\n');
    if (found != std::string::npos) return at + found + 1;
    at += part.size();
  }
  return file.size();
}

Result<std::uint64_t> first_byte(const DataFile& file) {
  std::string front(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kByteOrderMark.size())), 0);
  auto taken = file.read(0, front);
  if (!taken) return tl::unexpected(taken.error());
  return front == kByteOrderMark ? kByteOrderMark.size() : 0;
}

}  // namespace

/// Lays segments end to end.
class IndexBuilder {
 public:
  IndexBuilder(const DataFile& file, RecordLayout layout) : file_(file), layout_(layout) {}

  Result<RecordIndex> build(std::uint32_t threads) {
    const auto first = first_byte(file_);
    if (!first) return tl::unexpected(first.error());
    index_.end_ = file_.size();
    std::uint64_t next = *first;
    while (next < file_.size()) {
      std::vector<Segment> segments;
      for (std::uint32_t i = 0; i < 4 * threads && next < file_.size(); ++i) {
        const auto end = find_line_end(file_, std::min(next + kSegmentBytes, file_.size()) - 1);
        if (!end) return tl::unexpected(end.error());
        segments.push_back({next, *end});
        next = *end;
      }
      auto added = add_all(segments, threads);
      if (!added) return tl::unexpected(added.error());
    }
    const auto sum = file_.sum();
    if (!sum) return tl::unexpected(sum.error());
    index_.file_sum_ = *sum;
    auto same = file_.check_unchanged();
    if (!same) return tl::unexpected(same.error());
    return std::move(index_);
  }

 private:
  /// Each is scanned as if it began outside of quotes; those that don't, again.
  Result<void> add_all(const std::vector<Segment>& segments, std::uint32_t threads) {
    std::vector<Result<Scanned>> scanned(segments.size());
    std::atomic<std::size_t> taken{0};
    const auto work = [&] {
      for (std::size_t i = taken++; i < segments.size(); i = taken++)
        scanned[i] = scan(file_, layout_, segments[i], false);
    };
    {
      std::vector<std::jthread> others;
      for (std::uint32_t i = 1; i < std::min<std::size_t>(threads, segments.size()); ++i)
        others.emplace_back(work);
      work();
    }
    for (std::size_t i = 0; i < segments.size(); ++i) {
      if (scanned[i] && in_quotes_) scanned[i] = scan(file_, layout_, segments[i], true);
      if (!scanned[i]) return tl::unexpected(scanned[i].error());
      auto added = add(*scanned[i]);
      if (!added) return added;
    }
    return {};
  }

  Result<void> add(const Scanned& scanned) {
    for (const RecordStart& start : scanned.starts) {
      if (index_.starts_.size() % RecordIndex::kGroup == 0)
        index_.groups_.push_back({start.offset, line_ + start.line});
      const std::uint64_t distance = start.offset - index_.groups_.back().offset;
      if (distance > UINT32_MAX)
        return fail(ErrorCode::invalid_argument,
                    fmt::format("{}:{}: a record of more than {} MiB ends here", file_.name(),
                                line_ + start.line, RecordIndex::kMaxRecordBytes >> 20),
                    "Is a quote left open?");
      index_.starts_.push_back(static_cast<std::uint32_t>(distance));
    }
    line_ += scanned.lines;
    in_quotes_ = scanned.in_quotes;
    return {};
  }

  const DataFile& file_;
  RecordLayout layout_;
  RecordIndex index_;
  std::uint64_t line_ = 1;
  bool in_quotes_ = false;
};

RecordIndex::Place RecordIndex::at(std::uint64_t record) const {
  const auto offset_of = [&](std::uint64_t r) { return groups_[r / kGroup].offset + starts_[r]; };
  const std::uint64_t begin = offset_of(record);
  return {begin, (record + 1 < size() ? offset_of(record + 1) : end_) - begin};
}

Result<std::uint64_t> RecordIndex::line_of(const DataFile& file, std::uint64_t record) const {
  const Group& group = groups_[record / kGroup];
  std::uint64_t line = group.line;
  std::string part;
  const std::uint64_t end = at(record).offset;
  for (std::uint64_t at = group.offset; at < end; at += part.size()) {
    part.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kPartBytes, end - at)));
    auto taken = file.read(at, part);
    if (!taken) return tl::unexpected(taken.error());
    line += static_cast<std::uint64_t>(std::count(part.begin(), part.end(), '\n'));
  }
  return line;
}

Result<RecordIndex> RecordIndex::build(const DataFile& file, RecordLayout layout, std::uint32_t threads) {
  return IndexBuilder(file, layout).build(std::max(threads, 1U));
}

std::filesystem::path RecordIndex::kept_at(const DataFile& file, RecordLayout layout,
                                           const std::filesystem::path& directory) {
  const std::filesystem::path absolute = std::filesystem::absolute(file.path()).lexically_normal();
  const char* names[] = {"csv", "tsv", "lines", "jsonl"};
  const std::string ending = fmt::format("{}.ds-index", names[static_cast<int>(layout)]);
  if (directory.empty())
    return absolute.parent_path() / fmt::format(".{}.{}", absolute.filename().string(), ending);
  // Files of one name from different folders share the directory.
  const std::string where = to_hex(sha256(absolute.string())).substr(0, 16);
  return directory / fmt::format("{}.{}.{}", absolute.filename().string(), where, ending);
}

Result<RecordIndex> RecordIndex::open(const DataFile& file, RecordLayout layout, std::uint32_t threads,
                                      const std::filesystem::path& directory) {
  if (file.size() < kKeepFromBytes) return build(file, layout, threads);
  const std::filesystem::path place = kept_at(file, layout, directory);
  const bool has_other = directory.empty() && !index_folder().directory.empty();
  const std::filesystem::path other = has_other ? kept_at(file, layout, index_folder().directory) : "";
  RecordIndex kept;
  if (read_kept(place, file, layout, kept)) return kept;
  if (has_other && read_kept(other, file, layout, kept)) {
    mark_used(other);
    return kept;
  }
  auto index = build(file, layout, threads);
  if (!index) return index;
  // Kept if that is possible: it spares others the work, and several processes may come at once.
  const std::string bytes = index->encode(file, layout);
  auto done = keep_file(place, bytes);
  if (!done && has_other) done = keep_in_index_folder(other, bytes);
  if (!done) tell_index_lost(done.error());
  return index;
}

bool RecordIndex::read_kept(const std::filesystem::path& place, const DataFile& file, RecordLayout layout,
                            RecordIndex& index) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(place, missing);
  if (missing) return false;
  const auto bytes = read_file(place, static_cast<std::size_t>(size));
  return bytes && decode(*bytes, file, layout, index);
}

std::string RecordIndex::encode(const DataFile& file, RecordLayout layout) const {
  ByteWriter out;
  out.raw(kMagic).u8(static_cast<std::uint8_t>(layout)).u64(file.identity().size);
  out.u64(static_cast<std::uint64_t>(file.identity().modified_ns)).raw(to_view(file.identity().edges));
  out.raw(to_view(file_sum_)).u64(end_).u64(starts_.size());
  for (const Group& group : groups_) out.u64(group.offset).u64(group.line);
  for (const std::uint32_t start : starts_) out.u32(start);
  return seal(kMagic, out.take());
}

bool RecordIndex::decode(std::string_view bytes, const DataFile& file, RecordLayout layout,
                         RecordIndex& index) {
  std::string_view body;
  if (!unseal(kMagic, bytes, &body)) return false;
  ByteReader in(body);
  if (in.raw(kMagic.size()) != kMagic || in.u8() != static_cast<std::uint8_t>(layout)) return false;
  FileIdentity identity;
  identity.size = in.u64();
  identity.modified_ns = static_cast<std::int64_t>(in.u64());
  identity.edges = in.sha256();
  if (!in.ok() || identity != file.identity()) return false;
  index.file_sum_ = in.sha256();
  index.end_ = in.u64();
  const std::uint64_t records = in.u64();
  if (!in.ok() || index.end_ != file.size() || records > in.left() / sizeof(std::uint32_t)) return false;
  index.groups_.resize((records + kGroup - 1) / kGroup);
  for (Group& group : index.groups_) {
    group.offset = in.u64();
    group.line = in.u64();
  }
  index.starts_.resize(records);
  for (std::uint32_t& start : index.starts_) start = in.u32();
  return in.at_end();
}

}  // namespace ds::storage

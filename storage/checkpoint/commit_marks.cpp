#include "storage/checkpoint/commit_marks.hpp"

#include <fmt/format.h>

#include <sstream>
#include <system_error>

#include "storage/codec/sha256.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::storage {

namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::string_view kTitle = "ds-checkpoint-mark";
constexpr char kExtension[] = ".mark";
constexpr std::size_t kMaxFileBytes = 16U << 20;

std::string encode(const std::string& job, const CommittedSteps& steps) {
  std::string text = fmt::format("{} {} {}\n", kTitle, kVersion, job);
  for (const auto& [step, commit] : steps) text += fmt::format("{} {}\n", step, commit);
  return text + fmt::format("sha256 {}\n", to_hex(sha256(text)));
}

Result<CommittedSteps> decode(const std::filesystem::path& file, const std::string& content) {
  const auto damaged = [&](const char* how) {
    return fail(
        ErrorCode::data_loss, fmt::format("{} is damaged: {}", file.string(), how),
        "Restore it from a copy, or delete this one file to go on with the versions that the database has.");
  };
  const std::size_t sum_at = content.rfind("sha256 ");
  if (sum_at == std::string::npos) return damaged("it has no checksum");
  const std::string text = content.substr(0, sum_at);
  if (content.substr(sum_at) != fmt::format("sha256 {}\n", to_hex(sha256(text))))
    return damaged("its checksum does not match");
  std::istringstream words(text);
  std::string title;
  std::string job;
  std::uint32_t version = 0;
  words >> title >> version >> job;
  if (title != kTitle || job != file.stem()) return damaged("it belongs to something else");
  if (version > kVersion)
    return fail(ErrorCode::unsupported,
                fmt::format("{} has format {}, this program knows {}", file.string(), version, kVersion),
                "Start the newer version of the program.");
  CommittedSteps steps;
  std::uint64_t step = 0;
  std::uint64_t commit = 0;
  while (words >> step >> commit) steps[step] = commit;
  return steps;
}

}  // namespace

Result<std::map<std::string, CommittedSteps>> CommitMarks::read_all() const {
  std::map<std::string, CommittedSteps> marks;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory_, error);
  if (error == std::errc::no_such_file_or_directory) return marks;
  if (error) return fail_with_errno(error.value(), "cannot list", directory_);
  for (; entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::filesystem::path& file = entry->path();
    // Anything else is what a crash left of a mark that was being replaced.
    if (file.extension() != kExtension) continue;
    auto content = read_file(file, kMaxFileBytes);
    if (!content) return tl::unexpected<Error>(content.error());
    auto steps = decode(file, *content);
    if (!steps) return tl::unexpected<Error>(steps.error());
    marks[file.stem().string()] = std::move(*steps);
  }
  if (error) return fail_with_errno(error.value(), "cannot list", directory_);
  return marks;
}

std::filesystem::path CommitMarks::file_of(const std::string& job) const {
  return directory_ / (job + kExtension);
}

Result<void> CommitMarks::write(const std::string& job, const CommittedSteps& steps) const {
  if (steps.empty()) return remove_file(file_of(job));
  auto made = make_directory(directory_);
  if (!made) return made;
  return replace_file(file_of(job), encode(job, steps));
}

}  // namespace ds::storage

#include "damage.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <memory>
#include <set>

#include "probe.hpp"
#include "storage/result.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace fs = std::filesystem;

std::string Damage::describe() const {
  const char* verbs[] = {"remove", "truncate", "flip"};
  return std::string(verbs[static_cast<int>(kind)]) + " " + file.string() + " at " + std::to_string(position);
}

void Damage::apply_to(const fs::path& directory) const {
  const fs::path target = directory / file;
  if (kind == Kind::remove) {
    fs::remove(target);
  } else if (kind == Kind::truncate) {
    fs::resize_file(target, position);
  } else {
    std::fstream stream(target, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(position));
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(position));
    stream.put(static_cast<char>(byte ^ 1));
    ASSERT_TRUE(stream.good()) << describe();
  }
}

std::vector<Damage> list_damages(const fs::path& directory, std::uint64_t flips) {
  std::vector<Damage> damages;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const fs::path file = entry.path().lexically_relative(directory);
    const std::uint64_t size = entry.file_size();
    damages.push_back({file, Damage::Kind::remove, 0});
    if (size == 0) continue;
    for (const std::uint64_t new_size : std::set<std::uint64_t>{0, size / 2, size - 1})
      damages.push_back({file, Damage::Kind::truncate, new_size});
    std::set<std::uint64_t> places = {0, size - 1};
    for (std::uint64_t i = 1; i < flips; ++i) places.insert(i * size / flips);
    for (const std::uint64_t place : places) damages.push_back({file, Damage::Kind::flip, place});
  }
  return damages;
}

void expect_no_silent_damage(const fs::path& original, const std::string& probe_command,
                             const std::vector<Damage>& damages) {
  const std::string data_loss = "refused " + std::to_string(static_cast<int>(ds::ErrorCode::data_loss)) + " ";
  std::map<std::string, int> verdicts;
  std::unique_ptr<Probe> probe;
  for (const Damage& damage : damages) {
    const TemporaryFolder folder;
    const fs::path copy = folder.path() / "store";
    fs::copy(original, copy, fs::copy_options::recursive);
    damage.apply_to(copy);
    if (!probe) probe = std::make_unique<Probe>(std::vector<std::string>{probe_command});
    probe->send_line(copy.string());
    const std::optional<std::string> verdict = probe->read_line();
    if (!verdict) {
      ADD_FAILURE() << damage.describe() << ": the process died";
      probe.reset();
      continue;
    }
    ++verdicts[verdict->substr(0, verdict->find(' '))];
    if (*verdict == "correct") continue;
    EXPECT_TRUE(verdict->starts_with(data_loss) && verdict->find(copy.string()) != std::string::npos)
        << damage.describe() << ": " << *verdict;
  }
  // Both outcomes must occur, or the damage never reached the store.
  EXPECT_GT(verdicts["correct"], 0);
  EXPECT_GT(verdicts["refused"], 0);
}

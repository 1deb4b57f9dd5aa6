#include "storage/state/data_directory.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "storage/files/whole_file.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace fs = std::filesystem;
using ds::ErrorCode;
using ds::storage::DataDirectory;

namespace {

void write_file(const fs::path& file, const std::string& content) {
  std::ofstream(file) << content;
}

}  // namespace

TEST(DataDirectory, IsMadeWithItsParentsForItsOwnerOnly) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "a" / "b";
  const auto directory = DataDirectory::acquire(path);
  ASSERT_TRUE(directory) << directory.error().message;
  EXPECT_EQ(directory->path(), path);
  struct stat status = {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0700U);
  EXPECT_EQ(ds::storage::read_file(path / "VERSION", 64).value(), "ds-data 1\n");
}

TEST(DataDirectory, IsHeldByOneAtATimeAndNamesItsHolder) {
  const TemporaryFolder folder;
  std::optional<DataDirectory> first;
  {
    auto acquired = DataDirectory::acquire(folder.path());
    ASSERT_TRUE(acquired) << acquired.error().message;
    first.emplace(std::move(*acquired));
  }
  const auto second = DataDirectory::acquire(folder.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_NE(second.error().message.find(std::to_string(::getpid())), std::string::npos)
      << second.error().message;
  first.reset();
  EXPECT_TRUE(DataDirectory::acquire(folder.path()));
}

TEST(DataDirectory, RefusesANewerVersionAndNamesBoth) {
  const TemporaryFolder folder;
  write_file(folder.path() / "VERSION", "ds-data 12\n");
  const auto directory = DataDirectory::acquire(folder.path());
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, ErrorCode::unsupported);
  EXPECT_NE(directory.error().message.find("format 12, this program knows 1"), std::string::npos);
  EXPECT_EQ(ds::storage::read_file(folder.path() / "VERSION", 64).value(), "ds-data 12\n");
}

TEST(DataDirectory, RefusesADamagedVersionAndNamesTheFile) {
  for (const std::string content :
       {"", "ds-data\n", "ds-data x\n", "ds-data 1", "ds-data 0\n", "es-data 1\n", "ds-data 1 \n"}) {
    const TemporaryFolder folder;
    write_file(folder.path() / "VERSION", content);
    const auto directory = DataDirectory::acquire(folder.path());
    ASSERT_FALSE(directory) << content;
    EXPECT_EQ(directory.error().code, ErrorCode::data_loss) << content;
    EXPECT_NE(directory.error().message.find((folder.path() / "VERSION").string()), std::string::npos);
  }
}

TEST(DataDirectory, RefusesAPlaceWhereItCannotWrite) {
  // Below a file no user can make a directory, root included.
  const auto directory = DataDirectory::acquire("/dev/null/data");
  ASSERT_FALSE(directory);
  EXPECT_EQ(directory.error().code, ErrorCode::permission_denied);
  EXPECT_NE(directory.error().message.find("/dev/null/data is not writable"), std::string::npos)
      << directory.error().message;
}

TEST(DataDirectory, RefusesAReadOnlyFileSystem) {
  // /proc takes no new files from anybody.
  const auto directory = DataDirectory::acquire("/proc/self");
  ASSERT_FALSE(directory);
  EXPECT_NE(directory.error().message.find("/proc/self"), std::string::npos);
}

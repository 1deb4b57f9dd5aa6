#include "storage/files/file_digest.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "storage/codec/sha256.hpp"
#include "tests/unit/temporary_folder.hpp"

namespace ds::storage {
namespace {

TEST(FileDigest, IsThatOfTheWholeContent) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "model.pt";
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, (std::size_t{1} << 20) + 7}) {
    const std::string content(size, 'x');
    std::ofstream(file, std::ios::binary) << content;
    EXPECT_EQ(digest_of_file(file, 2 << 20).value(), to_hex(sha256(content))) << size;
  }
}

TEST(FileDigest, IsOfNothingButFilesWithinTheBound) {
  const TemporaryFolder folder;
  const auto file = folder.path() / "model.pt", pipe = folder.path() / "pipe";
  std::ofstream(file) << "four";
  EXPECT_TRUE(digest_of_file(file, 4));
  EXPECT_EQ(digest_of_file(file, 3).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(digest_of_file(folder.path() / "none", 4).error().code, ErrorCode::not_found);
  EXPECT_EQ(digest_of_file(folder.path(), 4).error().code, ErrorCode::invalid_argument);
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(digest_of_file(pipe, 4).error().code, ErrorCode::invalid_argument) << "it would be waited for";
}

}  // namespace
}  // namespace ds::storage

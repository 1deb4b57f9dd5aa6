#include "clients/printable.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

TEST(Printable, LeavesNothingThatSteersATerminal) {
  EXPECT_EQ(printable_line("a\x1b[2Jb\r\n\tc\x7f"), "a?[2Jb?  c?");
  EXPECT_EQ(printable_line("a\xc2\x9b"
                           "2Jb"),
            "a?2Jb");
  EXPECT_EQ(printable_text("a\tb\nc\x1b"), "a\tb\nc?");
  EXPECT_EQ(printable_line("größe …"), "größe …");
}

TEST(Printable, CountsCharactersNotBytes) {
  EXPECT_EQ(display_width("größe"), 5u);
  EXPECT_EQ(cut_to_width("größer", 4), "grö…");
  EXPECT_EQ(cut_to_width("größe", 5), "größe");
  EXPECT_EQ(cut_to_width("abc", 1), "…");
  EXPECT_EQ(cut_to_width("abc", 0), "");
}

TEST(Printable, FindsTheFirstByteThatIsNotUtf8) {
  EXPECT_EQ(find_invalid_utf8("plain, größe, 漢, 😀"), std::nullopt);
  EXPECT_EQ(find_invalid_utf8("ab\xff"), 2u);
  EXPECT_EQ(find_invalid_utf8("ab\xc3"), 2u);            // cut off
  EXPECT_EQ(find_invalid_utf8("\xc0\xaf"), 0u);          // overlong
  EXPECT_EQ(find_invalid_utf8("a\xed\xa0\x80"), 1u);     // surrogate
  EXPECT_EQ(find_invalid_utf8("\xf4\x90\x80\x80"), 0u);  // above U+10FFFF
  EXPECT_EQ(find_invalid_utf8("\xe2\x82y"), 0u);
}

}  // namespace
}  // namespace ds::clients

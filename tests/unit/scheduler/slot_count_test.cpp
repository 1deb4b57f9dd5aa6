// A number of slots: exact in thousandths, and as whole numbers always were where it is one.
#include "scheduler/spec/slot_count.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <random>
#include <sstream>
#include <string>
#include <type_traits>

namespace ds::scheduler {
namespace {

constexpr SlotCount parts(std::uint64_t thousandths) {
  return SlotCount::of_thousandths(thousandths);
}

TEST(SlotCount, IsMadeOfWholeNumbersAndBecomesNoneByItself) {
  const SlotCount two = 2;
  EXPECT_EQ(two, 2U);
  EXPECT_EQ(two.thousandths(), 2000U);
  EXPECT_FALSE((std::is_convertible_v<SlotCount, std::uint64_t>));
  EXPECT_FALSE((std::is_convertible_v<double, SlotCount>)) << "0.3 is no number of thousandths";
  EXPECT_FALSE((std::is_convertible_v<bool, SlotCount>)) << "as in `slots + is_needed`";
  EXPECT_DEBUG_DEATH(static_cast<void>(SlotCount(-1)), "slots >= 0");
}

TEST(SlotCount, AddsUpWithoutDrift) {
  SlotCount sum;
  for (int i = 0; i < 10; ++i) sum += parts(100);
  EXPECT_EQ(sum, 1);
  for (int i = 0; i < 10; ++i) sum -= parts(100);
  EXPECT_EQ(sum, 0);
  EXPECT_EQ(3 * parts(333), parts(999));
  EXPECT_EQ(parts(1500) + 1, parts(2500));
  EXPECT_EQ(2 - parts(1), parts(1999));
  EXPECT_LT(3 * parts(333), 1);
}

TEST(SlotCount, FitsAsOftenAsItIsThereAsAWhole) {
  EXPECT_EQ(parts(500).fits_into(2), 4U);
  EXPECT_EQ(parts(300).fits_into(1), 3U);
  EXPECT_EQ(SlotCount(2).fits_into(parts(1999)), 0U);
  EXPECT_EQ(SlotCount(3).fits_into(8), 2U);
}

TEST(SlotCount, IsPrintedAsAWholeNumberWhereItIsOne) {
  EXPECT_EQ(number_text(0), "0");
  EXPECT_EQ(number_text(12), "12");
  EXPECT_EQ(number_text(parts(500)), "0.5");
  EXPECT_EQ(number_text(parts(1050)), "1.05");
  EXPECT_EQ(number_text(parts(2001)), "2.001");
  EXPECT_EQ(slots_text(1), "1 slot");
  EXPECT_EQ(slots_text(2), "2 slots");
  EXPECT_EQ(slots_text(parts(500)), "0.5 slots");
  std::ostringstream out;
  out << parts(250);
  EXPECT_EQ(out.str(), "0.25");
}

TEST(SlotCount, IsReadFromTheNumberThatItIsAndFromNoOther) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 100'000; ++i) {
    const SlotCount slots = parts(random() % (i % 2 == 0 ? 10'000 : std::uint64_t{4'294'967'295'000}));
    ASSERT_EQ(SlotCount::from_number(slots.number()), slots) << slots;
    ASSERT_EQ(SlotCount::from_number(std::stod(number_text(slots))), slots) << slots;
  }
  EXPECT_EQ(SlotCount::from_number(7), SlotCount(7));
  for (const double wrong : {0.0005, 1.0001, 1024.0004, -0.5, -1.0, 4294967296.0, 1e300}) {
    EXPECT_FALSE(SlotCount::from_number(wrong)) << wrong;
  }
  EXPECT_FALSE(SlotCount::from_number(std::nan("")));
}

}  // namespace
}  // namespace ds::scheduler

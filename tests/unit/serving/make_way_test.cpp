#include "actors/serving/make_way.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace ds::serving {
namespace {

using Ways = std::vector<MakesWay>;

Ticket a_ticket(std::uint64_t id, const std::string& tenant, std::uint64_t bytes = 0) {
  Ticket ticket;
  ticket.id = id;
  ticket.tenant = tenant;
  ticket.bytes = bytes;
  return ticket;
}

TEST(MakeWay, IsNobodysBusinessWhileThereIsRoom) {
  TicketLine line;
  EXPECT_EQ(find_who_makes_way(line, a_ticket(1, "calm", 10), {1, 10}), Ways());
  EXPECT_EQ(find_who_makes_way(line, a_ticket(1, "calm", 11), {1, 10}),
            tl::unexpected(Refusal::too_many_bytes));
  EXPECT_EQ(find_who_makes_way(line, a_ticket(1, "calm"), {0, 10}), tl::unexpected(Refusal::queue_full));
}

TEST(MakeWay, IsUpToTheTenantWithMostAndItsNewest) {
  TicketLine line;
  for (std::uint64_t id = 1; id <= 3; ++id) line.add(a_ticket(id, "flood", 10), 0);
  line.add(a_ticket(4, "calm", 10), 0);
  EXPECT_EQ(find_who_makes_way(line, a_ticket(5, "flood"), {4, 100}), tl::unexpected(Refusal::queue_full));
  EXPECT_EQ(find_who_makes_way(line, a_ticket(5, "calm"), {4, 100}), (Ways{{3, Refusal::queue_full}}));
  EXPECT_EQ(find_who_makes_way(line, a_ticket(5, "new", 10), {9, 40}), (Ways{{3, Refusal::too_many_bytes}}));
  EXPECT_EQ(find_who_makes_way(line, a_ticket(5, "flood", 10), {9, 40}),
            tl::unexpected(Refusal::too_many_bytes));
}

TEST(MakeWay, IsAskedOfManyForOneThatIsLargeAndStillLessThanItsShare) {
  TicketLine line;
  for (std::uint64_t id = 1; id <= 100; ++id) line.add(a_ticket(id, "flood", 1), 0);
  const auto who = find_who_makes_way(line, a_ticket(101, "calm", 40), {1000, 100});
  ASSERT_TRUE(who);
  Ways wanted;
  for (std::uint64_t id = 100; id > 60; --id) wanted.push_back({id, Refusal::too_many_bytes});
  EXPECT_EQ(*who, wanted);
  EXPECT_EQ(find_who_makes_way(line, a_ticket(101, "calm", 51), {1000, 100}),
            tl::unexpected(Refusal::too_many_bytes));
}

TEST(MakeWay, IsAskedOfNobodyWhereItWouldNotBeEnough) {
  TicketLine line;
  for (std::uint64_t id = 1; id <= 5; ++id) line.add(a_ticket(id, "a", 10), 0);
  for (std::uint64_t id = 6; id <= 10; ++id) line.add(a_ticket(id, "c", 10), 0);
  EXPECT_EQ(
      find_who_makes_way(line, a_ticket(11, "b", 30), {1000, 100}),
      (Ways{{5, Refusal::too_many_bytes}, {10, Refusal::too_many_bytes}, {4, Refusal::too_many_bytes}}));
  // One of each could give its place up; then both have less than the newcomer would.
  EXPECT_EQ(find_who_makes_way(line, a_ticket(11, "b", 40), {1000, 100}),
            tl::unexpected(Refusal::too_many_bytes));
}

TEST(MakeWay, IsAskedOfNobodyForWhatNeverFits) {
  TicketLine line;
  line.add(a_ticket(1, "a-was-here", 10), 0);
  line.add(a_ticket(2, "b"), 0);
  line.remove(1);  // nobody in the line has a byte, and the first tenant not even a ticket
  EXPECT_EQ(find_who_makes_way(line, a_ticket(3, "c", 101), {9, 100}),
            tl::unexpected(Refusal::too_many_bytes));
}

/// Who asks for less than an equal share of the places is never refused and never sent away, whatever others
/// do.
TEST(MakeWay, LeavesThoseInPeaceWhoAskForLessThanTheirShare) {
  constexpr std::size_t kDepth = 12, kTenants = 4, kCalm = 2;  // of 12 / 4 = 3 that each may have
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    TicketLine line;
    std::map<std::uint64_t, std::string> waiting;
    std::uint64_t ids = 0;
    const auto calm = [&] {
      const auto all = line.holdings();
      return std::ranges::count(all, "calm", &TicketLine::Holding::tenant) == 0
                 ? 0
                 : std::ranges::find(all, "calm", &TicketLine::Holding::tenant)->tickets;
    };
    for (int i = 0; i < 300; ++i) {
      const auto which = random() % kTenants;
      const std::string tenant = which == 0 ? "calm" : "flood-" + std::to_string(which);
      if (which == 0 && calm() == kCalm) continue;
      const Ticket ticket = a_ticket(++ids, tenant);
      const auto who = find_who_makes_way(line, ticket, {kDepth, 0});
      if (!who) {
        ASSERT_NE(tenant, "calm");
      } else {
        for (const MakesWay& one : *who) {
          ASSERT_NE(waiting.at(one.id), "calm");
          line.remove(one.id);
        }
        line.add(ticket, 0);
        waiting.emplace(ticket.id, tenant);
      }
      ASSERT_LE(line.size(), kDepth);
      if (random() % 8 == 0 && !line.empty()) line.remove_leader(line.first().ticket.id);
    }
  }
}

}  // namespace
}  // namespace ds::serving

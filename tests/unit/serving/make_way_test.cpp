#include "actors/serving/make_way.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace ds::serving {
namespace {

Ticket a_ticket(std::uint64_t id, const std::string& tenant, std::uint64_t bytes = 0) {
  Ticket ticket;
  ticket.id = id;
  ticket.tenant = tenant;
  ticket.bytes = bytes;
  return ticket;
}

TEST(MakeWay, IsNobodysBusinessWhileThereIsRoom) {
  TicketLine line;
  EXPECT_EQ(find_who_makes_way(line, a_ticket(1, "calm", 10), {1, 10}), std::nullopt);
  EXPECT_EQ(find_who_makes_way(line, a_ticket(1, "calm", 11), {1, 10}),
            tl::unexpected(Refusal::too_many_bytes));
  EXPECT_EQ(find_who_makes_way(line, a_ticket(1, "calm"), {0, 10}), tl::unexpected(Refusal::queue_full));
}

TEST(MakeWay, IsUpToTheTenantWithMostAndItsNewest) {
  TicketLine line;
  for (std::uint64_t id = 1; id <= 3; ++id) line.add(a_ticket(id, "flood", 10), 0);
  line.add(a_ticket(4, "calm", 10), 0);
  EXPECT_EQ(find_who_makes_way(line, a_ticket(5, "flood"), {4, 100}), tl::unexpected(Refusal::queue_full));
  EXPECT_EQ(find_who_makes_way(line, a_ticket(5, "calm"), {4, 100}), (MakesWay{3, Refusal::queue_full}));
  EXPECT_EQ(find_who_makes_way(line, a_ticket(5, "new", 10), {9, 40}),
            (MakesWay{3, Refusal::too_many_bytes}));
  EXPECT_EQ(find_who_makes_way(line, a_ticket(5, "flood", 10), {9, 40}),
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
    for (int i = 0; i < 300; ++i) {
      const auto which = random() % kTenants;
      const std::string tenant = which == 0 ? "calm" : "flood-" + std::to_string(which);
      if (which == 0 && line.measure("calm", TicketLine::Measure::tickets) == kCalm) continue;
      const Ticket ticket = a_ticket(++ids, tenant);
      const auto who = find_who_makes_way(line, ticket, {kDepth, 0});
      if (!who) {
        ASSERT_NE(tenant, "calm");
      } else {
        if (*who) {
          ASSERT_NE(waiting.at((*who)->id), "calm");
          line.remove((*who)->id);
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

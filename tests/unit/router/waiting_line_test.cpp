#include "actors/router/waiting_line.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ds::router {
namespace {

JourneyPtr a_journey(const std::string& tenant, const std::string& name, std::uint32_t priority = 0) {
  auto journey = std::make_shared<Journey>();
  journey->ask.tenant = tenant;
  journey->ask.model = name;
  journey->ask.request.priority = priority;
  journey->bytes = 10;
  return journey;
}

std::string names_of(const std::vector<JourneyPtr>& journeys) {
  std::string names;
  for (const auto& journey : journeys) names += journey->ask.model;
  return names;
}

std::string names_of(const std::vector<WaitingLine::Displaced>& displaced) {
  std::string names;
  for (const auto& one : displaced) names += one.journey->ask.model;
  return names;
}

TEST(WaitingLine, LetsTenantsTakeTurnsWhenAReplicaIsThere) {
  WaitingLine line;
  for (const char* name : {"a", "b", "c", "d"})
    EXPECT_FALSE(line.add(a_journey("flood", name), {10, 1000}).refused);
  for (const char* name : {"X", "Y"}) EXPECT_FALSE(line.add(a_journey("calm", name), {10, 1000}).refused);
  EXPECT_FALSE(line.add(a_journey("flood", "!", 1), {10, 1000}).refused);
  EXPECT_EQ(names_of(line.take_all()), "!aXbYcd");
  EXPECT_EQ(line.size(), 0U);
}

TEST(WaitingLine, TakesPlacesFromWhoHasMost) {
  WaitingLine line;
  for (const char* name : {"a", "b", "c"}) line.add(a_journey("flood", name), {3, 1000});
  EXPECT_EQ(line.add(a_journey("flood", "d"), {3, 1000}).refused, serving::Refusal::queue_full);
  const auto calm = line.add(a_journey("calm", "X"), {3, 1000});
  EXPECT_FALSE(calm.refused);
  EXPECT_EQ(names_of(calm.displaced), "c");
  EXPECT_EQ(line.add(a_journey("calm", "Y"), {3, 1000}).refused, serving::Refusal::queue_full)
      << "one of three against two is its share";
  const auto few = line.add(a_journey("new", "!"), {9, 30});
  EXPECT_FALSE(few.refused);
  EXPECT_EQ(names_of(few.displaced), "b") << "the same of bytes";
  EXPECT_EQ(calm.displaced.at(0).why, serving::Refusal::queue_full);
  EXPECT_EQ(few.displaced.at(0).why, serving::Refusal::too_many_bytes);
  EXPECT_EQ(line.size(), 3U);
}

TEST(WaitingLine, ForgetsThoseThatLeaveItsBounds) {
  WaitingLine line;
  const auto first = a_journey("t", "a"), second = a_journey("t", "b");
  line.add(first, {2, 20});
  line.add(second, {2, 20});
  EXPECT_TRUE(line.remove(first));
  EXPECT_FALSE(line.remove(first)) << "it doesn't wait any more";
  EXPECT_FALSE(line.add(a_journey("t", "c"), {2, 20}).refused);
  EXPECT_EQ(names_of(line.take_if([](const Journey& journey) { return journey.ask.model == "b"; })), "b");
  EXPECT_FALSE(line.remove(second));
  EXPECT_EQ(names_of(line.take_all()), "c");
}

}  // namespace
}  // namespace ds::router

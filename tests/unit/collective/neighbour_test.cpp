#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "actors/collective/neighbour_socket.hpp"
#include "actors/collective/shared_segment.hpp"

namespace ds::collective {
namespace {

constexpr std::chrono::milliseconds kPatience{30'000};

TEST(NeighbourListener, TakesWhoShowsTheTokenAndHangsUpOnStrangers) {
  const auto listener = NeighbourListener::open();
  ASSERT_TRUE(listener);
  Token wrong = listener->token();
  wrong[15] ^= 1;
  const auto stranger = NeighbourSocket::connect(listener->name(), wrong, 1);
  ASSERT_TRUE(stranger) << "it learns only later that it is one";
  const auto friendly = NeighbourSocket::connect(listener->name(), listener->token(), 2);
  ASSERT_TRUE(friendly);
  const auto caller = listener->accept(kPatience);
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->number, 2U);
  EXPECT_FALSE(stranger->receive(kPatience)) << "hung up on";
}

TEST(NeighbourListener, IsNotHeldUpByOneThatSaysNothing) {
  const auto listener = NeighbourListener::open();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, listener->name().data(), listener->name().size());
  const fabric::OwnedFd silent(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + listener->name().size());
  ASSERT_EQ(connect(silent.get(), reinterpret_cast<const sockaddr*>(&address), length), 0);
  const auto friendly = NeighbourSocket::connect(listener->name(), listener->token(), 3);
  EXPECT_EQ(listener->accept(kPatience)->number, 3U);
}

TEST(NeighbourListener, GivesUpWhenNobodyCalls) {
  EXPECT_FALSE(NeighbourListener::open()->accept(std::chrono::milliseconds(1)));
}

TEST(NeighbourSocket, CannotConnectToWhoIsNotThere) {
  EXPECT_FALSE(NeighbourSocket::connect("ds-collective-nobody", Token{}, 0));
}

TEST(NeighbourSocket, CarriesSegmentsThatBothSidesThenSee) {
  const auto listener = NeighbourListener::open();
  const auto here = NeighbourSocket::connect(listener->name(), listener->token(), 0);
  const auto there = listener->accept(kPatience);
  const auto segment = SharedSegment::create(10'000, 10'000);
  ASSERT_TRUE(segment);
  ASSERT_TRUE(here->send(*(*segment)->duplicate(), 5, 10'000));
  const auto sent = there->socket.receive(kPatience);
  ASSERT_TRUE(sent);
  EXPECT_EQ(sent->number, 5U);
  const auto opened = SharedSegment::open(sent->memory, sent->bytes);
  ASSERT_TRUE(opened);
  EXPECT_EQ(*opened, *segment) << "one mapping a process";
}

TEST(SharedSegment, BelievesNoPeerThatItsMemoryCannotShrink) {
  const fabric::OwnedFd open_ended(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(open_ended.get(), 8192), 0);
  EXPECT_FALSE(SharedSegment::open(open_ended, 8192));
  ASSERT_EQ(fcntl(open_ended.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
  EXPECT_FALSE(SharedSegment::open(open_ended, 8193)) << "nor that it has the size it says";
  EXPECT_TRUE(SharedSegment::open(open_ended, 8192));
  const fabric::OwnedFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(SharedSegment::open(file, 1));
}

TEST(SharedSegment, CannotBeCutByAnybody) {
  const auto segment = SharedSegment::create(5000, 0);
  const auto memory = (*segment)->duplicate();
  EXPECT_NE(ftruncate(memory->get(), 0), 0);
  EXPECT_NE(ftruncate(memory->get(), 1 << 20), 0);
}

TEST(SharedSegment, FailsWithoutDescriptorsInsteadOfCrashing) {
  EXPECT_FALSE(SharedSegment::open(fabric::OwnedFd(), 1));
}

}  // namespace
}  // namespace ds::collective

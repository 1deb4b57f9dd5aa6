#include "actors/worker/shared_copy.hpp"

#include <gtest/gtest.h>

#include <new>
#include <string>

namespace ds::worker {
namespace {

/// Counts the copies that are made, and that are there.
class Copies {
 public:
  std::optional<train::StateImage> get(SharedCopy::Key key) {
    return shared_.get(key, [this, key] {
      ++made;
      const auto text = std::make_shared<const std::string>("state of step " + std::to_string(key.step));
      newest_ = text;
      const auto bytes = std::as_bytes(std::span(*text));
      return train::StateImage{key.step, "model", {{"parameters", Buffer(text, bytes)}}};
    });
  }
  bool newest_is_there() const { return !newest_.expired(); }

  int made = 0;

 private:
  SharedCopy shared_;
  std::weak_ptr<const std::string> newest_;
};

TEST(SharedCopy, IsOneForAllWhoAskWhileItIsHeld) {
  Copies copies;
  const auto first = copies.get({3, 7}), second = copies.get({3, 7});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(copies.made, 1);
  EXPECT_EQ(second->step, 7U);
  EXPECT_EQ(second->description, "model");
  EXPECT_EQ(second->tensors, first->tensors);
  EXPECT_EQ(second->tensors[0].second.bytes().data(), first->tensors[0].second.bytes().data());
}

TEST(SharedCopy, GoesWhenTheLastWhoHoldsABufferOfItHasBeenServed) {
  Copies copies;
  auto first = copies.get({3, 7}), second = copies.get({3, 7});
  const Buffer on_its_way = second->tensors[0].second;
  first.reset();
  second.reset();
  EXPECT_TRUE(copies.newest_is_there());
  EXPECT_EQ(on_its_way.text(), "state of step 7");
  Copies others;
  others.get({3, 7});
  EXPECT_FALSE(others.newest_is_there()) << "nobody holds it";
  others.get({3, 7});
  EXPECT_EQ(others.made, 2);
}

TEST(SharedCopy, IsNeverThatOfAnotherStepOrGeneration) {
  Copies copies;
  const auto first = copies.get({3, 7}), later = copies.get({3, 8}), again = copies.get({4, 8});
  EXPECT_EQ(copies.made, 3);
  EXPECT_EQ(first->tensors[0].second.text(), "state of step 7");
  EXPECT_EQ(later->tensors[0].second.text(), "state of step 8");
  EXPECT_EQ(again->step, 8U);
}

TEST(SharedCopy, IsNoneWhenThereIsNoMemoryAndIsTriedAgain) {
  SharedCopy shared;
  EXPECT_FALSE(shared.get({1, 1}, []() -> train::StateImage { throw std::bad_alloc(); }));
  EXPECT_TRUE(shared.get({1, 1}, [] { return train::StateImage{}; }));
}

}  // namespace
}  // namespace ds::worker

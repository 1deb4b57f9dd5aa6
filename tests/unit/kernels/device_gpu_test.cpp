#include <gtest/gtest.h>

#include "kernels/device.hpp"
#include "tests/unit/kernels/device_tree_cases.hpp"

namespace ds::kernels {
namespace {

const GiveUp kNever = [] { return false; };

class OnGpu : public ::testing::Test {
 protected:
  void SetUp() override {
    auto device = open_device(0);
    if (!device) GTEST_SKIP() << device.error().message;
    device_ = *std::move(device);
    auto queue = device_->open_queue();
    ASSERT_TRUE(queue) << queue.error().message;
    queue_ = *std::move(queue);
  }

  std::shared_ptr<void> to_gpu(const std::vector<std::byte>& bytes) {
    auto memory = device_->allocate(bytes.size());
    EXPECT_TRUE(memory) << memory.error().message;
    if (!memory || bytes.empty()) return nullptr;
    EXPECT_TRUE(device_->copy(memory->get(), bytes.data(), bytes.size()));
    return *memory;
  }

  std::vector<std::byte> from_gpu(const std::shared_ptr<void>& memory, std::size_t bytes) {
    std::vector<std::byte> copy(bytes);
    if (bytes == 0) return copy;
    EXPECT_TRUE(device_->copy(copy.data(), memory.get(), bytes));
    return copy;
  }

  std::vector<std::byte> reduce_on_gpu(const TreeCase& tree) {
    TreeCaseVectors vectors(tree);
    std::vector<std::shared_ptr<void>> memory;
    std::vector<TreeInput> inputs;
    for (std::size_t i = 0; i < tree.inputs; ++i) {
      memory.push_back(to_gpu(vectors.inputs[i]));
      inputs.push_back({memory.back().get(), tree.accumulated && i == 0, vectors.combines[i]});
    }
    const std::shared_ptr<void> output = to_gpu(vectors.output);
    void* const outputs[] = {output.get()};
    const auto put = queue_->reduce({tree.type, tree.op, inputs, outputs, tree.elements, tree.finish, false});
    EXPECT_TRUE(put) << put.error().message;
    const auto done = queue_->wait(kNever);
    EXPECT_TRUE(done) << done.error().message;
    return from_gpu(output, vectors.output.size());
  }

  std::shared_ptr<Device> device_;
  std::unique_ptr<DeviceQueue> queue_;
};

TEST_F(OnGpu, TheTreeGivesTheBitsOfTheProcessor) {
  for_each_tree_case([&](const TreeCase& tree) {
    ASSERT_EQ(reduce_on_gpu(tree), reduce_on_cpu(tree))
        << name_of(tree.type) << ' ' << name_of(tree.op) << ", " << tree.inputs << " inputs of "
        << tree.elements << (tree.accumulated ? ", the first accumulated" : "");
  });
}

TEST_F(OnGpu, TheTreeGivesTheBitsOfTheProcessorForVectorsLargerThanAGrid) {
  for (const ElementType type : {ElementType::float32, ElementType::bfloat16}) {
    const TreeCase tree{type, ReduceOperator::sum, 5, (std::size_t{1} << 22) + 3, false, true};
    EXPECT_TRUE(reduce_on_gpu(tree) == reduce_on_cpu(tree)) << name_of(type);
  }
}

TEST_F(OnGpu, AMarkIsReachedAndAWaitCanBeGivenUp) {
  const auto mark = device_->mark({});
  ASSERT_TRUE(mark) << mark.error().message;
  EXPECT_TRUE(queue_->wait_for(*mark, kNever));
  EXPECT_TRUE(queue_->wait(kNever));
}

TEST_F(OnGpu, AGroupOfOneConnectsAndBroadcasts) {
  const auto invitation = queue_->make_invitation();
  if (!invitation && invitation.error().kind == DeviceError::Kind::unavailable)
    GTEST_SKIP() << invitation.error().message;
  ASSERT_TRUE(invitation) << invitation.error().message;
  const auto connected = queue_->connect(*invitation, 0, 1, kNever);
  ASSERT_TRUE(connected) << connected.error().message;
  const std::vector<std::byte> bytes(1001, std::byte{7});
  const std::shared_ptr<void> vector = to_gpu(bytes);
  ASSERT_TRUE(queue_->broadcast(vector.get(), bytes.size(), 0, kNever));
  ASSERT_TRUE(queue_->wait(kNever));
  EXPECT_EQ(from_gpu(vector, bytes.size()), bytes);
}

TEST_F(OnGpu, AMemberThatWaitsForOneThatNeverComesCanGiveUp) {
  const auto invitation = queue_->make_invitation();
  if (!invitation && invitation.error().kind == DeviceError::Kind::unavailable)
    GTEST_SKIP() << invitation.error().message;
  ASSERT_TRUE(invitation) << invitation.error().message;
  int asked = 0;
  const auto connected = queue_->connect(*invitation, 0, 2, [&] { return ++asked > 1000; });
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().kind, DeviceError::Kind::cancelled) << connected.error().message;
}

}  // namespace
}  // namespace ds::kernels

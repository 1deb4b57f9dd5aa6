#include "clients/local_cluster.hpp"

#include <gtest/gtest.h>

namespace ds::clients {
namespace {

TEST(LocalCluster, RemembersItsShape) {
  const ClusterShape shape{3, 8};
  EXPECT_EQ(parse_cluster_shape(format_cluster_shape(shape)), shape);
  const ClusterShape with_gpus{3, 8, "NVIDIA H200:4"};
  EXPECT_EQ(parse_cluster_shape(format_cluster_shape(with_gpus)), with_gpus);
  const ClusterShape at_a_port{3, 8, "NVIDIA H200:4", 8080};
  EXPECT_EQ(parse_cluster_shape(format_cluster_shape(at_a_port)), at_a_port);
  EXPECT_EQ(parse_cluster_shape("nodes 3\nslots 8\ngpus x:1\n"), (ClusterShape{3, 8, "x:1", 0}))
      << "as it was before there were ports";
  for (const char* bad : {"", "nodes", "nodes x\nslots 2", "slots 2\nnodes 3", "nodes 2"}) {
    EXPECT_EQ(parse_cluster_shape(bad), std::nullopt) << bad;
  }
}

TEST(LocalCluster, OffersTheGpusOfTheMachineOnOneNodeOnly) {
  const ClusterShape found{3, 8}, stated{2, 8, "H200:4"};
  EXPECT_EQ(gpus_of_node(found, 1), "") << "what the driver finds";
  EXPECT_EQ(gpus_of_node(found, 2), "0");
  EXPECT_EQ(gpus_of_node(found, 3), "0");
  EXPECT_EQ(gpus_of_node(stated, 1), "H200:4");
  EXPECT_EQ(gpus_of_node(stated, 2), "0");
}

TEST(LocalCluster, KeepsTheShapeItHadButForWhatTheUserSays) {
  const ClusterShape before{4, 3, "H200:4"};
  EXPECT_EQ(choose_shape({}, std::nullopt), ClusterShape{});
  EXPECT_EQ(choose_shape({}, before), before);
  EXPECT_EQ(choose_shape({.slots = 8}, before), (ClusterShape{4, 8, "H200:4"}));
  EXPECT_EQ(choose_shape({.nodes = 1, .gpus = "0"}, before), (ClusterShape{1, 3, "0"}));
  EXPECT_EQ(choose_shape({.gpus = "auto"}, before), (ClusterShape{4, 3, ""}));
  EXPECT_EQ(describe_shape(before), "4 nodes of 3 slots, GPUs of node-1: H200:4");
  EXPECT_EQ(describe_shape({1, 1}), "1 node of 1 slot");
  const ClusterShape at_a_port{4, 3, "", 8080};
  EXPECT_EQ(choose_shape({.nodes = 1}, at_a_port), (ClusterShape{1, 3, "", 8080}));
  EXPECT_EQ(choose_shape({.port = 0}, at_a_port), (ClusterShape{4, 3, "", 0}));
}

}  // namespace
}  // namespace ds::clients

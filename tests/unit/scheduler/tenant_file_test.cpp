#include "scheduler/spec/tenant_file.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/spec/queue_index.hpp"

namespace ds::scheduler {
namespace {

constexpr const char* kExample = R"(version: 1
tenants:
  nlp: {guaranteed: 8, borrowing_limit: 4, lending_limit: 6, gpu_limit: 3, weight: 2}
  vision:
    queues:
      prod: {guaranteed: 6}
      dev: {guaranteed: 2}
  guests:
)";

TenantTree parse(std::string_view text) {
  auto parsed = parse_tenant_file(text);
  if (const auto* errors = std::get_if<std::vector<SpecError>>(&parsed)) {
    for (const SpecError& error : *errors) ADD_FAILURE() << format_spec_error(error, "f");
    return {};
  }
  return std::get<TenantTree>(parsed);
}

std::vector<std::string> errors_of(std::string_view text) {
  const auto parsed = parse_tenant_file(text);
  std::vector<std::string> lines;
  if (const auto* errors = std::get_if<std::vector<SpecError>>(&parsed)) {
    for (const SpecError& error : *errors) lines.push_back(format_spec_error(error, "f"));
  }
  return lines;
}

using Errors = std::vector<std::string>;

TEST(TenantFile, ReadsTenantsAndTheirQueues) {
  const TenantTree tree = parse(kExample);
  ASSERT_EQ(tree.queues.size(), 6U);
  const QueueSpec& nlp = tree[tree.find("nlp", "default").value()];
  EXPECT_EQ(nlp.guaranteed, 8U);
  EXPECT_EQ(nlp.most(), 12U);
  EXPECT_EQ(nlp.reserved(), 2U);
  EXPECT_EQ(nlp.gpu_limit, 3U);
  EXPECT_EQ(nlp.weight, 2);
  const std::size_t dev = tree.find("vision", "dev").value();
  EXPECT_EQ(tree.full_name(dev), "vision/dev");
  EXPECT_EQ(tree.tenant_names(), (std::vector<std::string>{"nlp", "vision", "guests"}));
  EXPECT_TRUE(TenantTree{}.tenant_names().empty());
  EXPECT_EQ(tree[dev].most(), std::nullopt);
  EXPECT_EQ(tree[dev].reserved(), 0U);
  EXPECT_EQ(tree[dev].gpu_limit, std::nullopt);
  EXPECT_EQ(tree[tree[dev].parent].guaranteed, 8U) << "what its queues are guaranteed together";
  EXPECT_FALSE(tree[tree[dev].parent].is_leaf);
  EXPECT_EQ(tree[tree.find("guests", "default").value()].guaranteed, 0U);
}

TEST(TenantFile, ReadsGuaranteesOfGpus) {
  EXPECT_FALSE(parse(kExample).guarantees_gpus());
  const TenantTree tree = parse(R"(tenants:
  nlp: {guaranteed: 8, guaranteed_gpus: 2, gpu_limit: 2}
  vision: {guaranteed: 8, queues: {prod: {guaranteed: 4, guaranteed_gpus: 3}, dev: {guaranteed: 2}}}
)");
  EXPECT_TRUE(tree.guarantees_gpus());
  EXPECT_EQ(tree.guaranteed_gpus_together(), 5U);
  EXPECT_EQ(tree[tree.find("nlp", "default").value()].guaranteed_gpus, 2U);
  const std::size_t dev = tree.find("vision", "dev").value();
  EXPECT_EQ(tree[dev].guaranteed_gpus, 0U);
  EXPECT_EQ(tree[tree[dev].parent].guaranteed_gpus, 3U) << "what its queues are guaranteed together";
}

TEST(TenantFile, PointsAtWrongGuaranteesOfGpus) {
  EXPECT_EQ(
      errors_of("tenants: {nlp: {guaranteed_gpus: 2}}\n"),
      Errors{"f:1:34: tenants.nlp.guaranteed_gpus: nobody could have them back without slots, of which 0 "
             "are guaranteed: a worker with GPUs has slots as well\n  such as guaranteed: 2"});
  EXPECT_EQ(errors_of("tenants: {nlp: {guaranteed: 2, guaranteed_gpus: 2, gpu_limit: 1}}\n"),
            Errors{"f:1:63: tenants.nlp.gpu_limit: expected at least 2 (guaranteed_gpus), got 1\n  it counts "
                   "those that are guaranteed, too"});
  EXPECT_EQ(
      errors_of(
          "tenants:\n  nlp:\n    guaranteed: 9\n    guaranteed_gpus: 2\n    queues: {x: {guaranteed: 4, "
          "guaranteed_gpus: 2}, y: {guaranteed: 4, guaranteed_gpus: 1}}\n"),
      Errors{"f:4:22: tenants.nlp.guaranteed_gpus: the queues below are guaranteed 3 GPUs together, which "
             "is more than 2\n  guarantee them less, or this one more"});
  EXPECT_EQ(errors_of("tenants:\n  nlp:\n    gpu_limit: 2\n    queues: {x: {guaranteed: 4, guaranteed_gpus: "
                      "3}}\n")
                .size(),
            1U)
      << "of those of its queues as well";
}

TEST(TenantFile, NamesTheQueueThatAJobIsIn) {
  const TenantTree tree = parse(kExample);
  EXPECT_EQ(tree.find("nlp", "prod"), std::nullopt);
  EXPECT_EQ(tree.find("vision", "default"), std::nullopt) << "jobs are in leaves";
  EXPECT_EQ(tree.find("prod", "default"), std::nullopt) << "no tenant";
  EXPECT_EQ(TenantTree{}.find("anybody", "anything"), TenantTree::kRoot);
  const auto message = [&](const char* tenant, const char* queue) {
    const auto fault = std::get<QueueFault>(resolve_queue(tree, tenant, queue));
    return fault.field + ": " + fault.message + "; " + fault.hint;
  };
  EXPECT_EQ(message("nlpp", "default"),
            "tenant: there is no tenant \"nlpp\"; tenants here: nlp, vision, guests");
  EXPECT_EQ(message("default", "vision/prod"),
            "queue: queue \"vision/prod\" is of tenant \"vision\", and the job names no tenant; write "
            "tenant: vision as "
            "well, or --tenant vision");
  EXPECT_NE(message("default", "vision/none").find("there is no tenant \"default\""), std::string::npos);
  EXPECT_EQ(message("vision", "default"),
            "queue: tenant \"vision\" has several queues; name one; its queues: prod, dev");
  EXPECT_EQ(message("vision", "test"),
            "queue: tenant \"vision\" has no queue \"test\"; its queues: prod, dev");
  EXPECT_EQ(message("nlp", "test"),
            "queue: tenant \"nlp\" has no queue \"test\"; it has no queues of its own; leave queue out");
}

TEST(TenantFile, NamesAQueueByItsPathToo) {
  const auto tree =
      std::get<TenantTree>(parse_tenant_file("tenants: {a: {queues: {x: {queues: {p: {}, q: {}}}}}, b: {}}"));
  const auto p = tree.find("a", "p");
  ASSERT_TRUE(p);
  EXPECT_EQ(tree.full_name(*p), "a/x/p");
  EXPECT_EQ(tree.find("a", "a/x/p"), p);
  EXPECT_EQ(tree.find("a", "x/p"), p);
  for (const char* none : {"a/x", "x", "a/p", "b/x/p", "x/p/", "/x/p", "a/x/r"})
    EXPECT_FALSE(tree.find("a", none)) << none;
  EXPECT_FALSE(tree.find("b", "a/x/p")) << "another's";
}

TEST(QueueIndex, FindsWhatTheTreeDoes) {
  const TenantTree trees[] = {
      TenantTree{}, parse(kExample),
      parse("tenants: {a: {queues: {x: {queues: {p: {}, q: {}}}, r: {}, default: {}}}, b: {}, x: {}}")};
  for (const TenantTree& tree : trees) {
    const QueueIndex index(tree);
    for (const char* tenant : {"a", "b", "x", "nlp", "vision", "guests", "nobody", "default", ""}) {
      for (const char* queue : {"default", "p", "q", "x", "x/p", "a/x/p", "a/x/q", "a/p", "a/r", "r", "/p",
                                "prod", "vision/prod", "nlp/prod", ""}) {
        EXPECT_EQ(index.find(tenant, queue), tree.find(tenant, queue)) << tenant << " " << queue;
      }
    }
    for (std::size_t queue = 1; queue < tree.queues.size(); ++queue) {
      const auto way = index.way(queue);
      ASSERT_EQ(way.size(), tree[queue].depth);
      EXPECT_EQ(way.back(), queue);
      EXPECT_TRUE(std::ranges::all_of(way, [&](std::size_t at) { return tree.is_below(queue, at); }));
      EXPECT_TRUE(std::ranges::is_sorted(way));
    }
  }
}

TEST(TenantFile, IsCalledWhatItIs) {
  const auto fault_of = [](const char* text) {
    const auto parsed = parse_tenant_file(text);
    const auto* errors = std::get_if<std::vector<SpecError>>(&parsed);
    return errors == nullptr ? std::string() : errors->front().message;
  };
  EXPECT_EQ(fault_of(""), "the file is empty: expected a file of tenants");
  EXPECT_EQ(fault_of("tenants: &a {}"), "anchors (&name) are not allowed in a file of tenants");
}

TEST(TenantFile, FindsWhereTwoQueuesMeet) {
  const TenantTree tree = parse(kExample);
  const std::size_t nlp = tree.find("nlp", "default").value(), prod = tree.find("vision", "prod").value(),
                    dev = tree.find("vision", "dev").value(), vision = tree[prod].parent;
  auto meeting = tree.meet(prod, dev);
  EXPECT_EQ(meeting.at, vision);
  EXPECT_EQ(meeting.a_side, prod);
  EXPECT_EQ(meeting.b_side, dev);
  meeting = tree.meet(nlp, dev);
  EXPECT_EQ(meeting.at, TenantTree::kRoot);
  EXPECT_EQ(meeting.a_side, nlp);
  EXPECT_EQ(meeting.b_side, vision);
  EXPECT_EQ(tree.meet(dev, dev).at, dev);
  EXPECT_TRUE(tree.is_below(dev, vision));
  EXPECT_TRUE(tree.is_below(dev, TenantTree::kRoot));
  EXPECT_FALSE(tree.is_below(nlp, vision));
}

TEST(TenantFile, PointsAtWhatIsWrong) {
  EXPECT_EQ(errors_of("version: 1\n"),
            Errors{"f:1:1: tenants: required, but missing\n  such as {nlp: {guaranteed: 8}}"});
  EXPECT_EQ(errors_of("tenants: {nlp: {garanteed: 8}}\n"),
            Errors{"f:1:17: tenants.nlp.garanteed: unknown field\n  did you mean \"guaranteed\"?"});
  EXPECT_EQ(errors_of("tenants: {nlp: {guaranteed: many}}\n"),
            Errors{"f:1:29: tenants.nlp.guaranteed: expected a number, got \"many\""});
  EXPECT_EQ(
      errors_of("tenants: {nlp: {guaranteed: 2, lending_limit: 3}}\n"),
      Errors{"f:1:47: tenants.nlp.lending_limit: expected at most 2 (guaranteed), got 3\n  only guaranteed "
             "slots are lent; leave it out to lend them all"});
  EXPECT_EQ(
      errors_of("tenants: {nlp: {queues: {x: {guaranteed: 2, lending_limit: 1}}}}\n"),
      Errors{"f:1:60: tenants.nlp.queues.x.lending_limit: only a tenant may keep idle slots; its queues lend "
             "each other all of theirs\n  remove it, or give it to the tenant"});
  EXPECT_EQ(errors_of("tenants: {nlp: {weight: 0}}\n"),
            Errors{"f:1:25: tenants.nlp.weight: expected a number above 0 to 1000000, got 0"});
  EXPECT_EQ(errors_of("tenants: {nlp: {}, nlp: {}}\n"),
            Errors{"f:1:20: tenants.nlp: given twice\n  names are unique within a tenant"});
  EXPECT_EQ(errors_of("tenants: {a: {queues: {x: {}}}, b: {queues: {x: {queues: {x: {}}}}}}\n"),
            Errors{"f:1:59: tenants.b.queues.x.queues.x: given twice\n  names are unique within a tenant"});
  EXPECT_EQ(
      errors_of("tenants: {NLP: {}}\n"),
      Errors{"f:1:11: tenants.NLP: expected a name, got \"NLP\"\n  a name has 1 to 63 of a-z, 0-9, '.', "
             "'_', '-'"});
  EXPECT_EQ(
      errors_of("tenants: {nlp: {guaranteed: 3, queues: {a: {guaranteed: 2}, b: {guaranteed: 2}}}}\n"),
      Errors{"f:1:29: tenants.nlp.guaranteed: the queues below are guaranteed 4 slots together, which is "
             "more than 3\n  guarantee them less, or this one more"});
  EXPECT_EQ(errors_of("tenants: {}\n"), Errors{"f:1:10: tenants: expected at least one tenant"});
  EXPECT_EQ(errors_of("[]\n").size(), 1U);
  EXPECT_EQ(errors_of("tenants: {a: 3}\n").size(), 1U);
}

TEST(TenantFile, BoundsTheTree) {
  std::string many = "tenants:\n";
  for (int i = 0; i < 1001; ++i) many += "  t" + std::to_string(i) + ":\n";
  EXPECT_EQ(errors_of(many).size(), 1U);
  std::string deep = "tenants: {a: {}";
  for (int i = 0; i < 9; ++i) {
    deep.pop_back();
    deep += "queues: {a" + std::to_string(i) + ": {}";
  }
  EXPECT_EQ(errors_of(deep + std::string(19, '}') + "\n").size(), 1U);
}

}  // namespace
}  // namespace ds::scheduler

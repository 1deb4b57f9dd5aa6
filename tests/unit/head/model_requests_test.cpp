#include "actors/head/model_requests.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace ds::head {
namespace {

using nlohmann::json;

std::string fault_of(const auto& read) {
  return read ? "none" : read.error().message;
}

TEST(ModelRequests, TakeAVersionAsANumberToo) {
  const auto read = read_promote_request({{"tag", "prod"}, {"to", 2U}});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->to, "2") << "the newest would go into production";
  EXPECT_EQ(read_promote_request({{"tag", "prod"}, {"to", "canary"}})->to, "canary");
  EXPECT_EQ(read_promote_request({{"tag", "prod"}})->to, "");
  EXPECT_EQ(read_rollback_request({{"tag", "prod"}, {"from", 3U}})->from, "3");
}

TEST(ModelRequests, RemoveAVersionByItsNumberOnly) {
  EXPECT_EQ(read_remove_request(json::object())->version, 0U) << "the model";
  EXPECT_EQ(read_remove_request({{"version", 3U}})->version, 3U);
  EXPECT_EQ(read_remove_request({{"version", "3"}})->version, 3U);
  for (const char* const text : {"prod", "0", "3x", "-1", "99999999999999999999"})
    EXPECT_NE(fault_of(read_remove_request({{"version", text}})).find("version is no number of a version"),
              std::string::npos)
        << text;
  EXPECT_EQ(fault_of(read_remove_request({{"versions", 3U}})),
            "the body has a field that is not known: \"versions\"")
      << "the model would be gone";
}

TEST(ModelRequests, GoBackOnceWhenTheyComeTwice) {
  EXPECT_TRUE(check_from({"prod", "3"}, "intents", 3));
  EXPECT_TRUE(check_from({"prod", ""}, "intents", 3)) << "who asks doesn't say";
  const auto again = check_from({"prod", "3"}, "intents", 2);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
  EXPECT_EQ(again.error().message, "tag prod of model intents points at version 2, not at \"3\"");
}

TEST(ModelRequests, RefuseWhatTheyDoNotUnderstandInsteadOfLeavingItOut) {
  EXPECT_EQ(fault_of(read_promote_request({{"tag", "prod"}, {"to", -2}})),
            "to is no string and no number of a version");
  EXPECT_EQ(fault_of(read_promote_request({{"tag", "prod"}, {"to", 2.0}})),
            "to is no string and no number of a version");
  EXPECT_EQ(fault_of(read_promote_request({{"tag", "prod"}, {"to", nullptr}})),
            "to is no string and no number of a version");
  EXPECT_EQ(fault_of(read_promote_request({{"tag", "prod"}, {"to", ""}})), "to is empty");
  EXPECT_EQ(fault_of(read_promote_request({{"tag", "prod"}, {"version", "2"}})),
            "the body has a field that is not known: \"version\"");
  EXPECT_EQ(fault_of(read_version_request({{"from", "file:/a.pt"}, {"tag", 5}})), "tag is no string");
  EXPECT_EQ(fault_of(read_version_request({{"from", "file:/a.pt"}, {"tags", "a"}})),
            "the body has a field that is not known: \"tags\"");
  EXPECT_EQ(fault_of(read_rollback_request({{"tag", true}})), "tag is no string");
  EXPECT_EQ(fault_of(read_rollback_request(json::array())), "the body is no object");
}

}  // namespace
}  // namespace ds::head

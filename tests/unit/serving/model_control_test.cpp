#include "actors/serving/model_control.hpp"

#include <gtest/gtest.h>

namespace ds::serving {
namespace {

ErrorCode code_of(const Result<void>& outcome) {
  EXPECT_FALSE(outcome);
  return outcome ? ErrorCode::internal : outcome.error().code;
}

TEST(ModelControl, TakesWhatClientsSendThatAskForNothingSpecial) {
  for (const auto what : {ModelControl::load, ModelControl::unload}) {
    for (const char* body : {"", "{}", R"({"parameters":{}})", R"({"other":[1,{"config":2}]})"})
      EXPECT_TRUE(check_control_body(body, what)) << body;
  }
  EXPECT_TRUE(check_control_body(R"({"parameters":{"unload_dependents":true}})", ModelControl::unload));
}

TEST(ModelControl, RefusesToLoadOtherwiseThanTheJobSays) {
  for (const char* body :
       {R"({"parameters":{"config":"{}"}})", R"({"parameters":{"file:1/model.pt":"AAAA","a":1}})"})
    EXPECT_EQ(code_of(check_control_body(body, ModelControl::load)), ErrorCode::unsupported) << body;
  EXPECT_NE(check_control_body(R"({"parameters":{"config":"{}"}})", ModelControl::load)
                .error()
                .message.find("config"),
            std::string::npos);
}

TEST(ModelControl, RefusesWhatIsNoJsonObject) {
  for (const char* body :
       {"[]", "{", "{} {}", "null", R"({"parameters":7})", R"({"parameters":{},"parameters":{}})"}) {
    for (const auto what : {ModelControl::load, ModelControl::unload})
      EXPECT_EQ(code_of(check_control_body(body, what)), ErrorCode::invalid_argument) << body;
  }
}

}  // namespace
}  // namespace ds::serving

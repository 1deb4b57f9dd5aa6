#include <cmath>
#include <limits>

#include "tests/unit/serving/requests.hpp"

namespace ds::serving {
namespace {

using Doubles = std::vector<double>;

TEST(TensorData, IsNestedOrFlatOrOneValue) {
  const std::vector<std::int32_t> wanted{1, 2, 3, 4};
  EXPECT_EQ(read<std::int32_t>("INT32", "[2,2]", "[1,2,3,4]"), wanted);
  EXPECT_EQ(read<std::int32_t>("INT32", "[2,2]", "[[1,2],[3,4]]"), wanted);
  EXPECT_EQ(read<std::int32_t>("INT32", "[2,1,2]", "[[[1,2]], [[3,4]]]"), wanted);
  EXPECT_EQ(read<std::int32_t>("INT32", "[1]", "7"), std::vector<std::int32_t>{7});
  EXPECT_EQ(read<std::int32_t>("INT32", "[]", "7"), std::vector<std::int32_t>{7});
  EXPECT_EQ(read<std::int32_t>("INT32", "[2,0]", "[[],[]]"), std::vector<std::int32_t>{});
}

TEST(TensorData, HasAsManyValuesAsTheShape) {
  EXPECT_NE(error_of(one_input("INT32", "[3]", "[1,2]")).find("data of 'X' has 2 values, its shape 3"),
            std::string::npos);
  EXPECT_NE(error_of(one_input("INT32", "[2]", "[1,2,3]"))
                .find("data of 'X' has more than the 2 values of its shape"),
            std::string::npos);
  EXPECT_NE(error_of(one_input("INT32", "[0]", "5")).find("more than the 0 values"), std::string::npos);
  EXPECT_NE(error_of(one_input("BYTES", "[2]", R"(["a"])")).find("has 1 values, its shape 2"),
            std::string::npos);
  EXPECT_NE(error_of(one_input("BYTES", "[1]", R"(["a",["b"]])")).find("more than the 1 values"),
            std::string::npos);
}

TEST(TensorData, CostsNoMemoryForAShapeThatLies) {
  for (const char* shape : {"[9223372036854775807]", "[1000000,1000000,1000]", "[4611686018427387904]"}) {
    for (const char* type : {"FP64", "UINT8", "BYTES"})
      EXPECT_NE(error_of(one_input(type, shape, "[1]")).find("fewer than the"), std::string::npos) << shape;
  }
  EXPECT_NE(error_of(one_input("FP32", "[4294967296,4294967296]", "[1]")).find("more than 2^63 - 1 elements"),
            std::string::npos);
}

TEST(TensorData, OfIntegersIsWholeAndInRange) {
  EXPECT_EQ(read<std::uint8_t>("UINT8", "[3]", "[0,255,-0]"), (std::vector<std::uint8_t>{0, 255, 0}));
  EXPECT_EQ(read<std::int8_t>("INT8", "[3]", "[-128,127,-0]"), (std::vector<std::int8_t>{-128, 127, 0}));
  EXPECT_EQ(read<std::uint64_t>("UINT64", "[1]", "[18446744073709551615]"),
            std::vector<std::uint64_t>{std::numeric_limits<std::uint64_t>::max()});
  EXPECT_EQ(read<std::int64_t>("INT64", "[2]", "[-9223372036854775808,9223372036854775807]"),
            (std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min(),
                                       std::numeric_limits<std::int64_t>::max()}));
  const auto refuses = [](const char* type, const char* value, const char* why) {
    const std::string error = error_of(one_input(type, "[1]", std::string("[") + value + "]"));
    EXPECT_NE(error.find(std::string("value ") + value + " of 'X' " + why + " for " + type),
              std::string::npos)
        << error;
  };
  refuses("UINT8", "256", "is out of range");
  refuses("UINT8", "-1", "is out of range");
  refuses("INT8", "-129", "is out of range");
  refuses("INT16", "32768", "is out of range");
  refuses("UINT64", "18446744073709551616", "is out of range");
  refuses("INT64", "9223372036854775808", "is out of range");
  refuses("INT64", "-9223372036854775809", "is out of range");
  refuses("INT32", "1.0", "is no whole number");
  refuses("INT32", "1.5", "is no whole number");
  refuses("INT32", "1e3", "is no whole number");
  refuses("INT32", "1e400", "is no whole number");
  refuses("INT32", "NaN", "is no whole number");
  refuses("UINT32", "-Infinity", "is no whole number");
}

TEST(TensorData, OfFloatsTakesAnyNumberThatDoesNotOverflow) {
  EXPECT_EQ(read<double>("FP64", "[4]", "[1,2.5,1e3,123456789012345678901234567890]"),
            (Doubles{1, 2.5, 1000, 123456789012345678901234567890.0}));
  EXPECT_EQ(read<float>("FP32", "[2]", "[16777217,0.1]"), (std::vector<float>{16777216.0F, 0.1F}));
  EXPECT_EQ(read<double>("FP64", "[3]", "[5e-324,2.2250738585072014e-308,1.7976931348623157e308]"),
            (Doubles{5e-324, 2.2250738585072014e-308, 1.7976931348623157e308}));
  EXPECT_EQ(read<float>("FP32", "[2]", "[1e-45,3.4028234e38]"), (std::vector<float>{1e-45F, 3.4028234e38F}));
  const std::string zeros(400, '0');
  for (const char* type : {"FP32", "FP64"}) {
    for (const std::string& value :
         {std::string("1e400"), std::string("-1e400"), std::string("1e99999999999999999999"), "1" + zeros,
          std::string("0.001e1000000000000000000")}) {
      EXPECT_NE(error_of(one_input(type, "[1]", "[" + value + "]")).find("is out of range"),
                std::string::npos)
          << value;
    }
  }
  EXPECT_NE(error_of(one_input("FP32", "[1]", "[1e39]")).find("value 1e39 of 'X' is out of range for FP32"),
            std::string::npos);
}

TEST(TensorData, OfFloatsKeepsSignsAndRoundsTinyNumbersToZero) {
  const std::string zeros(400, '0');
  const std::string data = "[-0,-0.0,-1e-400,1e-99999999999999999999,0." + zeros + "1,-0e999999999]";
  for (const double value : read<double>("FP64", "[6]", data)) EXPECT_EQ(value, 0);
  const auto values = read<double>("FP64", "[6]", data);
  EXPECT_TRUE(std::signbit(values[0]) && std::signbit(values[1]) && std::signbit(values[2]));
  EXPECT_FALSE(std::signbit(values[3]) || std::signbit(values[4]));
  EXPECT_TRUE(std::signbit(values[5]));
  EXPECT_TRUE(std::signbit(read<float>("FP32", "[1]", "[-0]")[0]));
  EXPECT_EQ(read<float>("FP32", "[1]", "[1e-60]"), std::vector<float>{0.0F});
}

TEST(TensorData, OfFloatsTakesWhatClientsWriteForNanAndInfinity) {
  const auto values = read<float>("FP32", "[3]", "[NaN,Infinity,-Infinity]");
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(values[1], std::numeric_limits<float>::infinity());
  EXPECT_EQ(values[2], -std::numeric_limits<float>::infinity());
}

TEST(TensorData, OfBoolsIsTrueOrFalse) {
  EXPECT_EQ(read<std::uint8_t>("BOOL", "[2]", "[true,false]"), (std::vector<std::uint8_t>{1, 0}));
  EXPECT_NE(error_of(one_input("BOOL", "[1]", "[1]")).find("expected true or false"), std::string::npos);
  EXPECT_NE(error_of(one_input("INT8", "[1]", "[true]")).find("expected a number"), std::string::npos);
}

TEST(TensorData, OfBytesIsStrings) {
  const auto parsed = parse(one_input("BYTES", "[2,1]", R"([["a\u0000b"],["é"]])"));
  ASSERT_TRUE(parsed) << parsed.error().message;
  EXPECT_EQ(parsed->inputs[0].bytes.text(), byte_elements({std::string("a\0b", 3), "é"}));
  EXPECT_NE(error_of(one_input("BYTES", "[1]", "[1]")).find("expected a string"), std::string::npos);
}

TEST(TensorData, OfHalfPrecisionIsOnlyBinary) {
  for (const char* type : {"FP16", "BF16"})
    EXPECT_NE(error_of(one_input(type, "[1]", "[1]")).find("goes only as binary data"), std::string::npos);
}

TEST(TensorData, HasNoObjectsNullsOrStringsAmongNumbers) {
  for (const char* data : {"[null]", "[{}]", "[\"1\"]", "null", "{}", "[1,]", "[,1]", "[1 1]", "[1", "[]]"})
    EXPECT_NE(error_of(one_input("FP32", "[1]", data)), "") << data;
}

}  // namespace
}  // namespace ds::serving

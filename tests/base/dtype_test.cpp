#include "base/dtype.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace tenon {
namespace {

std::vector<DType> all() {
  std::vector<DType> result;
  for (int i = 1; i < kDTypeCount; ++i) result.push_back(static_cast<DType>(i));
  return result;
}

TEST(DType, ValuesAreThoseOfTensorProto) {
  EXPECT_EQ(static_cast<int>(DType::kFloat32), 1);
  EXPECT_EQ(static_cast<int>(DType::kInt64), 7);
  EXPECT_EQ(static_cast<int>(DType::kString), 8);
  EXPECT_EQ(static_cast<int>(DType::kFloat64), 11);
  EXPECT_EQ(static_cast<int>(DType::kBFloat16), 16);
  EXPECT_EQ(static_cast<int>(DType::kFloat8E5M2FNUZ), 20);
  EXPECT_EQ(static_cast<int>(DType::kFloat4E2M1), 23);
  EXPECT_EQ(static_cast<int>(DType::kInt2), 26);
}

TEST(DType, SizeIsThatOfTheCppType) {
#define TENON_X(name, type) EXPECT_EQ(size_of(DType::name), sizeof(type)) << #name;
  TENON_DTYPES(TENON_X)
#undef TENON_X
  EXPECT_EQ(size_of(DType::kComplex64), 8u);
  EXPECT_EQ(size_of(DType::kComplex128), 16u);
  EXPECT_EQ(size_of(DType::kUndefined), 0u);
}

TEST(DType, FileBitsDifferFromMemoryOnlyForPackedTypesAndStrings) {
  for (DType d : all()) {
    switch (d) {
      case DType::kUint4:
      case DType::kInt4:
      case DType::kFloat4E2M1: EXPECT_EQ(file_bits(d), 4); break;
      case DType::kUint2:
      case DType::kInt2: EXPECT_EQ(file_bits(d), 2); break;
      case DType::kString: EXPECT_EQ(file_bits(d), 0); break;
      default: EXPECT_EQ(file_bits(d), static_cast<int>(8 * size_of(d))) << name_of(d);
    }
  }
}

TEST(DType, NamesAreDistinctAndNumpys) {
  std::set<std::string> names;
  for (DType d : all()) names.insert(std::string(name_of(d)));
  EXPECT_EQ(names.size(), all().size());
  EXPECT_EQ(name_of(DType::kFloat32), "float32");
  EXPECT_EQ(name_of(DType::kFloat8E4M3FNUZ), "float8_e4m3fnuz");
  EXPECT_EQ(name_of(DType::kFloat8E8M0), "float8_e8m0fnu");
  EXPECT_EQ(name_of(DType::kFloat4E2M1), "float4_e2m1fn");
  EXPECT_EQ(name_of(DType::kUint2), "uint2");
}

TEST(DType, OnlyKnownNumbersAreValid) {
  EXPECT_FALSE(is_valid(0));
  EXPECT_FALSE(is_valid(-1));
  EXPECT_FALSE(is_valid(27));
  EXPECT_FALSE(is_valid(999));
  for (DType d : all()) EXPECT_TRUE(is_valid(static_cast<int>(d)));
}

TEST(DType, EachTypeIsInExactlyOneClass) {
  for (DType d : all()) {
    const int classes = is_any_float(d) + is_integer(d) + is_small_integer(d) + is_complex(d);
    EXPECT_EQ(classes, d == DType::kBool || d == DType::kString ? 0 : 1) << name_of(d);
    EXPECT_LE(is_float(d), is_any_float(d));
    EXPECT_LE(is_signed_integer(d), is_integer(d));
    EXPECT_EQ(is_numeric(d), is_float(d) || is_integer(d));
  }
  EXPECT_TRUE(is_float(DType::kBFloat16));
  EXPECT_FALSE(is_float(DType::kFloat8E5M2));
  EXPECT_TRUE(is_signed_integer(DType::kInt8));
  EXPECT_FALSE(is_signed_integer(DType::kUint8));
  EXPECT_FALSE(is_integer(DType::kInt4));
}

TEST(DType, DispatchCallsTheMatchingTypeOnly) {
  size_t size = 0;
  EXPECT_TRUE((dispatch<float, double, int8_t>(DType::kFloat64, [&](auto t) { size = sizeof(t); })));
  EXPECT_EQ(size, 8u);
  EXPECT_FALSE((dispatch<float, double>(DType::kInt8, [&](auto) { size = 99; })));
  EXPECT_EQ(size, 8u);
}

}  // namespace
}  // namespace tenon

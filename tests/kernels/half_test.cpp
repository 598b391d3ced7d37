#include "kernels/elementwise/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "support/targets.h"

namespace tenon::kernels {
namespace {

template <class T>
void check(DType dtype) {
  // Every 16-bit pattern, in an odd length so that the tail is met too.
  std::vector<T> half(65535);
  for (size_t i = 0; i < half.size(); ++i) half[i].bits = static_cast<uint16_t>(i);
  std::vector<float> wide(half.size());
  std::mt19937 random(5);
  std::vector<float> any(100003);
  for (float& v : any) {
    const auto bits = static_cast<uint32_t>(random());
    std::memcpy(&v, &bits, 4);
  }
  std::vector<T> narrow(any.size());
  test::for_each_target([&] {
    widen_half(dtype)(half.data(), wide.data(), static_cast<int64_t>(half.size()));
    for (size_t i = 0; i < half.size(); ++i) {
      const auto expected = static_cast<float>(half[i]);
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(wide[i])) << i;
      } else {
        EXPECT_EQ(wide[i], expected) << i;
      }
    }
    narrow_half(dtype)(any.data(), narrow.data(), static_cast<int64_t>(any.size()));
    for (size_t i = 0; i < any.size(); ++i) {
      const T expected(any[i]);
      if (std::isnan(any[i])) {
        EXPECT_TRUE(std::isnan(static_cast<float>(narrow[i]))) << any[i];
      } else {
        EXPECT_EQ(narrow[i].bits, expected.bits) << any[i];
      }
    }
  });
}

TEST(Half, Float16) { check<Float16>(DType::kFloat16); }
TEST(Half, BFloat16) { check<BFloat16>(DType::kBFloat16); }

}  // namespace
}  // namespace tenon::kernels

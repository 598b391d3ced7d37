#include "ops/dequantize_bits.h"

#include <gtest/gtest.h>

#include "support/evaluate.h"

namespace tenon {
namespace {

using ops::DequantizeBits;
using test::expect_failure;
using test::failure;
using test::run1;
using test::values;

std::vector<uint8_t> counting(int64_t count) {
  std::vector<uint8_t> v(static_cast<size_t>(count));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<uint8_t>(i * 37 + 11);
  return v;
}

TEST(DequantizeBits, EveryWidthWithEveryKindOfZeroPoint) {
  for (const int64_t bits : {2, 4, 8}) {
    const int64_t n = 3, k = 40, blocks = 3, each = 16 * bits / 8, mask = (1 << bits) - 1;
    const auto codes = counting(n * blocks * each), packed = counting(n * ((blocks * bits + 7) / 8));
    std::vector<float> scales, zeros;
    for (int i = 0; i < n * blocks; ++i) scales.push_back(0.5f + static_cast<float>(i) / 8), zeros.push_back(static_cast<float>(i) / 4);
    const DequantizeBits op{.n = n, .k = k, .bits = bits, .block_size = 16};
    const Tensor b = Tensor::of<uint8_t>({n, blocks, each}, codes), s = Tensor::of<float>({n, blocks}, scales);
    const auto middle = values<float>(run1(op, {b, s}));
    const auto floats = values<float>(run1(op, {b, Tensor::of<float>({n * blocks}, scales), Tensor::of<float>({n, blocks}, zeros)}));
    const auto bytes = values<float>(run1(op, {b, s, Tensor::of<uint8_t>({n, (blocks * bits + 7) / 8}, packed)}));
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < k; ++j) {
        const auto at = static_cast<size_t>(i * k + j), block = static_cast<size_t>(i * blocks + j / 16);
        const auto code = static_cast<float>(codes[static_cast<size_t>(i * blocks * each + j * bits / 8)] >> (j * bits % 8) & mask);
        const int64_t zero_at = i * ((blocks * bits + 7) / 8) + j / 16 * bits / 8;
        const auto zero = static_cast<float>(packed[static_cast<size_t>(zero_at)] >> (j / 16 * bits % 8) & mask);
        ASSERT_EQ(middle[at], (code - static_cast<float>((mask + 1) / 2)) * scales[block]);
        ASSERT_EQ(floats[at], (code - zeros[block]) * scales[block]);
        ASSERT_EQ(bytes[at], (code - zero) * scales[block]);
      }
    }
  }
}

TEST(DequantizeBits, GroupsNameTheScales) {
  const DequantizeBits op{.n = 1, .k = 32, .bits = 8, .block_size = 16};
  std::vector<uint8_t> codes(32, 129);
  std::vector<int32_t> groups(32);
  for (size_t i = 0; i < groups.size(); ++i) groups[i] = static_cast<int32_t>(i % 2);
  const Tensor b = Tensor::of<uint8_t>({1, 2, 16}, codes), s = Tensor::of<float>({1, 2}, {1, 5});
  const auto y = values<float>(run1(op, {b, s, Tensor(), Tensor::of<int32_t>({32}, groups)}));
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], i % 2 == 0 ? 1 : 5);
  groups[7] = 2;
  expect_failure(failure(op, {b, s, Tensor(), Tensor::of<int32_t>({32}, groups)}), Code::kRun, {"2", "input 3"});
}

TEST(DequantizeBits, RefusesWhatDoesNotFit) {
  const DequantizeBits op{.n = 4, .k = 40, .bits = 4, .block_size = 32};
  const Tensor b = Tensor::of<uint8_t>({4, 2, 16}, counting(128)), s = Tensor::of<float>({4, 2}, std::vector<float>(8, 1));
  const auto with = [&](auto change) {
    DequantizeBits other = op;
    change(other);
    return failure(other, {b, s});
  };
  EXPECT_TRUE(failure(op, {b, s}).ok());
  expect_failure(with([](auto& o) { o.bits = 3; }), Code::kShape, {"bits", "3"});
  expect_failure(with([](auto& o) { o.block_size = 24; }), Code::kShape, {"block_size", "24"});
  expect_failure(with([](auto& o) { o.block_size = 8; }), Code::kShape, {"block_size", "8"});
  expect_failure(with([](auto& o) { o.k = 0; }), Code::kShape, {"'K'", "0"});
  expect_failure(with([](auto& o) { o.n = -1; }), Code::kShape, {"'N'", "-1"});
  expect_failure(with([](auto& o) { o.k = INT64_MAX; }), Code::kShape, {"input 0", "[4, 2, 16]"});
  expect_failure(with([](auto& o) { o.n = INT64_MAX; }), Code::kShape, {"input 0"});
  expect_failure(with([](auto& o) { o.block_size = int64_t{1} << 62; }), Code::kShape, {"block_size"});
  expect_failure(failure(op, {b, Tensor::of<float>({4, 3}, std::vector<float>(12, 1))}), Code::kShape, {"scales", "[4, 3]", "[4, 2]"});
  expect_failure(failure(op, {b, s, Tensor::of<uint8_t>({4, 2}, counting(8))}), Code::kShape, {"zero points", "[4, 2]", "[4, 1]"});
  expect_failure(failure(op, {b, s, Tensor::of<float>({4, 1}, {1, 1, 1, 1})}), Code::kShape, {"zero points", "[4, 1]", "[4, 2]"});
  expect_failure(failure(op, {b, s, Tensor(), Tensor::of<int32_t>({2}, {0, 0})}), Code::kShape, {"groups", "[2]", "40"});
  expect_failure(failure(op, {s, s}), Code::kShape, {"input 0", "float32"});
}

}  // namespace
}  // namespace tenon

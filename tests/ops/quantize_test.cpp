#include "ops/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "support/evaluate.h"
#include "support/targets.h"

namespace tenon {
namespace {

using ops::DequantizeLinear;
using ops::QuantizeLinear;
using test::expect_failure;
using test::failure;
using test::run1;
using test::values;

const float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

template <class T>
std::vector<T> random_integers(int64_t count, uint32_t seed) {
  std::mt19937 gen(seed);
  std::vector<T> v(static_cast<size_t>(count));
  for (T& x : v) x = static_cast<T>(gen());
  return v;
}

std::vector<float> random_floats(int64_t count, float low, float high, uint32_t seed) {
  std::mt19937 gen(seed);
  std::uniform_real_distribution<float> dist(low, high);
  std::vector<float> v(static_cast<size_t>(count));
  for (float& x : v) x = dist(gen);
  return v;
}

/// Which scale element (o, a, i) of [outer, axis, inner] has.
struct Granularity {
  int64_t outer, axis, inner, block;
  bool blocked;
  Dims scale_dims;
  int64_t attribute;  // the axis, as the operator is told
  size_t scale(int64_t o, int64_t a, int64_t i) const {
    if (scale_dims.empty()) return 0;
    if (!blocked) return static_cast<size_t>(a);
    return static_cast<size_t>((o * scale_dims[1] + a / block) * inner + i);
  }
};

template <class T>
void check_both(const Granularity& g) {
  const int64_t count = g.outer * g.axis * g.inner;
  int64_t scales = 1;
  for (const int64_t d : g.scale_dims) scales *= d;
  const Dims dims{g.outer, g.axis, g.inner};
  const auto x = random_floats(count, -40, 40, 1), scale = random_floats(scales, 0.05f, 0.4f, 2);
  const auto zero = random_integers<T>(scales, 3), codes = random_integers<T>(count, 4);
  const Tensor s = Tensor::of(g.scale_dims, scale), z = Tensor::of(g.scale_dims, zero);
  const int64_t block = g.blocked ? g.block : 0;
  const auto q = values<T>(run1(QuantizeLinear{.to = dtype_of<T>, .axis = g.attribute, .block_size = block}, {Tensor::of(dims, x), s, z}));
  const auto plain = values<T>(run1(QuantizeLinear{.to = dtype_of<T>, .axis = g.attribute, .block_size = block}, {Tensor::of(dims, x), s}));
  const auto y = values<float>(run1(DequantizeLinear{.axis = g.attribute, .block_size = block}, {Tensor::of(dims, codes), s, z}));
  ASSERT_EQ(q.size(), static_cast<size_t>(count));
  for (int64_t o = 0; o < g.outer; ++o) {
    for (int64_t a = 0; a < g.axis; ++a) {
      for (int64_t i = 0; i < g.inner; ++i) {
        const auto at = static_cast<size_t>((o * g.axis + a) * g.inner + i), k = g.scale(o, a, i);
        const int quotient = static_cast<int>(std::lrint(x[at] / scale[k]));
        const auto clamped = [](int v) { return std::clamp<int>(v, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()); };
        ASSERT_EQ(q[at], clamped(quotient + zero[k])) << at;
        ASSERT_EQ(plain[at], clamped(quotient)) << at;
        ASSERT_EQ(y[at], static_cast<float>(codes[at] - zero[k]) * scale[k]) << at;
      }
    }
  }
}

template <class T>
void check_granularities() {
  for (const int64_t inner : {1, 7, 40}) {
    for (const int64_t axis : {1, 5, 37}) {
      check_both<T>({3, axis, inner, 1, false, {}, 1});
      check_both<T>({3, axis, inner, 1, false, {axis}, -2});
      for (const int64_t block : {1, 4, 16}) check_both<T>({3, axis, inner, block, true, {3, (axis + block - 1) / block, inner}, 1});
    }
  }
}

TEST(Quantize, EveryGranularityOnEveryTarget) {
  test::for_each_target([] {
    check_granularities<int8_t>();
    check_granularities<uint8_t>();
  });
  check_granularities<int16_t>();
  check_granularities<uint16_t>();
}

TEST(Quantize, LastAxisAndManyParts) {
  test::for_each_target([] {
    const int64_t rows = 300, n = 1000;
    const auto x = random_floats(rows * n, -40, 40, 1), scale = random_floats(n, 0.1f, 0.4f, 2);
    const auto q = values<int8_t>(run1(QuantizeLinear{.to = DType::kInt8, .axis = -1}, {Tensor::of({rows, n}, x), Tensor::of({n}, scale)}));
    for (size_t i = 0; i < q.size(); ++i)
      ASSERT_EQ(q[i], std::clamp<int>(static_cast<int>(std::lrint(x[i] / scale[i % n])), -128, 127)) << i;
    const auto one = values<int8_t>(run1(QuantizeLinear{.to = DType::kInt8}, {Tensor::of({rows, n}, x), Tensor::of<float>({1}, {0.25f})}));
    for (size_t i = 0; i < q.size(); ++i) ASSERT_EQ(one[i], std::clamp<int>(static_cast<int>(std::lrint(x[i] * 4)), -128, 127)) << i;
  });
}

TEST(Quantize, TiesGoToEvenAndEverythingSaturates) {
  const Tensor x = Tensor::of<float>({10}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 300, -300, kInf, -kInf, kNaN});
  const Tensor one = Tensor::scalar(1.0f);
  test::for_each_target([&] {
    EXPECT_EQ(values<int8_t>(run1(QuantizeLinear{.to = DType::kInt8}, {x, one})),
              (std::vector<int8_t>{0, 2, 2, 0, -2, 127, -128, 127, -128, -128}));
    EXPECT_EQ(values<uint8_t>(run1(QuantizeLinear{}, {x, one, Tensor::scalar<uint8_t>(100)})),
              (std::vector<uint8_t>{100, 102, 102, 100, 98, 255, 0, 255, 0, 0}));
    // Many times the ten elements: the first ones go through vectors of every length.
    std::vector<float> many;
    for (int i = 0; i < 15; ++i) many.insert(many.end(), x.values<float>().begin(), x.values<float>().end());
    const auto y = values<int8_t>(run1(QuantizeLinear{.to = DType::kInt8}, {Tensor::of<float>({150}, many), one}));
    for (size_t i = 10; i < y.size(); ++i) EXPECT_EQ(y[i], y[i - 10]) << i;
    const auto u = values<uint8_t>(run1(QuantizeLinear{}, {Tensor::of<float>({150}, many), one, Tensor::scalar<uint8_t>(100)}));
    for (size_t i = 10; i < u.size(); ++i) EXPECT_EQ(u[i], u[i - 10]) << i;
  });
  EXPECT_EQ(values<int16_t>(run1(QuantizeLinear{.to = DType::kInt16}, {Tensor::of<float>({3}, {1e9f, -1e9f, 2.5f}), one})),
            (std::vector<int16_t>{32767, -32768, 2}));
  const Tensor four = run1(QuantizeLinear{.to = DType::kInt4}, {x, one});
  const std::vector<int> want4{0, 2, 2, 0, -2, 7, -8, 7, -8, -8};
  for (size_t i = 0; i < want4.size(); ++i) EXPECT_EQ(four.as<Int4>()[i].bits, want4[i]);
  const Tensor two = run1(QuantizeLinear{.to = DType::kUint2}, {x, one});
  const std::vector<int> want2{0, 2, 2, 0, 0, 3, 0, 3, 0, 0};
  for (size_t i = 0; i < want2.size(); ++i) EXPECT_EQ(two.as<Uint2>()[i].bits, want2[i]);
}

TEST(Quantize, IntegersInAndOtherScales) {
  // int32 divided by int32: 7 / 2 is 3.5, which rounds to 4; 2^24 + 1 is no float32.
  EXPECT_EQ(
      values<int16_t>(run1(QuantizeLinear{.to = DType::kInt16}, {Tensor::of<int32_t>({3}, {7, -7, 16777217}), Tensor::scalar<int32_t>(2)})),
      (std::vector<int16_t>{4, -4, 32767}));
  EXPECT_EQ(values<uint8_t>(run1(QuantizeLinear{}, {Tensor::of<int32_t>({2}, {10, 5}), Tensor::scalar(2.0f)})),
            (std::vector<uint8_t>{5, 2}));
  // 2051 is no float16: with that precision it is 2052, a tie less.
  const Tensor x = Tensor::of<float>({1}, {2051});
  EXPECT_EQ(values<int16_t>(run1(QuantizeLinear{.to = DType::kInt16}, {x, Tensor::scalar(1.0f)}))[0], 2051);
  EXPECT_EQ(values<int16_t>(run1(QuantizeLinear{.to = DType::kInt16, .precision = DType::kFloat16}, {x, Tensor::scalar(1.0f)}))[0], 2052);
  EXPECT_EQ(values<int16_t>(run1(QuantizeLinear{.to = DType::kInt16}, {x, Tensor::scalar(Float16(1.0f))}))[0], 2052);
  EXPECT_EQ(values<int16_t>(run1(QuantizeLinear{.to = DType::kInt16}, {x, Tensor::scalar(Float8E8M0(0.5f))}))[0], 4102);
  const Tensor halves = Tensor::of<Float16>({2}, {Float16(1.5f), Float16(-3)});
  EXPECT_EQ(values<int8_t>(run1(QuantizeLinear{.to = DType::kInt8}, {halves, Tensor::scalar(Float16(0.5f))})),
            (std::vector<int8_t>{3, -6}));
}

TEST(Quantize, TinyFloats) {
  const Tensor x = Tensor::of<float>({4}, {1000, -0.0f, 3, 0.3f}), one = Tensor::scalar(1.0f);
  const Tensor y = run1(QuantizeLinear{.to = DType::kFloat8E4M3FN}, {x, one});
  EXPECT_EQ(static_cast<float>(y.as<Float8E4M3FN>()[0]), 448);
  EXPECT_EQ(y.as<Float8E4M3FN>()[1].bits, 0x80);
  EXPECT_EQ(static_cast<float>(y.as<Float8E4M3FN>()[3]), 0.3125f);
  const Tensor open = run1(QuantizeLinear{.to = DType::kFloat8E5M2, .saturate = false}, {Tensor::scalar(1e6f), one});
  EXPECT_EQ(static_cast<float>(open.as<Float8E5M2>()[0]), kInf);
  const Tensor four = run1(QuantizeLinear{.to = DType::kFloat4E2M1}, {x, one});
  EXPECT_EQ(static_cast<float>(four.as<Float4E2M1>()[0]), 6);
  EXPECT_EQ(static_cast<float>(four.as<Float4E2M1>()[2]), 3);
  EXPECT_EQ(values<float>(run1(DequantizeLinear{}, {four, Tensor::scalar(2.0f)})), (std::vector<float>{12, -0.0f, 6, 1}));
}

TEST(Dequantize, EveryOutputAndInput) {
  const Tensor x = Tensor::of<int8_t>({3}, {-128, 3, 127}), z = Tensor::scalar<int8_t>(-1);
  const Tensor h = run1(DequantizeLinear{.to = DType::kFloat16}, {x, Tensor::scalar(Float16(0.5f)), z});
  EXPECT_EQ(static_cast<float>(h.as<Float16>()[0]), -63.5f);
  const Tensor b = run1(DequantizeLinear{.to = DType::kBFloat16}, {x, Tensor::scalar(0.25f), z});
  EXPECT_EQ(static_cast<float>(b.as<BFloat16>()[2]), 32);
  EXPECT_EQ(values<float>(run1(DequantizeLinear{}, {x, Tensor::scalar(Float8E8M0(4.0f))})), (std::vector<float>{-512, 12, 508}));
  EXPECT_EQ(values<float>(run1(DequantizeLinear{}, {Tensor::of<int32_t>({2}, {1 << 20, -3}), Tensor::scalar(0.5f)})),
            (std::vector<float>{524288, -1.5f}));
  EXPECT_EQ(
      values<float>(run1(DequantizeLinear{}, {Tensor::of<Int4>({2}, {Int4{-8}, Int4{7}}), Tensor::scalar(0.5f), Tensor::scalar(Int4{1})})),
      (std::vector<float>{-4.5f, 3}));
  EXPECT_EQ(values<float>(
                run1(DequantizeLinear{}, {Tensor::of<Uint2>({2}, {Uint2{3}, Uint2{0}}), Tensor::scalar(2.0f), Tensor::scalar(Uint2{2})})),
            (std::vector<float>{2, -4}));
}

TEST(Quantize, EmptyTensors) {
  EXPECT_EQ(run1(QuantizeLinear{}, {Tensor::of<float>({0, 4}, {}), Tensor::scalar(1.0f)}).dims(), (Dims{0, 4}));
  EXPECT_EQ(run1(QuantizeLinear{.axis = 0}, {Tensor::of<float>({0, 4}, {}), Tensor::of<float>({0}, {})}).dims(), (Dims{0, 4}));
  EXPECT_EQ(run1(DequantizeLinear{.block_size = 2}, {Tensor::of<int8_t>({2, 0}, {}), Tensor::of<float>({2, 0}, {})}).dims(), (Dims{2, 0}));
}

TEST(Quantize, Inference) {
  const Type x = test::symbolic(DType::kFloat32, {Dim::symbol("n"), 8}), s = Type::of(DType::kFloat32, Shape{8});
  const auto y = infer(QuantizeLinear{.to = DType::kInt8}, {x, s, Type::of(DType::kInt8, Shape{8})});
  ASSERT_TRUE(y.ok());
  EXPECT_EQ((*y)[0].dtype, DType::kInt8);
  EXPECT_EQ((*y)[0].shape, x.shape);
  EXPECT_TRUE(infer(QuantizeLinear{.axis = 0}, {x, test::symbolic(DType::kFloat32, {Dim::symbol("m")})}).ok());
  EXPECT_TRUE(infer(QuantizeLinear{.axis = 0, .block_size = 2}, {x, test::symbolic(DType::kFloat32, {Dim::symbol("m"), 8})}).ok());
  EXPECT_FALSE((*infer(DequantizeLinear{}, {Type::unranked(DType::kInt8), s}))[0].ranked());
}

TEST(Quantize, RefusesWhatDoesNotFit) {
  const Tensor x = Tensor::of<float>({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}), q = Tensor::of<int8_t>({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  const Tensor s3 = Tensor::of<float>({3}, {1, 1, 1}), s4 = Tensor::of<float>({4}, {1, 1, 1, 1}), one = Tensor::scalar(1.0f);
  const Tensor s22 = Tensor::of<float>({2, 2}, {1, 1, 1, 1});
  expect_failure(failure(QuantizeLinear{}, {x, s3}), Code::kShape, {"input 1", "3 elements", "4", "axis is 1"});
  expect_failure(failure(QuantizeLinear{.axis = 5}, {x, s4}), Code::kShape, {"axis 5"});
  expect_failure(failure(QuantizeLinear{}, {x, s22}), Code::kShape, {"input 1", "[2, 2]", "block_size is 0"});
  expect_failure(failure(QuantizeLinear{.block_size = -1}, {x, one}), Code::kShape, {"block_size", "-1"});
  expect_failure(failure(QuantizeLinear{.block_size = 3}, {x, Tensor::of<float>({2, 1}, {1, 1})}), Code::kShape,
                 {"input 1", "blocks of 3", "2"});
  expect_failure(failure(QuantizeLinear{.block_size = 2}, {x, s4}), Code::kShape, {"input 1", "rank 2"});
  expect_failure(failure(QuantizeLinear{}, {x, s4, Tensor::of<uint8_t>({3}, {1, 2, 3})}), Code::kShape, {"input 2", "[3]", "[4]"});
  expect_failure(failure(QuantizeLinear{}, {x, one, Tensor::scalar<int8_t>(1)}), Code::kShape, {"input 2", "int8", "uint8"});
  expect_failure(failure(QuantizeLinear{.to = DType::kInt32}, {x, one}), Code::kShape, {"int32"});
  expect_failure(failure(QuantizeLinear{.precision = DType::kInt8}, {x, one}), Code::kShape, {"precision", "int8"});
  expect_failure(failure(QuantizeLinear{}, {q, one}), Code::kShape, {"input 0", "int8"});
  expect_failure(failure(DequantizeLinear{}, {x, one}), Code::kShape, {"input 0", "float32"});
  expect_failure(failure(DequantizeLinear{.to = DType::kInt8}, {q, one}), Code::kShape, {"int8", "output_dtype"});
  expect_failure(failure(DequantizeLinear{}, {q, one, Tensor::scalar<uint8_t>(1)}), Code::kShape, {"0 and 2"});
  expect_failure(failure(DequantizeLinear{.axis = 0}, {q, s4}), Code::kShape, {"input 1", "4 elements", "2"});
}

}  // namespace
}  // namespace tenon

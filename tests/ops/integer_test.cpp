// Operators on 8-bit integers: MatMulInteger, QLinearMatMul, ConvInteger, QLinearConv, DynamicQuantizeLinear.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "ops/dynamic_quantize_linear.h"
#include "ops/qlinear_conv.h"
#include "ops/qlinear_matmul.h"
#include "support/evaluate.h"
#include "support/late.h"

namespace tenon {
namespace {

using ops::DynamicQuantizeLinear;
using ops::QLinearConv;
using ops::QLinearMatMul;
using test::expect_failure;
using test::failure;
using test::run;
using test::run1;
using test::values;

const Tensor kNo;

template <class T>
Tensor random_bytes(Dims dims, uint32_t seed) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= d;
  std::mt19937 gen(seed);
  std::vector<T> v(static_cast<size_t>(count));
  for (T& x : v) x = static_cast<T>(gen());
  return Tensor::of<T>(std::move(dims), v);
}

Tensor zeros_of(Dims dims, DType dtype = DType::kInt8) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= d;
  return dtype == DType::kInt8 ? Tensor::of<int8_t>(std::move(dims), std::vector<int8_t>(static_cast<size_t>(count)))
                               : Tensor::of<uint8_t>(std::move(dims), std::vector<uint8_t>(static_cast<size_t>(count)));
}

/// Element of a tensor that broadcasts (numpy's way) to `dims`, at row-major index `index` of these.
int64_t at(const Tensor& t, const Dims& dims, int64_t index) {
  const size_t skip = dims.size() - t.dims().size();
  int64_t offset = 0, stride = 1;
  for (size_t i = dims.size(); i-- > skip;) {
    const int64_t size = t.dims()[i - skip];
    offset += (size == 1 ? 0 : index % dims[i]) * stride;
    stride *= size;
    index /= dims[i];
  }
  return t.dtype() == DType::kInt8 ? t.as<int8_t>()[offset] : t.as<uint8_t>()[offset];
}

/// a [B, H, M, K] times b [B, H, K, N], where the first two dims and zero points broadcast.
std::vector<int32_t> product(const Tensor& a, const Tensor& az, const Tensor& b, const Tensor& bz, const Dims& y, int64_t depth) {
  const Dims da{y[0], y[1], y[2], depth}, db{y[0], y[1], depth, y[3]};
  std::vector<int32_t> out;
  for (int64_t i = 0; i < y[0] * y[1] * y[2] * y[3]; ++i) {
    int64_t sum = 0;
    for (int64_t k = 0; k < depth; ++k) {
      const int64_t ia = i / y[3] * depth + k, ib = (i / y[3] / y[2] * depth + k) * y[3] + i % y[3];
      sum += (at(a, da, ia) - at(az, da, ia)) * (at(b, db, ib) - at(bz, db, ib));
    }
    out.push_back(static_cast<int32_t>(sum));
  }
  return out;
}

TEST(QLinearMatMul, BatchesAndZeroPointsBroadcast) {
  const Dims y{2, 3, 5, 9};
  for (const Dims& batch_a : {Dims{2, 3}, Dims{1, 3}, Dims{1, 1}}) {
    for (const Dims& batch_b : {Dims{2, 3}, Dims{2, 1}, Dims{1, 1}}) {
      if (batch_a[0] == 1 && batch_b[0] == 1) continue;
      if (batch_a[1] == 1 && batch_b[1] == 1) continue;
      const Tensor a = random_bytes<uint8_t>({batch_a[0], batch_a[1], 5, 7}, 1),
                   b = random_bytes<int8_t>({batch_b[0], batch_b[1], 7, 9}, 2);
      for (const Dims& za : {Dims{1, 1, 1, 1}, Dims{1, 1, 5, 1}, Dims{batch_a[0], batch_a[1], 5, 1}, Dims{batch_a[0], 1, 1, 1}}) {
        for (const Dims& zb : {Dims{1, 1, 1, 1}, Dims{1, 1, 1, 9}, Dims{batch_b[0], batch_b[1], 1, 9}, Dims{1, batch_b[1], 1, 1}}) {
          const Tensor az = random_bytes<uint8_t>(za, 3), bz = random_bytes<int8_t>(zb, 4);
          const Tensor got = run1(QLinearMatMul{DType::kInt32}, {a, kNo, az, b, kNo, bz});
          ASSERT_EQ(got.dims(), y);
          ASSERT_EQ(values<int32_t>(got), product(a, az, b, bz, y, 7));
        }
      }
    }
  }
}

TEST(QLinearMatMul, VectorsOnEitherSide) {
  const Tensor row = Tensor::of<uint8_t>({2}, {2, 250}), column = Tensor::of<int8_t>({2}, {-3, 4});
  EXPECT_EQ(values<int32_t>(run1(QLinearMatMul{DType::kInt32}, {row, kNo, kNo, column})), (std::vector<int32_t>{994}));
  const Tensor b = Tensor::of<int8_t>({2, 3}, {1, 2, 3, -1, 0, 1});
  const Tensor y = run1(QLinearMatMul{DType::kInt32}, {row, kNo, kNo, b});
  EXPECT_EQ(y.dims(), (Dims{3}));
  EXPECT_EQ(values<int32_t>(y), (std::vector<int32_t>{-248, 4, 256}));
}

TEST(QLinearMatMul, RoundsHalfToEvenAndSaturates) {
  // Sums 1, 3, 5, 500, -500, halved.
  const Tensor a = Tensor::of<int8_t>({5, 1}, {1, 3, 5, 125, -125}), b = Tensor::of<int8_t>({1, 1}, {1});
  const Tensor four = Tensor::of<int8_t>({1, 1}, {4});
  const Tensor one = Tensor::scalar<float>(1), two = Tensor::scalar<float>(2), half = Tensor::scalar<float>(0.5f);
  const QLinearMatMul to_int8{DType::kInt8};
  EXPECT_EQ(values<int8_t>(run1(to_int8, {a, one, kNo, b, one, kNo, two, Tensor::scalar<int8_t>(0)})),
            (std::vector<int8_t>{0, 2, 2, 62, -62}));
  EXPECT_EQ(values<int8_t>(run1(to_int8, {a, one, kNo, four, half, kNo, one, Tensor::scalar<int8_t>(100)})),
            (std::vector<int8_t>{102, 106, 110, 127, -128}));
  EXPECT_EQ(values<uint8_t>(run1(QLinearMatMul{}, {a, one, kNo, four, half, kNo, one, Tensor::scalar<uint8_t>(7)})),
            (std::vector<uint8_t>{9, 13, 17, 255, 0}));
}

TEST(QLinearMatMul, HalfScales) {
  const Tensor a = random_bytes<uint8_t>({6, 20}, 1), b = random_bytes<int8_t>({20, 33}, 2), az = Tensor::scalar<uint8_t>(9);
  const auto scaled = [&](auto tag) {
    using T = decltype(tag);
    return values<int8_t>(run1(QLinearMatMul{DType::kInt8}, {a, Tensor::scalar<T>(T(0.5f)), az, b, Tensor::scalar<T>(T(0.25f)), kNo,
                                                             Tensor::scalar<T>(T(64.0f)), Tensor::scalar<int8_t>(3)}));
  };
  EXPECT_EQ(scaled(Float16()), scaled(0.0f));
  EXPECT_EQ(scaled(BFloat16()), scaled(0.0f));
}

TEST(QLinearMatMul, LateWeightsPackLikeThoseInMemory) {
  const Tensor b = random_bytes<int8_t>({2, 700, 945}, 2);
  const auto whole = ops::pack_integer_weights(b), read = ops::pack_integer_weights(test::late(b));
  ASSERT_TRUE(whole.ok() && read.ok() && *whole && *read);
  const Tensor &p = (*whole)->tensor, &q = (*read)->tensor;
  ASSERT_EQ(p.buffer()->size(), q.buffer()->size());
  EXPECT_EQ(std::memcmp(p.data(), q.data(), p.buffer()->size()), 0);
}

TEST(QLinearMatMul, EmptyOperands) {
  EXPECT_EQ(run1(QLinearMatMul{DType::kInt32}, {zeros_of({0, 3}), kNo, kNo, zeros_of({3, 4})}).dims(), (Dims{0, 4}));
  EXPECT_EQ(values<int32_t>(run1(QLinearMatMul{DType::kInt32}, {zeros_of({2, 0}), kNo, kNo, zeros_of({0, 2})})),
            std::vector<int32_t>(4, 0));
}

TEST(QLinearMatMul, Refusals) {
  const QLinearMatMul sums{DType::kInt32}, bytes{DType::kInt8};
  const Tensor a = zeros_of({4, 3}), b = zeros_of({3, 5}), one = Tensor::scalar<float>(1), zero = Tensor::scalar<int8_t>(0);
  expect_failure(failure(sums, {a, kNo, kNo, zeros_of({2, 5})}), Code::kShape, {"b has shape [2, 5]", "expected 3", "[4, 3]"});
  expect_failure(failure(sums, {a, kNo, zeros_of({3}), b}), Code::kShape, {"a_zero_point", "[3]", "row", "[4, 3]"});
  expect_failure(failure(sums, {a, kNo, kNo, b, kNo, zeros_of({1, 4})}), Code::kShape, {"b_zero_point", "[1, 4]", "column", "[3, 5]"});
  expect_failure(failure(sums, {a, kNo, zeros_of({4, 3}), b}), Code::kShape, {"a_zero_point", "[4, 3]"});
  expect_failure(failure(sums, {a, kNo, zeros_of({}, DType::kUint8), b}), Code::kShape, {"a_zero_point", "uint8", "int8"});
  expect_failure(failure(sums, {one, kNo, kNo, b}), Code::kShape, {"a has dtype float32", "int8", "uint8"});
  expect_failure(failure(bytes, {a, one, zero, b, one, zero, Tensor::of<float>({2}, {1, 1}), zero}), Code::kShape,
                 {"y_scale", "[2]", "one"});
  expect_failure(failure(bytes, {a, one, zero, b, one, zero, one, Tensor::scalar<uint8_t>(0)}), Code::kShape,
                 {"y_zero_point", "uint8", "int8"});
  expect_failure(failure(bytes, {a, one, zero, b, Tensor::scalar<Float16>(Float16(1.0f)), zero, one, zero}), Code::kShape,
                 {"b_scale", "float16", "float32"});
  expect_failure(failure(bytes, {a, kNo, zero, b, one, zero, one, zero}), Code::kShape, {"a_scale", "required"});
  expect_failure(failure(QLinearMatMul{DType::kInt64}, {a, one, zero, b, one}), Code::kShape, {"int64"});
}

TEST(QLinearConv, PadsAreZeroPoints) {
  const Tensor x = Tensor::of<uint8_t>({1, 1, 1, 2}, {10, 20}), w = Tensor::of<int8_t>({1, 1, 1, 3}, {1, 2, 3});
  QLinearConv op;
  op.to = DType::kInt32;
  op.window.pads = {0, 1, 0, 1};
  EXPECT_EQ(values<int32_t>(run1(op, {x, kNo, Tensor::scalar<uint8_t>(10), w})), (std::vector<int32_t>{30, 20}));
}

TEST(QLinearConv, BiasAndScalesOfFilters) {
  const Tensor x = Tensor::of<uint8_t>({1, 1, 2}, {1, 2}), w = Tensor::of<int8_t>({2, 1, 1}, {1, 10}), one = Tensor::scalar<float>(1);
  const Tensor scales = Tensor::of<float>({2}, {1, 0.5f}), bias = Tensor::of<int32_t>({2}, {100, -4});
  const std::vector<Tensor> in{x,   one, Tensor::scalar<uint8_t>(0), w, scales, Tensor::scalar<int8_t>(0), one, Tensor::scalar<uint8_t>(1),
                               bias};
  EXPECT_EQ(values<uint8_t>(run1(QLinearConv{}, in)), (std::vector<uint8_t>{102, 103, 4, 9}));
}

TEST(QLinearConv, TooLargeAnImageFallsBackToThePlainKernel) {
  QLinearConv op;
  op.to = DType::kInt32;
  op.window.strides = op.window.dilations = {int64_t{1} << 30};
  op.window.pads = {int64_t{1} << 30, int64_t{1} << 30};
  const Tensor y = run1(op, {Tensor::of<uint8_t>({1, 1, 1}, {5}), kNo, kNo, Tensor::of<int8_t>({1, 1, 2}, {3, 7})});
  EXPECT_EQ(values<int32_t>(y), (std::vector<int32_t>{35, 15}));
}

TEST(QLinearConv, Refusals) {
  QLinearConv op;
  op.to = DType::kInt32;
  const Tensor x = zeros_of({1, 4, 5, 5}), w = zeros_of({6, 4, 3, 3});
  expect_failure(failure(op, {x, kNo, kNo, zeros_of({6, 3, 3, 3})}), Code::kShape, {"w [6, 3, 3, 3]", "3 channels", "x has 4 channels"});
  expect_failure(failure(op, {x, kNo, kNo, w, kNo, zeros_of({4})}), Code::kShape, {"w_zero_point", "[4]", "filter", "[6, 4, 3, 3]"});
  expect_failure(failure(op, {x, kNo, zeros_of({4}), w}), Code::kShape, {"x_zero_point", "[4]", "one element"});
  expect_failure(failure(op, {x, kNo, kNo, w, kNo, kNo, kNo, kNo, Tensor::of<int32_t>({2}, {1, 2})}), Code::kShape, {"B", "[2]", "6"});
  expect_failure(failure(op, {x, kNo, kNo, w, kNo, kNo, kNo, kNo, Tensor::of<float>({6}, std::vector<float>(6))}), Code::kShape,
                 {"B", "float32", "int32"});
  expect_failure(failure(op, {zeros_of({1, 1, 1, 1, 1, 1}), kNo, kNo, zeros_of({1, 1, 1, 1, 1, 1})}), Code::kLimit, {"4 spatial", "3"});
}

/// ONNX's definition, in double.
TEST(DynamicQuantizeLinear, MatchesItsDefinition) {
  std::mt19937 gen(3);
  for (const int64_t n : {1, 3, 31, 100, 5000, 100000}) {
    for (const float shift : {-0.5f, 0.0f, 2.0f, -3.0f}) {
      std::vector<float> x(static_cast<size_t>(n));
      for (float& v : x) v = static_cast<float>(gen() % 20001) / 20000 + shift;
      const auto out = run(DynamicQuantizeLinear{}, {Tensor::of<float>({n}, x)}, 3);
      const double low = std::min(0.0f, *std::min_element(x.begin(), x.end())),
                   high = std::max(0.0f, *std::max_element(x.begin(), x.end()));
      const double scale = (high - low) / 255;
      ASSERT_NEAR(static_cast<double>(values<float>(out[1])[0]), scale, 1e-6 * scale);
      const int zero = values<uint8_t>(out[2])[0];
      ASSERT_NEAR(zero, -low / scale, 0.5001);
      for (size_t i = 0; i < x.size(); ++i) {
        ASSERT_NEAR(values<uint8_t>(out[0])[i], std::min(std::max(static_cast<double>(x[i]) / scale + zero, 0.0), 255.0), 0.51) << i;
        if (n > 100 && i > 100) break;
      }
    }
  }
}

TEST(DynamicQuantizeLinear, ZerosAndNothing) {
  auto out = run(DynamicQuantizeLinear{}, {Tensor::of<float>({2}, {0, -0.0f})}, 3);
  EXPECT_EQ(values<float>(out[1]), std::vector<float>{1});
  EXPECT_EQ(values<uint8_t>(out[0]), (std::vector<uint8_t>{0, 0}));
  out = run(DynamicQuantizeLinear{}, {Tensor::of<float>({0}, {})}, 3);
  EXPECT_EQ(values<float>(out[1]), std::vector<float>{1});
  EXPECT_EQ(out[0].count(), 0);
}

TEST(DynamicQuantizeLinear, NanDoesNotSpoilTheOthers) {
  std::vector<float> x(40, 1.0f);
  x[3] = NAN;
  x[39] = NAN;
  const auto out = run(DynamicQuantizeLinear{}, {Tensor::of<float>({40}, x)}, 3);
  EXPECT_NEAR(values<float>(out[1])[0], 1.0f / 255, 1e-8f);
  EXPECT_EQ(values<uint8_t>(out[0])[0], 255);
}

}  // namespace
}  // namespace tenon

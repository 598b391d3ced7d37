// Compress and NonZero: operators whose output shape depends on values.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "ops/compress.h"
#include "ops/non_zero.h"
#include "support/evaluate.h"

namespace tenon {
namespace {

using test::expect_failure;
using test::failure;
using test::run;
using test::values;

TEST(Compress, AlongEachAxis) {
  const Tensor x = Tensor::of<float>({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor rows = run(ops::Compress{0}, {x, Tensor::of<bool>({3}, {false, true, true})})[0];
  EXPECT_EQ(rows.dims(), (Dims{2, 2}));
  EXPECT_EQ(values<float>(rows), (std::vector<float>{3, 4, 5, 6}));
  const Tensor columns = run(ops::Compress{-1}, {x, Tensor::of<bool>({2}, {false, true})})[0];
  EXPECT_EQ(columns.dims(), (Dims{3, 1}));
  EXPECT_EQ(values<float>(columns), (std::vector<float>{2, 4, 6}));
}

TEST(Compress, FlattensWithoutAnAxis) {
  const Tensor x = Tensor::of<int16_t>({3, 2}, {1, 2, 3, 4, 5, 6});
  const Tensor y = run(ops::Compress{}, {x, Tensor::of<bool>({5}, {false, true, false, false, true})})[0];
  EXPECT_EQ(y.dims(), (Dims{2}));
  EXPECT_EQ(values<int16_t>(y), (std::vector<int16_t>{2, 5}));
}

TEST(Compress, NothingChosenAndShortConditions) {
  const Tensor x = Tensor::of<double>({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(run(ops::Compress{1}, {x, Tensor::of<bool>({2}, {false, false})})[0].dims(), (Dims{2, 0}));
  EXPECT_EQ(run(ops::Compress{1}, {x, Tensor::of<bool>({0}, {})})[0].dims(), (Dims{2, 0}));
  EXPECT_EQ(values<double>(run(ops::Compress{0}, {x, Tensor::of<bool>({1}, {true})})[0]), (std::vector<double>{1, 2}));
}

TEST(Compress, Errors) {
  const Tensor x = Tensor::of<float>({2, 2}, {1, 2, 3, 4});
  expect_failure(failure(ops::Compress{0}, {x, Tensor::of<bool>({3}, {true, false, true})}), Code::kRun, {"position 2", "2 elements"});
  expect_failure(failure(ops::Compress{2}, {x, Tensor::of<bool>({1}, {true})}), Code::kShape, {"axis 2"});
  expect_failure(failure(ops::Compress{0}, {x, Tensor::of<int32_t>({1}, {1})}), Code::kShape, {"bool"});
  expect_failure(failure(ops::Compress{0}, {x, Tensor::of<bool>({1, 1}, {true})}), Code::kShape, {"rank"});
}

template <class T>
void check_nonzero(T zero, T other) {
  const Tensor y = run(ops::NonZero{}, {Tensor::of<T>({2, 3}, {zero, other, zero, other, zero, other})})[0];
  EXPECT_EQ(y.dims(), (Dims{2, 3}));
  EXPECT_EQ(values<int64_t>(y), (std::vector<int64_t>{0, 1, 1, 1, 0, 2}));
}

TEST(NonZero, EveryType) {
  check_nonzero<float>(0, 1);
  check_nonzero<float>(-0.f, -1e-40f);
  check_nonzero<double>(-0.0, NAN);
  check_nonzero<Float16>(Float16(-0.f), Float16(1e-7f));
  check_nonzero<BFloat16>(BFloat16(0.f), BFloat16(-2.f));
  check_nonzero<bool>(false, true);
  check_nonzero<int8_t>(0, -128);
  check_nonzero<uint8_t>(0, 255);
  check_nonzero<int16_t>(0, INT16_MIN);
  check_nonzero<uint16_t>(0, 1);
  check_nonzero<int32_t>(0, INT32_MIN);
  check_nonzero<uint32_t>(0, 1);
  check_nonzero<int64_t>(0, INT64_MIN);
  check_nonzero<uint64_t>(0, 1);
  auto z = Tensor::allocate(DType::kComplex64, {3});
  z->as<std::complex<float>>()[0] = 0;
  z->as<std::complex<float>>()[1] = {0, 1};
  z->as<std::complex<float>>()[2] = {2, 0};
  EXPECT_EQ(values<int64_t>(run(ops::NonZero{}, {*z})[0]), (std::vector<int64_t>{1, 2}));
  const std::vector<std::string> words = {"", "a"};
  EXPECT_EQ(values<int64_t>(run(ops::NonZero{}, {*Tensor::strings({2}, words)})[0]), (std::vector<int64_t>{1}));
}

TEST(NonZero, ScalarsAndEmptyTensors) {
  EXPECT_EQ(run(ops::NonZero{}, {Tensor::scalar(3.f)})[0].dims(), (Dims{0, 1}));
  EXPECT_EQ(run(ops::NonZero{}, {Tensor::scalar(0.f)})[0].dims(), (Dims{0, 0}));
  EXPECT_EQ(run(ops::NonZero{}, {Tensor::of<float>({2, 0, 3}, {})})[0].dims(), (Dims{3, 0}));
}

TEST(NonZero, RankEightAgreesWithCounting) {
  const Dims dims = {2, 1, 3, 2, 1, 2, 2, 3};
  std::vector<int32_t> v(static_cast<size_t>(*element_count(dims)));
  for (size_t i = 0; i < v.size(); ++i) v[i] = i % 3 == 0;
  const Tensor y = run(ops::NonZero{}, {Tensor::of(dims, v)})[0];
  const int64_t n = y.dims()[1];
  ASSERT_EQ(n, static_cast<int64_t>((v.size() + 2) / 3));
  for (int64_t k = 0; k < n; ++k) {
    int64_t flat = 0;
    for (size_t d = 0; d < dims.size(); ++d) flat = flat * dims[d] + y.as<int64_t>()[static_cast<int64_t>(d) * n + k];
    EXPECT_EQ(flat, 3 * k);
  }
}

}  // namespace
}  // namespace tenon

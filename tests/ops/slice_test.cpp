#include "ops/slice.h"

#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;

constexpr int64_t kMin = INT64_MIN, kMax = INT64_MAX;

Result<Tensor> slice(const Tensor& x, const std::vector<int64_t>& starts, const std::vector<int64_t>& ends,
                     const std::vector<int64_t>& axes = {}, const std::vector<int64_t>& steps = {}) {
  const Tensor s = ints(starts), e = ints(ends), a = ints(axes), t = ints(steps);
  return run(ops::Slice{}, {&x, &s, &e, axes.empty() ? nullptr : &a, steps.empty() ? nullptr : &t});
}

/// The elements of an axis of n that the specification of Slice names, one by one, in wide arithmetic.
std::vector<int64_t> taken(int64_t start, int64_t end, int64_t step, int64_t n) {
  const auto clamp = [](__int128 v, __int128 low, __int128 high) { return v < low ? low : v > high ? high : v; };
  __int128 s = start < 0 ? static_cast<__int128>(start) + n : start, e = end < 0 ? static_cast<__int128>(end) + n : end;
  std::vector<int64_t> out;
  if (step > 0) {
    s = clamp(s, 0, n);
    e = clamp(e, 0, n);
    for (__int128 i = s; i < e; i += step) out.push_back(static_cast<int64_t>(i));
  } else if (n > 0) {
    s = clamp(s, 0, n - 1);
    e = clamp(e, -1, n - 1);
    for (__int128 i = s; i > e; i += step) out.push_back(static_cast<int64_t>(i));
  }
  return out;
}

TEST(Slice, EveryBoundAgainstTheSpecification) {
  const std::vector<int64_t> bounds = {kMin, kMin + 1, -7, -6, -5, -3, -1, 0, 1, 2, 4, 5, 6, kMax - 1, kMax};
  const std::vector<int64_t> steps = {kMin, -6, -5, -2, -1, 1, 2, 3, 5, kMax};
  for (const int64_t n : {0, 1, 5}) {
    for (const int64_t start : bounds) {
      for (const int64_t end : bounds) {
        for (const int64_t step : steps) {
          const auto want = taken(start, end, step, n);
          const auto got = ops::slice_extent(start, end, step, n);
          ASSERT_EQ(got.count, static_cast<int64_t>(want.size())) << start << ":" << end << ":" << step << " of " << n;
          if (!want.empty()) {
            ASSERT_EQ(got.first, want[0]) << start << ":" << end << ":" << step << " of " << n;
          }
        }
      }
    }
  }
}

TEST(Slice, MovesTheRightElements) {
  for (const DType dtype : kSizes) {
    const Tensor x = counting(dtype, {4, 9, 11});
    for (const int64_t step : {-3, -2, -1, 1, 2, 4}) {
      const int64_t start = step > 0 ? 1 : -2, end = step > 0 ? -1 : kMin;
      const auto rows = taken(start, end, step, 9), columns = taken(start, end, step, 11);
      expect_moved(slice(x, {start, start}, {end, end}, {1, -1}, {step, step}),
                   {4, static_cast<int64_t>(rows.size()), static_cast<int64_t>(columns.size())}, x, [&](const Dims& i) {
                     return Dims{i[0], rows[i[1]], columns[i[2]]};
                   });
    }
  }
}

TEST(Slice, HugeBounds) {
  const Tensor x = counting(DType::kFloat32, {20, 3});
  expect_moved(slice(x, {kMax}, {kMin}, {0}, {kMin}), {1, 3}, x, [](const Dims& i) { return Dims{19, i[1]}; });
  expect_moved(slice(x, {0}, {kMax}), {20, 3}, x, [](const Dims& i) { return i; });
  expect_moved(slice(x, {5}, {5}), {0, 3}, x, [](const Dims& i) { return i; });
}

TEST(Slice, LeadingSlicesAreViews) {
  const Tensor x = counting(DType::kFloat32, {6, 5, 4});
  auto y = slice(x, {2}, {4});
  ASSERT_TRUE(y.ok());
  EXPECT_EQ((*y).as<char>(), x.as<char>() + 2 * 20 * 4);
  // All but one row of the first dim taken: the second is contiguous as well.
  y = slice(x, {3, 1}, {4, 3});
  ASSERT_TRUE(y.ok());
  EXPECT_EQ((*y).as<char>(), x.as<char>() + (3 * 20 + 4) * 4);
  y = slice(x, {0, 1}, {2, 3});
  ASSERT_TRUE(y.ok());
  EXPECT_FALSE((*y).as<char>() >= x.as<char>() && (*y).as<char>() < x.as<char>() + x.bytes());
}

TEST(Slice, Errors) {
  const Tensor x = counting(DType::kFloat32, {20, 3});
  expect_error(slice(x, {0}, {5}, {0}, {0}), Code::kShape, {"step"});
  expect_error(slice(x, {0, 0}, {5, 5}, {0, 0}), Code::kShape, {"axes", "twice"});
  expect_error(slice(x, {0}, {5}, {2}), Code::kShape, {"axes", "2"});
  expect_error(slice(x, {0}, {5, 5}), Code::kShape, {"1", "2"});
  expect_error(slice(x, {0, 0, 0}, {5, 5, 5}), Code::kShape, {"3", "rank 2"});
}

std::string symbolic(const Dim& n, const Dim& start, const Dim& end, int64_t step = 1) {
  Type s = Type::of(DType::kInt64, {1}), e = s, a = s, t = s;
  s.contents = {start};
  e.contents = {end};
  a.contents = {Dim(0)};
  t.contents = {Dim(step)};
  const auto got = infer(Op(ops::Slice{}), {Type::of(DType::kFloat32, {n, 4}), s, e, a, t});
  return got.ok() ? (*got)[0].shape[0].str() : got.status().message();
}

TEST(Slice, SymbolicLengths) {
  const Dim n = Dim::symbol("n"), m = Dim::symbol("m");
  EXPECT_EQ(symbolic(n, 0, kMax), "n");
  EXPECT_EQ(symbolic(n, 0, INT32_MAX), "n");
  EXPECT_EQ(symbolic(n, 0, n), "n");
  EXPECT_EQ(symbolic(n, -1, kMax), "min(1, n)");
  EXPECT_EQ(symbolic(n, -1, kMin, -1), "n");
  EXPECT_EQ(symbolic(n, 3, 3), "0");
  EXPECT_EQ(symbolic(n + Dim(5), 0, -1), "n + 4");
  EXPECT_EQ(symbolic(512, 0, m), "min(m, 512)");
  EXPECT_EQ(symbolic(n, 0, Dim::unknown()), "?");
  EXPECT_EQ(symbolic(n, 0, m - n), "?");  // which may be negative
}

}  // namespace
}  // namespace tenon

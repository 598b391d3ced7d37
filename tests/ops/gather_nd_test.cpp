#include "ops/gather_nd.h"

#include <gtest/gtest.h>

#include <numeric>

#include "support/evaluate.h"

namespace tenon {
namespace {

using test::expect_failure;
using test::failure;
using test::run;
using test::values;

Tensor counting(Dims dims) {
  auto n = element_count(dims);
  std::vector<float> v(static_cast<size_t>(*n));
  std::iota(v.begin(), v.end(), 0.f);
  return Tensor::of<float>(std::move(dims), v);
}

// The expected values are worked out by hand from row-major counting.
TEST(GatherND, PicksElements) {
  const Tensor out = run(ops::GatherND{}, {counting({2, 2}), Tensor::of<int64_t>({2, 2}, {0, 0, 1, -1})})[0];
  EXPECT_EQ(out.dims(), (Dims{2}));
  EXPECT_EQ(values<float>(out), (std::vector<float>{0, 3}));
}

TEST(GatherND, PicksSlices) {
  const Tensor out = run(ops::GatherND{}, {counting({2, 2, 3}), Tensor::of<int32_t>({2, 1, 2}, {0, 1, 1, 0})})[0];
  EXPECT_EQ(out.dims(), (Dims{2, 1, 3}));
  EXPECT_EQ(values<float>(out), (std::vector<float>{3, 4, 5, 6, 7, 8}));
}

TEST(GatherND, BatchesGoTogether) {
  // data[b] is 2x3; each batch picks one row.
  const Tensor out = run(ops::GatherND{1}, {counting({2, 2, 3}), Tensor::of<int64_t>({2, 1}, {1, 0})})[0];
  EXPECT_EQ(out.dims(), (Dims{2, 3}));
  EXPECT_EQ(values<float>(out), (std::vector<float>{3, 4, 5, 6, 7, 8}));
  // Two batch dims, several tuples a batch.
  const Tensor deep = run(ops::GatherND{2}, {counting({2, 2, 4}), Tensor::of<int64_t>({2, 2, 2, 1}, {0, 3, 1, 2, -1, 0, 2, 2})})[0];
  EXPECT_EQ(deep.dims(), (Dims{2, 2, 2}));
  EXPECT_EQ(values<float>(deep), (std::vector<float>{0, 3, 5, 6, 11, 8, 14, 14}));
}

TEST(GatherND, LongSlicesAreCutIntoPieces) {
  const int64_t n = 100003;
  const Tensor data = counting({3, n});
  const Tensor out = run(ops::GatherND{}, {data, Tensor::of<int64_t>({2, 1}, {2, 0})})[0];
  for (int64_t i = 0; i < n; ++i) {
    ASSERT_EQ(out.as<float>()[i], data.as<float>()[2 * n + i]);
    ASSERT_EQ(out.as<float>()[n + i], data.as<float>()[i]);
  }
}

TEST(GatherND, EmptyTensors) {
  EXPECT_EQ(run(ops::GatherND{}, {counting({2, 2}), Tensor::of<int64_t>({0, 1}, {})})[0].dims(), (Dims{0, 2}));
  EXPECT_EQ(run(ops::GatherND{}, {counting({2, 0}), Tensor::of<int64_t>({3, 1}, {0, 1, 0})})[0].dims(), (Dims{3, 0}));
}

TEST(GatherND, BatchesThatDifferAreARunError) {
  expect_failure(failure(ops::GatherND{1}, {counting({3, 3}), Tensor::of<int64_t>({2, 1}, {1, 2})}), Code::kRun, {"batch", "3", "2"});
}

TEST(GatherND, RefusesWhatCannotFit) {
  expect_failure(failure(ops::GatherND{}, {counting({2, 2}), Tensor::of<int64_t>({1, 2}, {0, 2})}), Code::kRun, {"index 2", "2"});
  expect_failure(failure(ops::GatherND{}, {counting({2, 2}), Tensor::of<int64_t>({1, 3}, {0, 0, 0})}), Code::kShape, {"last dim is 3"});
  expect_failure(failure(ops::GatherND{}, {counting({2, 2}), Tensor::of<int64_t>({1, 0}, {})}), Code::kShape, {"last dim is 0"});
  expect_failure(failure(ops::GatherND{2}, {counting({2, 2}), Tensor::of<int64_t>({2, 2}, {0, 0, 0, 0})}), Code::kShape, {"batch_dims 2"});
  expect_failure(failure(ops::GatherND{-1}, {counting({2, 2}), Tensor::of<int64_t>({2, 1}, {0, 0})}), Code::kShape, {"batch_dims -1"});
}

TEST(GatherND, SymbolicShape) {
  const Dim n = Dim::symbol("n"), m = Dim::symbol("m");
  const auto out = ops::infer(ops::GatherND{}, {test::symbolic(DType::kInt8, {n, 4, m}), test::symbolic(DType::kInt64, {m, 7, 2})});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*out)[0].str(), "int8[m, 7, m]");
  const auto open = ops::infer(ops::GatherND{}, {test::symbolic(DType::kInt8, {n, 4}), test::symbolic(DType::kInt64, {m, n})});
  ASSERT_TRUE(open.ok());
  EXPECT_FALSE((*open)[0].ranked());
}

}  // namespace
}  // namespace tenon

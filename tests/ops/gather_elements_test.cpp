#include "ops/gather_elements.h"

#include <gtest/gtest.h>

#include <complex>
#include <random>

#include "support/evaluate.h"

namespace tenon {
namespace {

using test::expect_failure;
using test::failure;
using test::run;
using test::values;

/// Straight from the definition, one element at a time.
template <class T, class I>
std::vector<T> reference(const std::vector<T>& data, const Dims& dims, const std::vector<I>& indices, const Dims& index_dims, int axis) {
  std::vector<T> out;
  for (size_t flat = 0; flat < indices.size(); ++flat) {
    Dims at(dims.size());
    for (int64_t d = static_cast<int64_t>(dims.size()) - 1, rest = static_cast<int64_t>(flat); d >= 0; --d) {
      at[d] = rest % index_dims[d];
      rest /= index_dims[d];
    }
    at[axis] = indices[flat] < 0 ? indices[flat] + dims[axis] : indices[flat];
    int64_t from = 0;
    for (size_t d = 0; d < dims.size(); ++d) from = from * dims[d] + at[d];
    out.push_back(data[from]);
  }
  return out;
}

int64_t count(const Dims& dims) {
  int64_t n = 1;
  for (int64_t d : dims) n *= d;
  return n;
}

template <class T, class I>
void check(const Dims& dims, const Dims& index_dims, int axis) {
  std::mt19937 random(7);
  std::vector<T> data(count(dims));
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<T>(static_cast<int>(i % 101));
  std::vector<I> indices(count(index_dims));
  for (I& i : indices) i = static_cast<I>(static_cast<int64_t>(random() % (2 * dims[axis])) - dims[axis]);
  const Tensor out = run(ops::GatherElements{axis}, {Tensor::of(dims, data), Tensor::of(index_dims, indices)})[0];
  EXPECT_EQ(out.dims(), index_dims);
  EXPECT_EQ(values<T>(out), reference(data, dims, indices, index_dims, axis)) << str(dims) << str(index_dims) << axis;
}

TEST(GatherElements, MatchesItsDefinition) {
  for (int axis = 0; axis < 3; ++axis) check<float, int64_t>({5, 6, 7}, {5, 6, 7}, axis);
  for (int axis = 0; axis < 3; ++axis) check<double, int32_t>({5, 6, 7}, {3, 4, 2}, axis);
  check<int16_t, int64_t>({9}, {300}, 0);
  check<uint8_t, int64_t>({4, 3}, {900, 2}, 0);
  check<uint8_t, int64_t>({4, 3}, {3, 1000}, 1);
  check<int32_t, int64_t>({3, 4, 1, 1}, {3, 9, 1, 1}, 1);
  check<float, int64_t>({2, 3, 2, 3, 2, 3, 2, 3}, {2, 3, 2, 3, 2, 2, 2, 3}, 4);
  check<float, int64_t>({40000, 3}, {40000, 2}, 1);
  check<float, int64_t>({3, 40000}, {2, 40000}, 0);
}

TEST(GatherElements, MovesStrings) {
  const std::vector<std::string> words = {"a", "bc", "", "defg"};
  const auto data = Tensor::strings({2, 2}, words);
  ASSERT_TRUE(data.ok());
  const Tensor out = run(ops::GatherElements{1}, {*data, Tensor::of<int64_t>({2, 1}, {1, -1})})[0];
  EXPECT_EQ(out.as<StringRef>()[0].view(), "bc");
  EXPECT_EQ(out.as<StringRef>()[1].view(), "defg");
}

TEST(GatherElements, EmptyTensors) {
  EXPECT_EQ(run(ops::GatherElements{0}, {Tensor::of<float>({3, 2}, std::vector<float>(6)), Tensor::of<int64_t>({0, 2}, {})})[0].dims(),
            (Dims{0, 2}));
  EXPECT_EQ(run(ops::GatherElements{1}, {Tensor::of<float>({3, 0}, {}), Tensor::of<int64_t>({3, 0}, {})})[0].dims(), (Dims{3, 0}));
  expect_failure(failure(ops::GatherElements{1}, {Tensor::of<float>({1, 0}, {}), Tensor::of<int64_t>({1, 1}, {0})}), Code::kRun,
                 {"index 0", "0 elements"});
}

TEST(GatherElements, IndexOutOfRangeIsARunError) {
  const Tensor data = Tensor::of<float>({2, 3}, std::vector<float>(6));
  expect_failure(failure(ops::GatherElements{0}, {data, Tensor::of<int64_t>({1, 3}, {-3, 0, 0})}), Code::kRun, {"-3", "2"});
  expect_failure(failure(ops::GatherElements{0}, {data, Tensor::of<int32_t>({1, 3}, {0, 0, 2})}), Code::kRun, {"2"});
  expect_failure(failure(ops::GatherElements{0}, {data, Tensor::of<int64_t>({1, 1}, {INT64_MIN})}), Code::kRun, {"-9223372036854775808"});
  expect_failure(failure(ops::GatherElements{0}, {data, Tensor::of<int64_t>({1, 1}, {INT64_MAX})}), Code::kRun, {"9223372036854775807"});
}

TEST(GatherElements, OneBadIndexIsFoundWhereverItIs) {
  const Tensor data = Tensor::of<float>({2, 11}, std::vector<float>(22));
  for (size_t at = 0; at < 22; ++at) {
    for (const int64_t bad : {11, -12}) {
      std::vector<int64_t> indices(22, 10);
      indices[at] = bad;
      indices[at ^ 1] = -11;
      expect_failure(failure(ops::GatherElements{1}, {data, Tensor::of<int64_t>({2, 11}, indices)}), Code::kRun,
                     {std::to_string(bad), "11"});
    }
  }
}

TEST(GatherElements, RefusesWhatCannotFit) {
  const Tensor data = Tensor::of<float>({2, 3}, std::vector<float>(6));
  expect_failure(failure(ops::GatherElements{2}, {data, Tensor::of<int64_t>({2, 3}, std::vector<int64_t>(6))}), Code::kShape, {"axis 2"});
  expect_failure(failure(ops::GatherElements{0}, {data, Tensor::of<int64_t>({2}, {0, 0})}), Code::kShape, {"rank"});
  expect_failure(failure(ops::GatherElements{0}, {data, Tensor::of<int64_t>({1, 4}, {0, 0, 0, 0})}), Code::kShape,
                 {"dim 1 is 4", "at most 3"});
  expect_failure(failure(ops::GatherElements{0}, {data, Tensor::of<float>({1, 3}, {0, 0, 0})}), Code::kShape, {"int32 or int64"});
}

TEST(GatherElements, ShapeFollowsTheIndices) {
  const Dim n = Dim::symbol("n");
  const auto out = ops::infer(ops::GatherElements{0}, {test::symbolic(DType::kFloat16, {n, 4}), test::symbolic(DType::kInt64, {n, 2})});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*out)[0].str(), "float16[n, 2]");
  const auto unranked = ops::infer(ops::GatherElements{0}, {Type::unranked(DType::kInt8), Type::unranked(DType::kInt32)});
  ASSERT_TRUE(unranked.ok());
  EXPECT_FALSE((*unranked)[0].ranked());
}

}  // namespace
}  // namespace tenon

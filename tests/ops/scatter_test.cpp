// ScatterElements and ScatterND against their definitions, one update at a time.
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <functional>
#include <random>

#include "ops/scatter_elements.h"
#include "ops/scatter_nd.h"
#include "support/evaluate.h"

namespace tenon {
namespace {

using ops::Reduction;
using test::expect_failure;
using test::failure;
using test::run;
using test::values;

constexpr Reduction kAll[] = {Reduction::kNone, Reduction::kAdd, Reduction::kMul, Reduction::kMax, Reduction::kMin};

double apply(Reduction r, double a, double b) {
  switch (r) {
    case Reduction::kNone: return b;
    case Reduction::kAdd: return a + b;
    case Reduction::kMul: return a * b;
    case Reduction::kMax: return std::max(a, b);
    case Reduction::kMin: return std::min(a, b);
  }
  return 0;
}

template <class T>
void check_elements(const Dims& dims, const Dims& index_dims, int axis, Reduction reduction) {
  std::mt19937 random(3);
  std::vector<T> data(*element_count(dims)), updates(*element_count(index_dims));
  std::vector<int64_t> indices(updates.size());
  for (T& v : data) v = static_cast<T>(static_cast<float>(random() % 5));
  for (T& v : updates) v = static_cast<T>(static_cast<float>(random() % 3));
  for (int64_t& i : indices) i = static_cast<int64_t>(random() % (2 * dims[axis])) - dims[axis];
  std::vector<double> expected;
  for (T v : data) expected.push_back(static_cast<double>(static_cast<float>(v)));
  for (size_t flat = 0; flat < indices.size(); ++flat) {
    Dims at(dims.size());
    for (int64_t d = static_cast<int64_t>(dims.size()) - 1, rest = static_cast<int64_t>(flat); d >= 0; --d) {
      at[d] = rest % index_dims[d];
      rest /= index_dims[d];
    }
    at[axis] = indices[flat] < 0 ? indices[flat] + dims[axis] : indices[flat];
    int64_t to = 0;
    for (size_t d = 0; d < dims.size(); ++d) to = to * dims[d] + at[d];
    expected[to] = static_cast<double>(
        static_cast<float>(T(static_cast<float>(apply(reduction, expected[to], static_cast<double>(static_cast<float>(updates[flat])))))));
  }
  const Tensor out = run(ops::ScatterElements{axis, reduction},
                         {Tensor::of(dims, data), Tensor::of(index_dims, indices), Tensor::of(index_dims, updates)})[0];
  EXPECT_EQ(out.dims(), dims);
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(static_cast<double>(static_cast<float>(out.as<T>()[i])), expected[i]) << i;
}

TEST(ScatterElements, MatchesItsDefinition) {
  for (Reduction r : kAll) {
    for (int axis = 0; axis < 3; ++axis) {
      check_elements<float>({4, 5, 6}, {4, 5, 6}, axis, r);
      check_elements<int32_t>({4, 5, 6}, {2, 3, 4}, axis, r);
    }
    check_elements<double>({7}, {3}, 0, r);
    check_elements<int64_t>({300, 70}, {300, 2}, 1, r);
    check_elements<uint8_t>({3, 500}, {2, 500}, 0, r);
    check_elements<Float16>({3, 5}, {2, 5}, 0, r);
    check_elements<BFloat16>({3, 5}, {3, 4}, 1, r);
    check_elements<uint16_t>({6, 1}, {2, 1}, 0, r);
    check_elements<int8_t>({6, 2}, {2, 2}, 0, r);
  }
}

TEST(ScatterElements, LaterUpdatesWin) {
  const Tensor out = run(ops::ScatterElements{0}, {Tensor::of<float>({3}, {0, 0, 0}), Tensor::of<int64_t>({4}, {1, 1, 2, 1}),
                                                   Tensor::of<float>({4}, {1, 2, 3, 4})})[0];
  EXPECT_EQ(values<float>(out), (std::vector<float>{0, 4, 3}));
}

TEST(ScatterElements, NanWinsMaxAndMin) {
  for (Reduction r : {Reduction::kMax, Reduction::kMin}) {
    const Tensor out = run(ops::ScatterElements{0, r},
                           {Tensor::of<float>({2}, {NAN, 1}), Tensor::of<int64_t>({2}, {0, 1}), Tensor::of<float>({2}, {5, NAN})})[0];
    EXPECT_TRUE(std::isnan(out.as<float>()[0]));
    EXPECT_TRUE(std::isnan(out.as<float>()[1]));
  }
}

TEST(ScatterElements, BoolsAndComplexNumbers) {
  const Tensor idx = Tensor::of<int64_t>({2}, {0, 1});
  const Tensor data = Tensor::of<bool>({2}, {true, false}), updates = Tensor::of<bool>({2}, {false, true});
  EXPECT_EQ(values<bool>(run(ops::ScatterElements{0, Reduction::kAdd}, {data, idx, updates})[0]), (std::vector<bool>{true, true}));
  EXPECT_EQ(values<bool>(run(ops::ScatterElements{0, Reduction::kMul}, {data, idx, updates})[0]), (std::vector<bool>{false, false}));
  auto z = Tensor::allocate(DType::kComplex64, {1});
  auto w = Tensor::allocate(DType::kComplex64, {1});
  *z->as<std::complex<float>>() = {1, 2};
  *w->as<std::complex<float>>() = {3, -1};
  const Tensor product = run(ops::ScatterElements{0, Reduction::kMul}, {*z, Tensor::of<int64_t>({1}, {0}), *w})[0];
  EXPECT_EQ(*product.as<std::complex<float>>(), std::complex<float>(5, 5));
  expect_failure(failure(ops::ScatterElements{0, Reduction::kMax}, {*z, Tensor::of<int64_t>({1}, {0}), *w}), Code::kShape, {"complex64"});
}

TEST(ScatterElements, Strings) {
  const std::vector<std::string> a = {"x", "y"}, b = {"zz"};
  const Tensor out = run(ops::ScatterElements{0}, {*Tensor::strings({2}, a), Tensor::of<int64_t>({1}, {1}), *Tensor::strings({1}, b)})[0];
  EXPECT_EQ(out.as<StringRef>()[0].view(), "x");
  EXPECT_EQ(out.as<StringRef>()[1].view(), "zz");
  expect_failure(failure(ops::ScatterElements{0, Reduction::kAdd},
                         {*Tensor::strings({2}, a), Tensor::of<int64_t>({1}, {1}), *Tensor::strings({1}, b)}),
                 Code::kShape, {"string"});
}

TEST(ScatterElements, Errors) {
  const Tensor data = Tensor::of<float>({2, 2}, std::vector<float>(4));
  expect_failure(failure(ops::ScatterElements{0}, {data, Tensor::of<int64_t>({1, 2}, {0, 5}), Tensor::of<float>({1, 2}, {1, 1})}),
                 Code::kRun, {"5", "2"});
  expect_failure(failure(ops::ScatterElements{0}, {data, Tensor::of<int64_t>({1, 2}, {0, 1}), Tensor::of<float>({2, 1}, {1, 1})}),
                 Code::kShape, {"input 2"});
  expect_failure(failure(ops::ScatterElements{0}, {data, Tensor::of<int64_t>({1, 2}, {0, 1}), Tensor::of<double>({1, 2}, {1, 1})}),
                 Code::kShape, {"dtype"});
  expect_failure(failure(ops::ScatterElements{5}, {data, Tensor::of<int64_t>({1, 2}, {0, 1}), Tensor::of<float>({1, 2}, {1, 1})}),
                 Code::kShape, {"axis 5"});
}

TEST(ScatterElements, NothingToScatterCopies) {
  const Tensor out =
      run(ops::ScatterElements{1}, {Tensor::of<float>({1, 2}, {1, 2}), Tensor::of<int64_t>({1, 0}, {}), Tensor::of<float>({1, 0}, {})})[0];
  EXPECT_EQ(values<float>(out), (std::vector<float>{1, 2}));
}

template <class T>
void check_nd(const Dims& dims, const Dims& lead, int64_t k, Reduction reduction) {
  std::mt19937 random(5);
  int64_t slice = 1, tuples = *element_count(lead);
  for (size_t d = k; d < dims.size(); ++d) slice *= dims[d];
  Dims index_dims = lead, update_dims = lead;
  index_dims.push_back(k);
  update_dims.insert(update_dims.end(), dims.begin() + k, dims.end());
  std::vector<T> data(*element_count(dims)), updates(tuples * slice);
  std::vector<int64_t> indices;
  for (T& v : data) v = static_cast<T>(static_cast<float>(random() % 4));
  for (T& v : updates) v = static_cast<T>(static_cast<float>(random() % 3));
  std::vector<double> expected;
  for (T v : data) expected.push_back(static_cast<double>(static_cast<float>(v)));
  for (int64_t t = 0; t < tuples; ++t) {
    int64_t to = 0;
    for (int64_t d = 0; d < k; ++d) {
      const int64_t i = static_cast<int64_t>(random() % (2 * dims[d])) - dims[d];
      indices.push_back(i);
      to = to * dims[d] + (i < 0 ? i + dims[d] : i);
    }
    for (int64_t s = 0; s < slice; ++s)
      expected[to * slice + s] =
          apply(reduction, expected[to * slice + s], static_cast<double>(static_cast<float>(updates[t * slice + s])));
  }
  const Tensor out =
      run(ops::ScatterND{reduction}, {Tensor::of(dims, data), Tensor::of(index_dims, indices), Tensor::of(update_dims, updates)})[0];
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(static_cast<double>(static_cast<float>(out.as<T>()[i])), expected[i]) << i;
}

TEST(ScatterND, MatchesItsDefinition) {
  for (Reduction r : kAll) {
    check_nd<float>({4, 5, 6}, {7}, 1, r);
    check_nd<float>({4, 5, 6}, {2, 3}, 2, r);
    check_nd<int64_t>({4, 5, 6}, {4}, 3, r);
    check_nd<double>({3}, {2}, 1, r);
    check_nd<float>({8, 512}, {40}, 1, r == Reduction::kMul ? Reduction::kMax : r);  // several owners, repeated indices
  }
}

TEST(ScatterND, Errors) {
  const Tensor data = Tensor::of<float>({2, 2}, std::vector<float>(4));
  expect_failure(failure(ops::ScatterND{}, {data, Tensor::of<int64_t>({1, 1}, {-3}), Tensor::of<float>({1, 2}, {1, 1})}), Code::kRun,
                 {"-3", "2"});
  expect_failure(failure(ops::ScatterND{}, {data, Tensor::of<int64_t>({1, 3}, {0, 0, 0}), Tensor::of<float>({1}, {1})}), Code::kShape,
                 {"last dim is 3"});
  expect_failure(failure(ops::ScatterND{}, {data, Tensor::of<int64_t>({1, 1}, {0}), Tensor::of<float>({1}, {1})}), Code::kShape,
                 {"input 2", "[1, 2]"});
}

TEST(ScatterND, EmptyUpdatesCopy) {
  const Tensor out =
      run(ops::ScatterND{}, {Tensor::of<float>({2}, {1, 2}), Tensor::of<int64_t>({0, 1}, {}), Tensor::of<float>({0}, {})})[0];
  EXPECT_EQ(values<float>(out), (std::vector<float>{1, 2}));
}

}  // namespace
}  // namespace tenon

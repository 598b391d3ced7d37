// Conv and ConvTranspose against sums written out here in double precision.
#include "ops/conv.h"

#include <cmath>
#include <random>

#include "ops/conv_transpose.h"
#include "ops/reorder.h"
#include "tests/support/evaluate.h"

namespace tenon {
namespace {

using namespace test;

int64_t count(const Dims& d) {
  int64_t n = 1;
  for (const int64_t x : d) n *= x;
  return n;
}

/// Multiples of 1/8 in [-1, 1]: exact in every float type, so that only the sums round.
std::vector<double> eighths(int64_t n, uint32_t seed) {
  std::mt19937 gen(seed);
  std::vector<double> v(static_cast<size_t>(n));
  for (double& x : v) x = (static_cast<int>(gen() % 17) - 8) / 8.0;
  return v;
}

Tensor tensor(DType dtype, const Dims& dims, const std::vector<double>& v) {
  Tensor t = *Tensor::allocate(dtype, dims);
  dispatch<float, double, Float16, BFloat16>(dtype, [&](auto z) {
    using T = decltype(z);
    for (size_t i = 0; i < v.size(); ++i) t.as<T>()[i] = static_cast<T>(static_cast<float>(v[i]));
  });
  return t;
}

struct Case {
  Dims x, w;
  std::vector<int64_t> strides, dilations, pads;
  int64_t group = 1;
  std::vector<int64_t> output_padding{};
  ops::AutoPad auto_pad = ops::AutoPad::kNotSet;
};

/// Odometer over `dims`; false after the last.
bool next(Dims& at, const Dims& dims) {
  for (size_t i = dims.size(); i-- > 0;) {
    if (++at[i] < dims[i]) return true;
    at[i] = 0;
  }
  return false;
}
int64_t flat(const Dims& at, const Dims& dims) {
  int64_t r = 0;
  for (size_t i = 0; i < dims.size(); ++i) r = r * dims[i] + at[i];
  return r;
}

/// Adds x[n, c, i] * w[...] where they meet. `transposed`: output and input change places.
std::vector<double> reference(const Case& c, const Dims& out, const std::vector<double>& x, const std::vector<double>& w, bool transposed,
                              const std::vector<int64_t>& begin) {
  const size_t n = c.x.size() - 2;
  std::vector<double> y(static_cast<size_t>(count(out)), 0.0);
  const Dims& small = transposed ? c.x : out;  // position i of the small side meets i * stride - pad + k * dilation of the large one
  const Dims& large = transposed ? out : c.x;
  const int64_t small_channels = small[1] / c.group, large_channels = large[1] / c.group;
  Dims taps(c.w.begin() + 2, c.w.end());
  Dims at(small.size(), 0);
  if (count(small) == 0) return y;
  do {
    const int64_t group = at[1] / small_channels;
    Dims tap(n, 0);
    do {
      Dims to = at;
      bool inside = true;
      for (size_t d = 0; d < n; ++d) {
        to[2 + d] = at[2 + d] * (c.strides.empty() ? 1 : c.strides[d]) - begin[d] + tap[d] * (c.dilations.empty() ? 1 : c.dilations[d]);
        inside = inside && to[2 + d] >= 0 && to[2 + d] < large[2 + d];
      }
      if (!inside) continue;
      for (int64_t k = 0; k < large_channels; ++k) {
        to[1] = group * large_channels + k;
        // Conv: w[filter, channel of the group]; transposed: w[channel, filter of the group]. Either way the small side comes first.
        Dims index{at[1], k};
        index.insert(index.end(), tap.begin(), tap.end());
        const double weight = w[static_cast<size_t>(flat(index, c.w))];
        if (transposed) {
          y[static_cast<size_t>(flat(to, out))] += x[static_cast<size_t>(flat(at, c.x))] * weight;
        } else {
          y[static_cast<size_t>(flat(at, out))] += x[static_cast<size_t>(flat(to, c.x))] * weight;
        }
      }
    } while (next(tap, taps));
  } while (next(at, small));
  return y;
}

void expect_near(const Tensor& got, const std::vector<double>& want, DType dtype) {
  ASSERT_EQ(got.count(), static_cast<int64_t>(want.size()));
  const double relative = dtype == DType::kFloat64 ? 1e-12 : dtype == DType::kFloat32 ? 1e-5 : dtype == DType::kFloat16 ? 2e-3 : 1e-2;
  const auto v = got.to_doubles();
  for (size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(v[i], want[i], relative * (1 + std::abs(want[i]))) << name_of(dtype) << " element " << i;
}

ops::Window window(const Case& c) {
  ops::Window w;
  w.strides = c.strides, w.dilations = c.dilations, w.pads = c.pads, w.auto_pad = c.auto_pad;
  return w;
}

void check_conv(const Case& c, const Dims& expected, const std::vector<int64_t>& begin) {
  const auto x = eighths(count(c.x), 1), w = eighths(count(c.w), 2), b = eighths(c.w[0], 3);
  auto want = reference(c, expected, x, w, false, begin);
  const int64_t pixels = count(expected) / std::max<int64_t>(1, expected[0] * expected[1]);
  for (size_t i = 0; i < want.size(); ++i) want[i] += b[i / static_cast<size_t>(pixels) % b.size()];
  ops::Conv op{window(c), c.group, {}};
  for (const DType t : {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16}) {
    const auto y = run(op, {tensor(t, c.x, x), tensor(t, c.w, w), tensor(t, {c.w[0]}, b)});
    ASSERT_EQ(y[0].dims(), expected);
    expect_near(y[0], want, t);
  }
}

TEST(Conv, Shapes) {
  check_conv({{1, 1, 5}, {1, 1, 3}, {}, {}, {}}, {1, 1, 3}, {0});
  check_conv({{2, 3, 9}, {5, 3, 3}, {2}, {}, {1, 2}}, {2, 5, 5}, {1});
  check_conv({{2, 3, 7, 8}, {4, 3, 3, 2}, {2, 1}, {1, 3}, {1, 0, 2, 3}}, {2, 4, 4, 8}, {1, 0});
  check_conv({{1, 6, 7, 8}, {9, 2, 3, 3}, {}, {}, {1, 1, 1, 1}, 3}, {1, 9, 7, 8}, {1, 1});
  check_conv({{1, 20, 7, 8}, {20, 1, 3, 3}, {}, {}, {1, 1, 1, 1}, 20}, {1, 20, 7, 8}, {1, 1});
  check_conv({{1, 3, 4, 5, 6}, {2, 3, 2, 3, 2}, {1, 2, 1}, {}, {}}, {1, 2, 3, 2, 5}, {0, 0, 0});
  check_conv({{1, 2, 3, 4, 3, 4}, {3, 2, 2, 2, 2, 2}, {}, {}, {}}, {1, 3, 2, 3, 2, 3}, {0, 0, 0, 0});
  check_conv({{1, 2, 3, 3}, {2, 2, 1, 1}, {}, {}, {}}, {1, 2, 3, 3}, {0, 0});
}
// Rows of few pixels, whose pixels are gathered first.
TEST(Conv, PointsWithStrides) {
  check_conv({{2, 70, 13, 15}, {300, 70, 1, 1}, {2, 2}, {}, {}}, {2, 300, 7, 8}, {0, 0});
  check_conv({{1, 20, 6, 8}, {260, 20, 1, 1}, {2, 1}, {}, {}}, {1, 260, 3, 8}, {0, 0});
  check_conv({{1, 20, 6, 8}, {260, 20, 1, 1}, {1, 3}, {}, {}}, {1, 260, 6, 3}, {0, 0});
  check_conv({{1, 20, 5, 6, 9}, {270, 20, 1, 1, 1}, {2, 1, 3}, {}, {}}, {1, 270, 3, 6, 3}, {0, 0, 0});
  check_conv({{1, 20, 5, 5}, {270, 20, 1, 1}, {2, 2}, {}, {1, 1, 1, 1}}, {1, 270, 4, 4}, {1, 1});
  check_conv({{1, 20, 5, 5}, {270, 20, 1, 1}, {2, 2}, {}, {0, 0, 2, 2}}, {1, 270, 4, 4}, {0, 0});
}
TEST(Conv, AutoPad) {
  Case c{{1, 2, 5, 6}, {3, 2, 2, 3}, {2, 2}, {}, {}};
  c.auto_pad = ops::AutoPad::kSameUpper;  // total pads 1 and 1
  check_conv(c, {1, 3, 3, 3}, {0, 0});
  c.auto_pad = ops::AutoPad::kSameLower;
  check_conv(c, {1, 3, 3, 3}, {1, 1});
  c.auto_pad = ops::AutoPad::kValid;
  check_conv(c, {1, 3, 2, 2}, {0, 0});
}
TEST(Conv, Empty) {
  check_conv({{0, 3, 5, 5}, {4, 3, 3, 3}, {}, {}, {}}, {0, 4, 3, 3}, {0, 0});
  check_conv({{1, 0, 5, 5}, {4, 0, 3, 3}, {}, {}, {}}, {1, 4, 3, 3}, {0, 0});
}
TEST(Conv, ActivationAndResidual) {
  ops::Conv op;
  op.activation.low = 0;
  op.activation.high = 1;
  const auto y = run(op, {Tensor::of<float>({1, 1, 4}, {-3, 0.25f, 2, 5}), Tensor::of<float>({1, 1, 1}, {1}), Tensor(),
                          Tensor::of<float>({1, 1, 4}, {1, 0.5f, -9, 1})});
  EXPECT_EQ(values<float>(y[0]), (std::vector<float>{0, 0.75f, 0, 1}));
}

TEST(Conv, SymbolicShapes) {
  const Dim n = Dim::symbol("n"), h = Dim::symbol("h");
  ops::Conv op;
  op.window.pads = {1, 1, 1, 1};
  const Type w = symbolic(DType::kFloat32, {8, 3, 3, 3});
  EXPECT_EQ((*infer(op, {symbolic(DType::kFloat32, {n, 3, h, 10}), w}))[0].shape.str(), "[n, 8, h, 10]");
  EXPECT_FALSE((*infer(op, {Type::unranked(DType::kFloat32), Type::unranked(DType::kFloat32)}))[0].ranked());
  op.window.strides = {2, 2};
  op.window.pads = {};
  op.window.auto_pad = ops::AutoPad::kSameUpper;
  const Types y = *infer(op, {symbolic(DType::kFloat32, {n, 3, h, 10}), w});
  EXPECT_EQ(y[0].shape[3], Dim(5));
  EXPECT_FALSE(y[0].shape[2].is_const());
}

TEST(Conv, RefusesWhatCannotBe) {
  const Tensor x = Tensor::of<float>({1, 4, 8, 8}, std::vector<float>(256)), w = Tensor::of<float>({4, 4, 3, 3}, std::vector<float>(144));
  const auto with = [](auto&& set) {
    ops::Conv op;
    set(op);
    return op;
  };
  expect_failure(failure(with([](auto& o) {
                           o.window.kernel_shape = {int64_t{1} << 31, int64_t{1} << 31};
                         }),
                         {x, w}),
                 Code::kShape, {"kernel_shape"});
  expect_failure(failure(with([](auto& o) { o.window.kernel_shape = {3, 5}; }), {x, w}), Code::kShape, {"kernel_shape"});
  expect_failure(failure(with([](auto& o) { o.window.strides = {0, 0}; }), {x, w}), Code::kShape, {"strides", "0"});
  expect_failure(failure(with([](auto& o) { o.window.strides = {1}; }), {x, w}), Code::kShape, {"strides"});
  expect_failure(failure(with([](auto& o) { o.window.dilations = {1, -1}; }), {x, w}), Code::kShape, {"dilations", "-1"});
  expect_failure(failure(with([](auto& o) { o.window.dilations = {8, 8}; }), {x, w}), Code::kShape, {"dilations"});
  expect_failure(failure(with([](auto& o) { o.window.pads = {-5, -5, -5, -5}; }), {x, w}), Code::kShape, {"pads", "-5"});
  expect_failure(failure(with([](auto& o) { o.group = 3; }), {x, w}), Code::kShape, {"group", "3", "4"});
  expect_failure(failure(with([](auto& o) { o.group = 0; }), {x, w}), Code::kShape, {"group", "0"});
  expect_failure(failure(with([](auto& o) { o.group = 2; }), {x, w}), Code::kShape, {"group", "2", "4"});
  expect_failure(failure(ops::Conv{}, {x, Tensor::of<float>({4, 4, 3, 3, 3}, std::vector<float>(432))}), Code::kShape, {"rank", "5", "4"});
  expect_failure(failure(ops::Conv{}, {x, w, Tensor::of<float>({3}, {1, 2, 3})}), Code::kShape, {"3", "4"});
  // Within int64 but far beyond memory.
  expect_failure(failure(with([](auto& o) { o.window.pads = std::vector<int64_t>(4, (int64_t{1} << 31) - 1); }), {x, w}), Code::kLimit, {});
}

TEST(Conv, WindowsFarBeyondTheImage) {
  const int64_t far = (int64_t{1} << 31) - 1;
  ops::Conv op;
  op.window.strides = {far, far};
  op.window.pads = {far, far, far, far};
  for (const int64_t channels : {1, 5}) {
    const auto y = run(op, {Tensor::of<float>({1, channels, 1, 1}, std::vector<float>(static_cast<size_t>(channels), 1.0f)),
                            Tensor::of<float>({1, channels, 1, 1}, std::vector<float>(static_cast<size_t>(channels), 2.0f))});
    EXPECT_EQ(values<float>(y[0]), (std::vector<float>{0, 0, 0, 0, 2.0f * static_cast<float>(channels), 0, 0, 0, 0}));
  }
}

void check_transposed(const Case& c, const Dims& expected, const std::vector<int64_t>& begin,
                      const std::vector<int64_t>& output_shape = {}) {
  const auto x = eighths(count(c.x), 4), w = eighths(count(c.w), 5), b = eighths(expected[1], 6);
  auto want = reference(c, expected, x, w, true, begin);
  const int64_t pixels = count(expected) / std::max<int64_t>(1, expected[0] * expected[1]);
  for (size_t i = 0; i < want.size(); ++i) want[i] += b[i / static_cast<size_t>(pixels) % b.size()];
  ops::ConvTranspose op;
  op.window = window(c);
  op.group = c.group, op.output_padding = c.output_padding, op.output_shape = output_shape;
  for (const DType t : {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16}) {
    const auto y = run(op, {tensor(t, c.x, x), tensor(t, c.w, w), tensor(t, {expected[1]}, b)});
    ASSERT_EQ(y[0].dims(), expected);
    expect_near(y[0], want, t);
  }
}

TEST(ConvTranspose, Shapes) {
  check_transposed({{1, 1, 3, 3}, {1, 2, 3, 3}, {}, {}, {}}, {1, 2, 5, 5}, {0, 0});
  check_transposed({{2, 3, 5}, {3, 4, 4}, {2}, {}, {1, 1}}, {2, 4, 10}, {1});
  check_transposed({{1, 5, 4, 3}, {5, 7, 3, 2}, {3, 2}, {1, 2}, {1, 0, 2, 1}}, {1, 7, 9, 6}, {1, 0});
  check_transposed({{1, 5, 4, 3}, {5, 3, 3, 3}, {2, 2}, {2, 2}, {}}, {1, 3, 11, 9}, {0, 0});
  check_transposed({{1, 4, 4, 3}, {4, 3, 1, 1}, {3, 3}, {}, {}}, {1, 3, 10, 7}, {0, 0});  // some phases have no tap
  check_transposed({{1, 6, 4, 3}, {6, 2, 3, 3}, {2, 2}, {}, {1, 1, 1, 1}, 3, {1, 1}}, {1, 6, 8, 6}, {1, 1});
  check_transposed({{1, 32, 4, 3}, {32, 16, 3, 3}, {2, 2}, {}, {1, 1, 1, 1}, 2, {1, 1}}, {1, 32, 8, 6}, {1, 1});
  check_transposed({{1, 3, 2, 3, 4}, {3, 2, 2, 3, 2}, {2, 1, 2}, {}, {}}, {1, 2, 4, 5, 8}, {0, 0, 0});
  check_transposed({{1, 2, 4, 3}, {2, 3, 3, 3}, {9, 9}, {}, {}}, {1, 3, 30, 21}, {0, 0});  // more phases than the blocked way takes
  check_transposed({{1, 2, 4, 3}, {2, 3, 3, 3}, {9, 9}, {4, 6}, {}}, {1, 3, 36, 31}, {0, 0});
  check_transposed({{0, 2, 4, 3}, {2, 3, 3, 3}, {}, {}, {}}, {0, 3, 6, 5}, {0, 0});
}
TEST(ConvTranspose, OutputShapeAndAutoPad) {
  Case c{{1, 1, 3, 3}, {1, 2, 3, 3}, {3, 2}, {}, {}};
  check_transposed(c, {1, 2, 10, 8}, {0, 0}, {10, 8});  // larger than what the kernel reaches
  check_transposed(c, {1, 2, 8, 6}, {1, 1}, {8, 6});    // one cropped: at the beginning
  c.auto_pad = ops::AutoPad::kSameUpper;
  c.strides = {2, 2};
  check_transposed(c, {1, 2, 6, 6}, {0, 0});
  c.auto_pad = ops::AutoPad::kSameLower;
  check_transposed(c, {1, 2, 6, 6}, {1, 1});
}
TEST(ConvTranspose, RefusesWhatCannotBe) {
  const Tensor x = Tensor::of<float>({1, 4, 8, 8}, std::vector<float>(256)), w = Tensor::of<float>({4, 4, 3, 3}, std::vector<float>(144));
  ops::ConvTranspose op;
  op.group = 0;
  expect_failure(failure(op, {x, w}), Code::kShape, {"group"});
  op.group = 1;
  op.output_shape = {int64_t{1} << 40, int64_t{1} << 40};
  expect_failure(failure(op, {x, w}), Code::kLimit, {});
  op.output_shape = {};
  op.window.pads = {20, 20, 20, 20};
  expect_failure(failure(op, {x, w}), Code::kShape, {"pads"});
  op.window.pads = {};
  op.output_padding = {-1, 0};
  expect_failure(failure(op, {x, w}), Code::kShape, {"output_padding"});
}

}  // namespace
}  // namespace tenon

// Resize against an evaluation of ONNX's definition in double: every output element by itself, every axis's window of samples looked
// up in an edge-padded input. Nothing is shared with the tables and passes of the engine.
#include "ops/resize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>
#include <type_traits>

#include "support/evaluate.h"
#include "support/targets.h"

namespace tenon {
namespace {

using kernels::Coordinates;
using kernels::NearestMode;
using ops::Resize;
using test::expect_failure;
using test::failure;
using test::values;
using Mode = Resize::Mode;

constexpr Coordinates kCoordinates[] = {Coordinates::kHalfPixel,    Coordinates::kHalfPixelSymmetric, Coordinates::kPytorchHalfPixel,
                                        Coordinates::kAlignCorners, Coordinates::kAsymmetric,         Coordinates::kTfHalfPixelForNn};

struct Axis {
  int64_t in = 1, out = 1;
  double scale = 1, width = 1, roi_begin = 0, roi_end = 1;
};

double source(const Resize& op, const Axis& a, double x) {
  const double n = static_cast<double>(a.in);
  switch (op.coordinates) {
    case Coordinates::kHalfPixel: return (x + 0.5) / a.scale - 0.5;
    case Coordinates::kHalfPixelSymmetric: return n / 2 * (1 - static_cast<double>(a.out) / a.width) + (x + 0.5) / a.scale - 0.5;
    case Coordinates::kPytorchHalfPixel: return a.out > 1 ? (x + 0.5) / a.scale - 0.5 : 0;
    case Coordinates::kAlignCorners: return a.width == 1 ? 0 : x * (n - 1) / (a.width - 1);
    case Coordinates::kAsymmetric: return x / a.scale;
    case Coordinates::kTfHalfPixelForNn: return (x + 0.5) / a.scale;
    case Coordinates::kTfCropAndResize:
      return a.out > 1 ? a.roi_begin * (n - 1) + x * (a.roi_end - a.roi_begin) * (n - 1) / (a.width - 1)
                       : 0.5 * (a.roi_begin + a.roi_end) * (n - 1);
  }
  return 0;
}

double hat(double x) { return std::max(0.0, 1 - std::abs(x)); }
double cubic(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return (a + 2) * x * x * x - (a + 3) * x * x + 1;
  if (x < 2) return a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a;
  return 0;
}

/// (position, weight) pairs that output position j of an axis reads; empty means the extrapolation value.
std::vector<std::pair<int64_t, double>> samples(const Resize& op, const Axis& a, int64_t j) {
  double x = source(op, a, static_cast<double>(j));
  const double decided = static_cast<float>(x);
  if (op.mode == Mode::kNearest) x = decided;
  if (op.coordinates == Coordinates::kTfCropAndResize && (decided < 0 || decided > static_cast<double>(a.in - 1))) return {};
  const auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i, 0, a.in - 1); };
  if (op.mode == Mode::kNearest) {
    double r = x;
    const double below = std::floor(x), fraction = x - below;
    switch (op.nearest) {
      case NearestMode::kRoundPreferFloor: r = fraction <= 0.5 ? below : below + 1; break;
      case NearestMode::kRoundPreferCeil: r = fraction < 0.5 ? below : below + 1; break;
      case NearestMode::kFloor: r = below; break;
      case NearestMode::kCeil: r = std::ceil(x); break;
      case NearestMode::kFloorOrShrinkCeil: r = a.scale < 1 ? std::ceil(x) : below; break;
    }
    return {{clamp(static_cast<int64_t>(r)), 1.0}};
  }
  const double squeeze = op.antialias ? std::min(1.0, a.scale) : 1.0;
  const double reach = (op.mode == Mode::kLinear ? 1 : 2) / squeeze;
  std::vector<std::pair<int64_t, double>> result;
  double sum = 0;
  for (auto i = static_cast<int64_t>(std::floor(x - reach)) - 1; i <= static_cast<int64_t>(std::ceil(x + reach)) + 1; ++i) {
    const double distance = (static_cast<double>(i) - x) * squeeze;
    double w = op.mode == Mode::kLinear ? hat(distance) : cubic(distance, op.cubic_a);
    if (op.exclude_outside && (i < 0 || i >= a.in)) w = 0;
    result.emplace_back(clamp(i), w);
    sum += w;
  }
  if (op.antialias || op.exclude_outside) {
    for (auto& [i, w] : result) w /= sum;
  }
  return result;
}

struct Problem {
  Resize op;
  Dims in;
  std::vector<float> scales;  ///< one of these two
  std::vector<int64_t> sizes;
  std::vector<float> roi;
};

std::vector<Axis> axes_of(const Problem& p) {
  std::vector<Axis> axes;
  for (int64_t n : p.in) axes.push_back({n, n, 1, static_cast<double>(n)});
  std::vector<int64_t> listed = p.op.axes;
  if (listed.empty()) {
    for (size_t d = 0; d < p.in.size(); ++d) listed.push_back(static_cast<int64_t>(d));
  }
  double least = INFINITY, most = 0;
  for (size_t i = 0; i < listed.size(); ++i) {
    Axis& a = axes[listed[i] < 0 ? listed[i] + static_cast<int64_t>(p.in.size()) : listed[i]];
    if (!p.scales.empty()) {
      a.scale = p.scales[i];
      a.width = a.scale * static_cast<double>(a.in);
      a.out = static_cast<int64_t>(std::floor(static_cast<float>(a.in) * p.scales[i]));
    } else {
      a.out = p.sizes[i];
      a.width = static_cast<double>(a.out);
      a.scale = a.width / static_cast<double>(a.in);
      least = std::min(least, a.scale);
      most = std::max(most, a.scale);
    }
    if (!p.roi.empty()) {
      a.roi_begin = p.roi[i];
      a.roi_end = p.roi[listed.size() + i];
    }
  }
  if (p.op.policy != Resize::Policy::kStretch) {
    for (int64_t d : listed) {
      Axis& a = axes[d < 0 ? d + static_cast<int64_t>(p.in.size()) : d];
      a.scale = p.op.policy == Resize::Policy::kNotLarger ? least : most;
      a.width = a.scale * static_cast<double>(a.in);
      a.out = static_cast<int64_t>(std::floor(a.width + 0.5));
    }
  }
  return axes;
}

template <class T>
std::vector<double> reference(const Problem& p, const std::vector<T>& data, Dims* out_dims) {
  const auto axes = axes_of(p);
  out_dims->clear();
  for (const Axis& a : axes) out_dims->push_back(a.out);
  std::vector<double> out;
  Dims at(axes.size());
  const std::function<double(size_t, int64_t)> value = [&](size_t d, int64_t flat) -> double {
    if (d == axes.size()) return static_cast<double>(data[flat]);
    const Axis& a = axes[d];
    const bool identity = a.scale == 1 && a.out == a.in && a.roi_begin == 0 && a.roi_end == 1;
    if (identity) return value(d + 1, flat * a.in + at[d]);
    double sum = 0;
    for (const auto& [i, w] : samples(p.op, a, at[d])) {
      if (w != 0) sum += w * value(d + 1, flat * a.in + i);
    }
    return sum;
  };
  const int64_t n = *element_count(*out_dims);
  for (int64_t flat = 0; flat < n; ++flat) {
    bool outside = false;
    for (int64_t d = static_cast<int64_t>(axes.size()) - 1, rest = flat; d >= 0; --d) {
      at[d] = rest % axes[d].out;
      rest /= axes[d].out;
      const Axis& a = axes[d];
      const bool identity = a.scale == 1 && a.out == a.in && a.roi_begin == 0 && a.roi_end == 1;
      outside |= !identity && samples(p.op, a, at[d]).empty();
    }
    out.push_back(outside ? p.op.extrapolation : value(0, 0));
  }
  return out;
}

std::vector<Tensor> inputs_of(const Problem& p, const Tensor& x) {
  Tensor none;
  return {x, p.roi.empty() ? none : Tensor::of<float>({static_cast<int64_t>(p.roi.size())}, p.roi),
          p.scales.empty() ? none : Tensor::of<float>({static_cast<int64_t>(p.scales.size())}, p.scales),
          p.sizes.empty() ? none : Tensor::of<int64_t>({static_cast<int64_t>(p.sizes.size())}, p.sizes)};
}

std::string describe(const Problem& p) {
  return "mode " + std::to_string(static_cast<int>(p.op.mode)) + " coordinates " + std::to_string(static_cast<int>(p.op.coordinates)) +
         " nearest " + std::to_string(static_cast<int>(p.op.nearest)) + " antialias " + std::to_string(p.op.antialias) + " exclude " +
         std::to_string(p.op.exclude_outside) + " in " + str(p.in) +
         (p.sizes.empty() ? " scale " + std::to_string(p.scales.back()) : " sizes " + str(p.sizes));
}

template <class T>
void check(const Problem& p, double tolerance = 2e-5) {
  std::mt19937 random(9);
  std::vector<T> data(*element_count(p.in));
  for (T& v : data) v = static_cast<T>(static_cast<float>(random() % 100));
  std::vector<double> plain;
  for (T v : data) {
    if constexpr (std::is_arithmetic_v<T>) {
      plain.push_back(static_cast<double>(v));
    } else {
      plain.push_back(static_cast<float>(v));
    }
  }
  Dims dims;
  const auto expected = reference(p, plain, &dims);
  const Tensor out = test::run(p.op, inputs_of(p, Tensor::of(p.in, data)))[0];
  ASSERT_EQ(out.dims(), dims) << describe(p);
  for (size_t i = 0; i < expected.size(); ++i) {
    const T got = out.as<T>()[i];
    if constexpr (std::is_integral_v<T>) {
      const double whole = std::clamp(std::nearbyint(expected[i]), static_cast<double>(std::numeric_limits<T>::min()),
                                      static_cast<double>(std::numeric_limits<T>::max()));
      // Halves may go either way by the last bit of the sum.
      if (std::abs(expected[i] - std::floor(expected[i]) - 0.5) < 1e-9) continue;
      ASSERT_EQ(static_cast<double>(got), whole) << describe(p) << " at " << i;
    } else {
      using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
      ASSERT_NEAR(static_cast<double>(static_cast<Wide>(got)), expected[i], tolerance * (1 + std::abs(expected[i])))
          << describe(p) << " at " << i;
    }
  }
}

TEST(Resize, NearestInAllItsModes) {
  for (Coordinates c : kCoordinates) {
    for (NearestMode n : {NearestMode::kRoundPreferFloor, NearestMode::kRoundPreferCeil, NearestMode::kFloor, NearestMode::kCeil,
                          NearestMode::kFloorOrShrinkCeil}) {
      Problem p;
      p.op.coordinates = c;
      p.op.nearest = n;
      p.in = {2, 3, 7, 5};
      for (float s : {0.4f, 0.6f, 1.f, 1.3f, 2.f, 2.5f}) {
        p.scales = {1, 1, s, s + 0.5f};
        check<float>(p);
      }
      p.scales.clear();
      p.sizes = {2, 3, 1, 8};
      check<float>(p);
    }
  }
}

TEST(Resize, NearestMovesEveryElementSize) {
  Problem p;
  p.in = {3, 4, 5};
  p.sizes = {4, 3, 10};
  check<uint8_t>(p);
  check<int16_t>(p);
  check<Float16>(p);
  check<BFloat16>(p);
  check<int64_t>(p);
  check<double>(p);
  p.sizes = {3, 8, 5};  // rows stay whole
  check<float>(p);
  p.sizes = {6, 4, 5};
  check<int8_t>(p);
  const std::vector<std::string> words = {"a", "b"};
  p.in = {2};
  p.sizes = {4};
  const Tensor out = test::run(p.op, inputs_of(p, *Tensor::strings({2}, words)))[0];
  EXPECT_EQ(out.as<StringRef>()[1].view(), "a");
  EXPECT_EQ(out.as<StringRef>()[2].view(), "b");
}

TEST(Resize, DoublingOnEveryTarget) {
  test::for_each_target([] {
    for (int64_t w : {1, 7, 8, 16, 31, 48, 65, 100, 130}) {
      Problem p;
      p.op.coordinates = Coordinates::kAsymmetric;
      p.op.nearest = NearestMode::kFloor;
      p.in = {2, 3, 5, w};
      p.scales = {1, 1, 2, 2};
      check<float>(p);
      check<int32_t>(p);
      check<uint8_t>(p);
      check<double>(p);
      p.scales = {1, 1, 1, 2};
      check<float>(p);
      check<uint8_t>(p);
      p.scales = {1, 1, 2, 2};
      p.op = {};
      check<float>(p);
      for (Coordinates c :
           {Coordinates::kHalfPixel, Coordinates::kPytorchHalfPixel, Coordinates::kAsymmetric, Coordinates::kAlignCorners}) {
        p.op.mode = Mode::kLinear;
        p.op.coordinates = c;
        check<float>(p);
      }
    }
  });
}

TEST(Resize, LinearAndCubicOnEveryTarget) {
  test::for_each_target([] {
    for (Mode m : {Mode::kLinear, Mode::kCubic}) {
      for (Coordinates c : kCoordinates) {
        for (int flags = 0; flags < 4; ++flags) {
          Problem p;
          p.op.mode = m;
          p.op.coordinates = c;
          p.op.antialias = flags & 1;
          p.op.exclude_outside = flags & 2;
          p.in = {1, 2, 6, 9};
          for (float s : {0.3f, 0.6f, 0.8f, 1.2f, 3.f}) {
            p.scales = {1, 1, s, s * 1.1f};
            check<float>(p);
          }
          p.scales.clear();
          p.sizes = {1, 2, 1, 40};
          check<float>(p);
          p.sizes = {1, 2, 6, 4};  // one axis only
          check<float>(p);
          p.sizes = {1, 2, 11, 9};
          check<float>(p);
          p.sizes = {2, 3, 5, 8};  // all axes
          check<float>(p);
        }
      }
    }
  });
}

TEST(Resize, LinearInEveryNumericType) {
  for (Mode m : {Mode::kLinear, Mode::kCubic}) {
    Problem p;
    p.op.mode = m;
    p.in = {2, 5, 7};
    p.sizes = {2, 8, 4};
    check<double>(p, 1e-12);
    check<Float16>(p, 2e-3);
    check<BFloat16>(p, 1e-2);
    check<int8_t>(p);
    check<uint8_t>(p);
    check<int16_t>(p);
    check<uint16_t>(p);
    check<int32_t>(p);
    check<uint32_t>(p);
    check<int64_t>(p);
    check<uint64_t>(p);
  }
}

TEST(Resize, CubicSaturatesIntegers) {
  Problem p;
  p.op.mode = Mode::kCubic;
  p.in = {4};
  p.sizes = {13};
  const Tensor x = Tensor::of<uint8_t>({4}, {0, 255, 255, 0});
  Dims dims;
  const auto expected = reference(p, std::vector<double>{0, 255, 255, 0}, &dims);
  const Tensor out = test::run(p.op, inputs_of(p, x))[0];
  bool over = false;
  for (size_t i = 0; i < expected.size(); ++i) {
    over |= expected[i] > 255.5 || expected[i] < -0.5;
    EXPECT_EQ(out.as<uint8_t>()[i], std::clamp(std::nearbyint(expected[i]), 0.0, 255.0)) << i;
  }
  EXPECT_TRUE(over);
}

TEST(Resize, OneToEightAxes) {
  for (Mode m : {Mode::kNearest, Mode::kLinear}) {
    Problem p;
    p.op.mode = m;
    p.in = {5};
    p.sizes = {9};
    check<float>(p);
    p.in = {2, 3, 2, 2, 3, 1, 2, 2};
    p.sizes = {3, 2, 2, 3, 3, 2, 2, 1};
    check<float>(p);
    p.in = {1, 1, 3, 4, 5};
    p.sizes = {1, 1, 6, 8, 10};
    check<float>(p);
  }
}

TEST(Resize, CropAndResize) {
  for (Mode m : {Mode::kNearest, Mode::kLinear, Mode::kCubic}) {
    Problem p;
    p.op.mode = m;
    p.op.coordinates = Coordinates::kTfCropAndResize;
    p.op.extrapolation = -7.5;
    p.in = {1, 2, 8, 9};
    p.sizes = {1, 2, 5, 6};
    p.roi = {0, 0, 0.2f, 0.25f, 1, 1, 0.9f, 1.4f};
    check<float>(p);
    check<double>(p, 1e-6);
    p.roi = {0, 0, 1, -0.3f, 1, 1, 0, 0.5f};  // upside down
    check<float>(p);
    p.sizes = {1, 2, 1, 1};
    check<float>(p);
    p.op.axes = {3, 2};
    p.sizes = {4, 6};
    p.roi = {0.1f, 0.2f, 0.8f, 1.2f};
    check<float>(p);
    p.op.extrapolation = 3;
    check<int32_t>(p);
  }
}

TEST(Resize, RoiThatIsKnownOnlyWhileRunning) {
  for (Mode m : {Mode::kNearest, Mode::kLinear}) {
    Problem p;
    p.op.mode = m;
    p.op.coordinates = Coordinates::kTfCropAndResize;
    p.op.extrapolation = 2;
    p.in = {1, 1, 6, 5};
    p.sizes = {1, 1, 4, 7};
    p.roi = {0, 0, 0.2f, 0.1f, 1, 1, 0.7f, 1.3f};
    std::vector<float> data(30);
    for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i * i % 17);
    const auto in = inputs_of(p, Tensor::of(p.in, data));
    Types types;
    for (const Tensor& t : in) types.push_back(t.empty_handle() ? Type::none() : Type::of(t.dtype(), Shape::of(t.dims())));
    types[3].constant = &in[3];  // roi is not constant
    const auto out_types = ops::infer(p.op, types);
    ASSERT_TRUE(out_types.ok());
    const TypedBindContext ctx(types, *out_types, {true});
    const auto step = ops::bind(p.op, ctx);
    ASSERT_TRUE(step.ok()) << step.status().message();
    Dims dims;
    const auto expected = reference(p, data, &dims);
    std::vector<float> out(expected.size());
    std::vector<std::byte> shared(step->shared_bytes + 64);
    const void* src[] = {in[0].data(), in[1].data(), nullptr, in[3].data()};
    void* dst[] = {out.data()};
    kernels::Fault fault;
    kernels::Call call{src, dst, nullptr, &fault, shared.data() + 64 - reinterpret_cast<uintptr_t>(shared.data()) % 64};
    for (const Phase& phase : step->phases) phase.run(phase.params.get(), call, {0, phase.parts});
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(out[i], expected[i], 1e-5) << i;
  }
}

TEST(Resize, AspectRatioPolicies) {
  for (auto policy : {Resize::Policy::kNotLarger, Resize::Policy::kNotSmaller}) {
    for (Mode m : {Mode::kNearest, Mode::kLinear}) {
      Problem p;
      p.op.mode = m;
      p.op.policy = policy;
      p.op.axes = {2, 3};
      p.in = {1, 2, 5, 7};
      p.sizes = {7, 8};
      check<float>(p);
      p.sizes = {3, 30};
      check<float>(p);
    }
  }
}

TEST(Resize, AxesMayBeNegativeAndInAnyOrder) {
  Problem p;
  p.op.mode = Mode::kLinear;
  p.op.axes = {-1, 1};
  p.in = {2, 3, 4};
  p.sizes = {7, 5};
  check<float>(p);
  p.sizes.clear();
  p.scales = {0.5f, 2.f};
  check<float>(p);
}

TEST(Resize, NothingToDoIsAView) {
  Problem p;
  p.in = {2, 3};
  p.scales = {1, 1};
  check<float>(p);
  p.scales = {1, 0.1f};
  Dims dims;
  EXPECT_EQ(test::run(p.op, inputs_of(p, Tensor::of<float>({2, 3}, std::vector<float>(6))))[0].dims(), (Dims{2, 0}));
  EXPECT_EQ(test::run(p.op, inputs_of(p, Tensor::of<float>({2, 0}, {})))[0].dims(), (Dims{2, 0}));
}

TEST(Resize, ManyRowsAreCutIntoParts) {
  Problem p;
  p.in = {3, 40, 300};
  p.sizes = {3, 90, 700};
  check<float>(p);
  p.op.mode = Mode::kLinear;
  check<float>(p);
  p.op.mode = Mode::kCubic;
  check<float>(p, 1e-4);
}

TEST(Resize, RefusesWhatCannotBe) {
  const Tensor x = Tensor::of<float>({1, 1, 4, 4}, std::vector<float>(16)), none;
  const auto by_scales = [&](std::vector<float> s) {
    return failure(Resize{}, {x, none, Tensor::of<float>({static_cast<int64_t>(s.size())}, s)});
  };
  const auto by_sizes = [&](std::vector<int64_t> s) {
    return failure(Resize{}, {x, none, none, Tensor::of<int64_t>({static_cast<int64_t>(s.size())}, s)});
  };
  expect_failure(by_scales({1, 1, 0, 0}), Code::kShape, {"scale"});
  expect_failure(by_scales({1, 1, INFINITY, 1}), Code::kShape, {"scale"});
  expect_failure(by_scales({1, 1, NAN, 1}), Code::kShape, {"scale"});
  expect_failure(by_scales({1, 1, -1, 1}), Code::kShape, {"scale"});
  expect_failure(by_scales({1, 1, 2}), Code::kShape, {"4 scales"});
  expect_failure(by_scales({1, 1, 1e20f, 1}), Code::kLimit, {"scale"});
  expect_failure(by_sizes({1, 4, int64_t{1} << 40, int64_t{1} << 40}), Code::kLimit, {"sizes"});
  expect_failure(by_sizes({1 << 30, 1 << 30, 1 << 30, 1 << 30}), Code::kLimit, {"sizes"});
  expect_failure(by_sizes({1, 1, -2, 4}), Code::kShape, {"sizes", "-2"});
  expect_failure(failure(Resize{}, {x}), Code::kShape, {"neither scales nor sizes"});
  expect_failure(failure(Resize{}, {Tensor::of<float>({0}, {}), none, none, Tensor::of<int64_t>({1}, {3})}), Code::kShape, {"empty"});
  Resize op;
  op.antialias = true;
  expect_failure(failure(op, {x, none, Tensor::of<float>({4}, {1, 1, 2, 2})}), Code::kShape, {"antialias"});
  op = {};
  op.axes = {1, 1};
  expect_failure(failure(op, {x, none, Tensor::of<float>({2}, {1, 2})}), Code::kShape, {"twice"});
  op.axes = {9};
  expect_failure(failure(op, {x, none, Tensor::of<float>({1}, {1})}), Code::kShape, {"axes 9"});
  op = {};
  op.coordinates = Coordinates::kTfCropAndResize;
  expect_failure(failure(op, {x, none, Tensor::of<float>({4}, {1, 1, 2, 2})}), Code::kShape, {"roi"});
  op = {};
  op.mode = Mode::kLinear;
  expect_failure(failure(op, {Tensor::of<bool>({2}, {true, false}), none, Tensor::of<float>({1}, {2})}), Code::kShape, {"bool"});
}

TEST(Resize, EmptyScalesMeanSizes) {  // opset 11
  const Tensor x = Tensor::of<float>({2}, {1, 2});
  const auto out = test::run(Resize{}, {x, Tensor::of<float>({0}, {}), Tensor::of<float>({0}, {}), Tensor::of<int64_t>({1}, {4})});
  EXPECT_EQ(values<float>(out[0]), (std::vector<float>{1, 1, 2, 2}));
}

TEST(Resize, SymbolicShapes) {
  const Dim h = Dim::symbol("h"), w = Dim::symbol("w");
  const Tensor scales = Tensor::of<float>({4}, {1, 1, 2, 0.5f});
  Type s = test::symbolic(DType::kFloat32, {4});
  s.constant = &scales;
  const auto out = ops::infer(Resize{}, {test::symbolic(DType::kFloat32, {1, 3, h, w}), Type::none(), s});
  ASSERT_TRUE(out.ok());
  EXPECT_EQ((*out)[0].shape[2], h * Dim(2));
  EXPECT_EQ((*out)[0].shape[3], Dim::floor_div(w, Dim(2)));
  Type sizes = test::symbolic(DType::kInt64, {4});
  sizes.contents = {Dim(1), Dim(3), h, w};
  const auto sized = ops::infer(Resize{}, {test::symbolic(DType::kFloat32, {1, 3, 8, 8}), Type::none(), Type::none(), sizes});
  ASSERT_TRUE(sized.ok());
  EXPECT_EQ((*sized)[0].str(), "float32[1, 3, h, w]");
}

}  // namespace
}  // namespace tenon

// RoiAlign against sample-by-sample evaluation in double.
#include "ops/roi_align.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <random>

#include "support/evaluate.h"

namespace tenon {
namespace {

using ops::RoiAlign;
using test::expect_failure;
using test::failure;
using test::run;

struct Problem {
  RoiAlign op;
  Dims x;
  std::vector<double> rois;
  std::vector<int64_t> batches;
};

std::vector<double> reference(const Problem& p, const std::vector<double>& x) {
  const int64_t c = p.x[1], h = p.x[2], w = p.x[3];
  std::vector<double> out;
  for (size_t r = 0; r < p.batches.size(); ++r) {
    const double offset = p.op.half_pixel ? 0.5 : 0, scale = p.op.spatial_scale;
    const double x0 = p.rois[4 * r] * scale - offset, y0 = p.rois[4 * r + 1] * scale - offset;
    double rw = p.rois[4 * r + 2] * scale - offset - x0, rh = p.rois[4 * r + 3] * scale - offset - y0;
    if (!p.op.half_pixel) {
      rw = std::max(rw, 1.0);
      rh = std::max(rh, 1.0);
    }
    const double bw = rw / static_cast<double>(p.op.output_width), bh = rh / static_cast<double>(p.op.output_height);
    const int64_t gw = p.op.sampling_ratio > 0 ? p.op.sampling_ratio : static_cast<int64_t>(std::ceil(bw));
    const int64_t gh = p.op.sampling_ratio > 0 ? p.op.sampling_ratio : static_cast<int64_t>(std::ceil(bh));
    for (int64_t k = 0; k < c; ++k) {
      const double* plane = x.data() + (p.batches[r] * c + k) * h * w;
      for (int64_t oy = 0; oy < p.op.output_height; ++oy) {
        for (int64_t ox = 0; ox < p.op.output_width; ++ox) {
          double sum = 0, best = -INFINITY;
          for (int64_t iy = 0; iy < gh; ++iy) {
            for (int64_t ix = 0; ix < gw; ++ix) {
              double yy = y0 + static_cast<double>(oy) * bh + (static_cast<double>(iy) + 0.5) * bh / static_cast<double>(gh);
              double xx = x0 + static_cast<double>(ox) * bw + (static_cast<double>(ix) + 0.5) * bw / static_cast<double>(gw);
              if (yy < -1 || yy > static_cast<double>(h) || xx < -1 || xx > static_cast<double>(w)) {
                best = std::max(best, 0.0);
                continue;
              }
              yy = std::clamp(yy, 0.0, static_cast<double>(h - 1));
              xx = std::clamp(xx, 0.0, static_cast<double>(w - 1));
              const auto yl = static_cast<int64_t>(yy), xl = static_cast<int64_t>(xx);
              const int64_t yh = std::min(yl + 1, h - 1), xh = std::min(xl + 1, w - 1);
              const double fy = yy - static_cast<double>(yl), fx = xx - static_cast<double>(xl);
              const double corners[] = {(1 - fy) * (1 - fx) * plane[yl * w + xl], (1 - fy) * fx * plane[yl * w + xh],
                                        fy * (1 - fx) * plane[yh * w + xl], fy * fx * plane[yh * w + xh]};
              for (double v : corners) {
                sum += v;
                best = std::max(best, v);
              }
            }
          }
          out.push_back(p.op.max ? (gh > 0 && gw > 0 ? best : 0) : sum / static_cast<double>(std::max<int64_t>(gh * gw, 1)));
        }
      }
    }
  }
  return out;
}

template <class T>
void check(const Problem& p, double tolerance) {
  std::mt19937 random(2);
  std::vector<T> x(*element_count(p.x)), rois;
  std::vector<double> wide;
  for (T& v : x) {
    v = static_cast<T>(static_cast<float>(random() % 64) / 8 - 4);
    wide.push_back(static_cast<double>(static_cast<float>(v)));
  }
  for (double v : p.rois) rois.push_back(static_cast<T>(static_cast<float>(v)));
  const int64_t n = static_cast<int64_t>(p.batches.size());
  const Tensor out = run(p.op, {Tensor::of(p.x, x), Tensor::of<T>({n, 4}, rois), Tensor::of<int64_t>({n}, p.batches)})[0];
  EXPECT_EQ(out.dims(), (Dims{n, p.x[1], p.op.output_height, p.op.output_width}));
  const auto expected = reference(p, wide);
  for (size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(static_cast<double>(static_cast<float>(out.as<T>()[i])), expected[i], tolerance) << i;
}

Problem example() {
  Problem p;
  p.x = {2, 3, 9, 11};
  p.op.output_height = 3;
  p.op.output_width = 4;
  p.op.spatial_scale = 0.5f;
  // Inside, across the border, outside, and one element.
  p.rois = {2, 2, 14, 12, -6, -4, 9.5, 30, 60, 60, 80, 90, 4, 4, 5, 5};
  p.batches = {0, 1, 1, 0};
  return p;
}

TEST(RoiAlign, AgreesWithSampleBySampleEvaluation) {
  for (bool max : {false, true}) {
    for (bool half : {false, true}) {
      for (int64_t ratio : {0, 1, 2, 5}) {
        Problem p = example();
        p.op.max = max;
        p.op.half_pixel = half;
        p.op.sampling_ratio = ratio;
        check<float>(p, 2e-5);
        check<double>(p, 1e-6);
      }
    }
  }
}

TEST(RoiAlign, HalfPrecision) {
  const Problem p = example();
  check<Float16>(p, 4e-3);
  check<BFloat16>(p, 4e-2);
}

TEST(RoiAlign, EmptyAndTurnedRegions) {
  for (bool max : {false, true}) {
    Problem p = example();
    p.op.max = max;
    p.rois = {4, 4, 4, 4, 12, 10, 2, 2, 6, 2, 2, 6, 0, 0, 22, 18};
    check<float>(p, 2e-5);
    p.op.sampling_ratio = 2;
    check<float>(p, 2e-5);
  }
}

TEST(RoiAlign, EnormousRegionsAndNonNumbersTakeNoTime) {
  const auto before = std::chrono::steady_clock::now();
  for (bool max : {false, true}) {
    RoiAlign op;
    op.max = max;
    op.output_height = op.output_width = 2;
    const std::vector<float> rois = {-1e9f,    -1e9f, 1e9f,   1e9f,   NAN,   0,     1, 1, -INFINITY, 0,
                                     INFINITY, 1,     -3e38f, -3e38f, 3e38f, 3e38f, 0, 0, 1e30f,     1e30f};
    const Tensor out = run(op, {Tensor::of<float>({1, 1, 4, 4}, std::vector<float>(16, 1)), Tensor::of<float>({5, 4}, rois),
                                Tensor::of<int64_t>({5}, {0, 0, 0, 0, 0})})[0];
    EXPECT_EQ(out.count(), 20);
  }
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count(), 1.0);
}

TEST(RoiAlign, Errors) {
  const Tensor x = Tensor::of<float>({1, 1, 2, 2}, std::vector<float>(4)), roi = Tensor::of<float>({1, 4}, {0, 0, 1, 1});
  expect_failure(failure(RoiAlign{}, {x, roi, Tensor::of<int64_t>({1}, {1})}), Code::kRun, {"index 1", "input 2"});
  expect_failure(failure(RoiAlign{}, {x, roi, Tensor::of<int64_t>({1}, {-1})}), Code::kRun, {"-1"});
  expect_failure(failure(RoiAlign{}, {x, roi, Tensor::of<int64_t>({2}, {0, 0})}), Code::kShape, {"input 2"});
  expect_failure(failure(RoiAlign{}, {x, Tensor::of<float>({1, 5}, std::vector<float>(5)), Tensor::of<int64_t>({1}, {0})}), Code::kShape,
                 {"[rois, 4]"});
  RoiAlign op;
  op.output_width = 0;
  expect_failure(failure(op, {x, roi, Tensor::of<int64_t>({1}, {0})}), Code::kShape, {"output_width 0"});
  op = {};
  op.sampling_ratio = int64_t{1} << 40;
  expect_failure(failure(op, {x, roi, Tensor::of<int64_t>({1}, {0})}), Code::kShape, {"sampling_ratio"});
}

}  // namespace
}  // namespace tenon

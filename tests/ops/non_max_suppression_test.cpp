#include "ops/non_max_suppression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "support/evaluate.h"

namespace tenon {
namespace {

using test::expect_failure;
using test::failure;
using test::run;
using test::values;

struct Problem {
  int64_t batches = 1, classes = 1, n = 0, most = 0;
  float iou = 0;
  std::optional<float> threshold;
  bool center = false;
  std::vector<float> boxes, scores;

  std::vector<Tensor> inputs() const {
    std::vector<Tensor> in = {Tensor::of<float>({batches, n, 4}, boxes), Tensor::of<float>({batches, classes, n}, scores),
                              Tensor::of<int64_t>({1}, {most}), Tensor::of<float>({1}, {iou})};
    if (threshold) in.push_back(Tensor::of<float>({}, {*threshold}));
    return in;
  }
};

double overlap(const float* a, const float* b, bool center) {
  double p[4], q[4];
  const auto corners = [&](const float* s, double* c) {
    for (int i = 0; i < 2; ++i) {
      const double lo = center ? s[i] - s[i + 2] / 2.0 : std::min(s[i], s[i + 2]),
                   hi = center ? s[i] + s[i + 2] / 2.0 : std::max(s[i], s[i + 2]);
      c[i] = lo;
      c[i + 2] = hi;
    }
  };
  corners(a, p);
  corners(b, q);
  const double w = std::min(p[2], q[2]) - std::max(p[0], q[0]), h = std::min(p[3], q[3]) - std::max(p[1], q[1]);
  if (w <= 0 || h <= 0) return 0;
  const double area = (p[2] - p[0]) * (p[3] - p[1]) + (q[2] - q[0]) * (q[3] - q[1]) - w * h;
  return w * h / area;
}

/// Greedy choice in double, straight from the operator's text.
std::vector<int64_t> reference(const Problem& p) {
  std::vector<int64_t> rows;
  for (int64_t b = 0; b < p.batches; ++b) {
    for (int64_t c = 0; c < p.classes; ++c) {
      const float* score = p.scores.data() + (b * p.classes + c) * p.n;
      std::vector<int64_t> order(p.n), chosen;
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return score[i] > score[j]; });
      for (int64_t i : order) {
        if (static_cast<int64_t>(chosen.size()) >= p.most) break;
        if (p.threshold && score[i] <= *p.threshold) continue;
        const bool free = std::none_of(chosen.begin(), chosen.end(), [&](int64_t k) {
          return overlap(p.boxes.data() + (b * p.n + i) * 4, p.boxes.data() + (b * p.n + k) * 4, p.center) > p.iou;
        });
        if (!free) continue;
        chosen.push_back(i);
        rows.insert(rows.end(), {b, c, i});
      }
    }
  }
  return rows;
}

void check(const Problem& p) {
  const Tensor out = run(ops::NonMaxSuppression{p.center}, p.inputs())[0];
  const auto expected = reference(p);
  EXPECT_EQ(out.dims(), (Dims{static_cast<int64_t>(expected.size()) / 3, 3}));
  EXPECT_EQ(values<int64_t>(out), expected);
}

Problem random_problem(int64_t batches, int64_t classes, int64_t n, bool center) {
  std::mt19937 random(4);
  std::uniform_real_distribution<float> unit(0, 1);
  Problem p;
  p.batches = batches;
  p.classes = classes;
  p.n = n;
  p.center = center;
  for (int64_t i = 0; i < batches * n; ++i) {
    const float x = unit(random), y = unit(random), w = unit(random) * 0.3f + 0.01f, h = unit(random) * 0.3f + 0.01f;
    const float flip = i % 3 == 0 ? -1.f : 1.f;  // any two opposite corners are allowed
    if (center) {
      p.boxes.insert(p.boxes.end(), {x, y, w, h});
    } else {
      p.boxes.insert(p.boxes.end(), {y, x, y + flip * h, x + w});
    }
  }
  for (int64_t i = 0; i < batches * classes * n; ++i) p.scores.push_back(std::round(unit(random) * 50) / 50);  // with ties
  return p;
}

TEST(NonMaxSuppression, AgreesWithGreedyChoice) {
  for (bool center : {false, true}) {
    Problem p = random_problem(2, 3, 60, center);
    for (float iou : {0.f, 0.1f, 0.5f, 1.f}) {
      for (int64_t most : {1, 7, 1000}) {
        p.iou = iou;
        p.most = most;
        p.threshold.reset();
        check(p);
        p.threshold = 0.42f;
        check(p);
      }
    }
  }
}

TEST(NonMaxSuppression, DefaultsAndEmptyInputs) {
  Problem p = random_problem(1, 1, 5, false);
  // Without the third input nothing is chosen.
  EXPECT_EQ(run(ops::NonMaxSuppression{}, {p.inputs()[0], p.inputs()[1]})[0].dims(), (Dims{0, 3}));
  p.most = -4;
  EXPECT_EQ(run(ops::NonMaxSuppression{}, p.inputs())[0].dims(), (Dims{0, 3}));
  Problem none;
  none.most = 10;
  check(none);
}

TEST(NonMaxSuppression, EqualThresholdKeepsAndNanScoresComeLast) {
  Problem p;
  p.n = 3;
  p.most = 3;
  p.iou = 0.5f;
  p.boxes = {0, 0, 1, 1, 0, 0, 1, 0.5f, 3, 3, 4, 4};  // overlap of the first two is exactly 1/2
  p.scores = {NAN, 0.5f, 0.9f};
  EXPECT_EQ(values<int64_t>(run(ops::NonMaxSuppression{}, p.inputs())[0]), (std::vector<int64_t>{0, 0, 2, 0, 0, 1, 0, 0, 0}));
  p.threshold = -100.f;
  EXPECT_EQ(values<int64_t>(run(ops::NonMaxSuppression{}, p.inputs())[0]), (std::vector<int64_t>{0, 0, 2, 0, 0, 1}));
}

TEST(NonMaxSuppression, Errors) {
  Problem p = random_problem(1, 1, 3, false);
  p.most = 1;
  p.iou = 2;
  expect_failure(failure(ops::NonMaxSuppression{}, p.inputs()), Code::kRun, {"iou_threshold 2"});
  auto in = p.inputs();
  in[1] = Tensor::of<float>({1, 1, 4}, std::vector<float>(4));
  expect_failure(failure(ops::NonMaxSuppression{}, in), Code::kShape, {"input 1"});
  in[0] = Tensor::of<float>({1, 3, 5}, std::vector<float>(15));
  expect_failure(failure(ops::NonMaxSuppression{}, in), Code::kShape, {"[batches, boxes, 4]"});
}

}  // namespace
}  // namespace tenon

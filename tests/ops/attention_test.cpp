#include "ops/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "ops/evaluate.h"
#include "support/targets.h"

namespace tenon {
namespace {

struct Case {
  int64_t batch, heads, kv_heads, queries, keys, size, value_size;
  Dims mask = {};
  bool masked = false;
  ops::Attention op = {};
  float scale = 0.3f;
};

std::vector<float> random_values(int64_t count, uint32_t seed) {
  std::mt19937 gen(seed);
  std::uniform_real_distribution<float> dist(-1, 1);
  std::vector<float> v(static_cast<size_t>(count));
  for (float& x : v) x = dist(gen);
  return v;
}

/// [batch, heads, rows, size] in the order an operand wants.
Tensor arrange(const std::vector<float>& v, int64_t b, int64_t h, int64_t r, int64_t s, bool by_row, bool transposed) {
  std::vector<float> out(v.size());
  for (int64_t i = 0; i < b; ++i)
    for (int64_t j = 0; j < h; ++j)
      for (int64_t k = 0; k < r; ++k)
        for (int64_t l = 0; l < s; ++l) {
          const int64_t from = ((i * h + j) * r + k) * s + l;
          const int64_t to = by_row ? ((i * r + k) * h + j) * s + l : transposed ? ((i * h + j) * s + l) * r + k : from;
          out[static_cast<size_t>(to)] = v[static_cast<size_t>(from)];
        }
  return Tensor::of<float>(by_row ? Dims{b, r, h, s} : transposed ? Dims{b, h, s, r} : Dims{b, h, r, s}, out);
}

void check(const Case& c, const std::vector<float>* mask_values = nullptr) {
  SCOPED_TRACE(std::to_string(c.batch) + "x" + std::to_string(c.heads) + " queries " + std::to_string(c.queries) + " keys " +
               std::to_string(c.keys) + " size " + std::to_string(c.size) + "/" + std::to_string(c.value_size));
  const auto q = random_values(c.batch * c.heads * c.queries * c.size, 1), k = random_values(c.batch * c.kv_heads * c.keys * c.size, 2);
  const auto v = random_values(c.batch * c.kv_heads * c.keys * c.value_size, 3);
  ops::Attention op = c.op;
  op.scale = c.scale;
  const Tensor tq = arrange(q, c.batch, c.heads, c.queries, c.size, op.q_by_row, false);
  const Tensor tk = arrange(k, c.batch, c.kv_heads, c.keys, c.size, op.k_by_row, op.k_transposed);
  const Tensor tv = arrange(v, c.batch, c.kv_heads, c.keys, c.value_size, op.v_by_row, false);
  Tensor tm;
  Dims mask = c.mask;
  if (c.masked) {
    int64_t count = 1;
    for (int64_t d : mask) count *= d;
    tm = Tensor::of<float>(mask, mask_values != nullptr ? *mask_values : random_values(count, 4));
    mask.insert(mask.begin(), 4 - mask.size(), 1);
  }
  std::vector<const Tensor*> in{&tq, &tk, &tv};
  if (c.masked) in.push_back(&tm);
  auto out = evaluate(Op(op), in);
  ASSERT_TRUE(out.ok()) << out.status().message();
  std::vector<float> expected;
  for (int64_t b = 0; b < c.batch; ++b) {
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t kv = h / (c.heads / c.kv_heads);
      for (int64_t i = 0; i < c.queries; ++i) {
        std::vector<double> scores;
        double max = -INFINITY, total = 0;
        for (int64_t j = 0; j < c.keys; ++j) {
          double s = 0;
          for (int64_t l = 0; l < c.size; ++l) {
            s += static_cast<double>(q[static_cast<size_t>(((b * c.heads + h) * c.queries + i) * c.size + l)]) *
                 static_cast<double>(k[static_cast<size_t>(((b * c.kv_heads + kv) * c.keys + j) * c.size + l)]);
          }
          s *= static_cast<double>(c.scale);
          if (op.softcap != 0) s = static_cast<double>(op.softcap) * std::tanh(s);
          if (c.masked) {
            const int64_t at[4] = {b, h, i, j};
            int64_t offset = 0;
            for (size_t d = 0; d < 4; ++d) offset = offset * mask[d] + (mask[d] == 1 ? 0 : at[d]);
            const auto m = static_cast<double>(tm.as<float>()[offset]);
            s = op.mask_replaces && m != 0 ? m : op.mask_replaces ? s : s + m;
          }
          scores.push_back(s);
          max = std::max(max, s);
        }
        for (double& s : scores) total += s = std::exp(s - max);
        for (int64_t l = 0; l < c.value_size; ++l) {
          double sum = 0;
          for (int64_t j = 0; j < c.keys; ++j) {
            sum += scores[static_cast<size_t>(j)] / total *
                   static_cast<double>(v[static_cast<size_t>(((b * c.kv_heads + kv) * c.keys + j) * c.value_size + l)]);
          }
          if (c.op.nan_to_zero && std::isnan(sum)) sum = 0;
          expected.push_back(static_cast<float>(sum));
        }
      }
    }
  }
  const Tensor want = arrange(expected, c.batch, c.heads, c.queries, c.value_size, op.y_by_row, false);
  ASSERT_EQ((*out)[0].dims(), want.dims());
  for (int64_t i = 0; i < want.count(); ++i) {
    if (std::isnan(want.as<float>()[i])) {
      ASSERT_TRUE(std::isnan((*out)[0].as<float>()[i])) << i;
    } else {
      ASSERT_NEAR((*out)[0].as<float>()[i], want.as<float>()[i], 2e-5) << i;
    }
  }
}

TEST(Attention, Shapes) {
  test::for_each_target([] {
    for (int64_t queries : {1, 4, 5, 14, 33, 60}) {
      for (int64_t keys : {1, 7, 64, 130, 400, 800}) {
        for (int64_t size : {3, 32, 64})
          check({.batch = 1, .heads = 2, .kv_heads = 2, .queries = queries, .keys = keys, .size = size, .value_size = size});
      }
    }
    for (int64_t queries : {3, 9}) {
      check({.batch = 1,
             .heads = 2,
             .kv_heads = 2,
             .queries = queries,
             .keys = 0,
             .size = 32,
             .value_size = 32,
             .mask = {queries, 0},
             .masked = true});
    }
    check({.batch = 2, .heads = 3, .kv_heads = 3, .queries = 9, .keys = 20, .size = 384, .value_size = 80});
    check({.batch = 2, .heads = 3, .kv_heads = 3, .queries = 2, .keys = 20, .size = 80, .value_size = 40});
  });
}

TEST(Attention, Layouts) {
  test::for_each_target([] {
    for (int bits = 0; bits < 16; ++bits) {
      ops::Attention op;
      op.q_by_row = (bits & 1) != 0;
      op.k_by_row = (bits & 2) != 0;
      op.v_by_row = (bits & 4) != 0;
      op.y_by_row = (bits & 8) != 0;
      for (int64_t queries : {2, 20})
        check({.batch = 2, .heads = 4, .kv_heads = 2, .queries = queries, .keys = 37, .size = 32, .value_size = 48, .op = op});
    }
    for (int64_t queries : {2, 20})
      check({.batch = 2,
             .heads = 4,
             .kv_heads = 2,
             .queries = queries,
             .keys = 37,
             .size = 32,
             .value_size = 48,
             .op = {.k_transposed = true}});
  });
}

TEST(Attention, CappedScoresThatTheMaskTakesOut) {
  std::vector<float> mask(9 * 37, 0);
  for (size_t i = 0; i < mask.size(); ++i)
    if (i % 3 == 0 || i / 37 == 4) mask[i] = -INFINITY;
  test::for_each_target([&] {
    for (const bool zero : {false, true})
      check({.batch = 1,
             .heads = 2,
             .kv_heads = 2,
             .queries = 9,
             .keys = 37,
             .size = 32,
             .value_size = 32,
             .mask = {9, 37},
             .masked = true,
             .op = {.softcap = -2, .nan_to_zero = zero}},
            &mask);
  });
}

/// Q, K and V beside each other in one tensor, other heads around them.
TEST(Attention, WindowsOfHeads) {
  test::for_each_target([] {
    constexpr int64_t kBatch = 2, kRows = 21, kSize = 32, kAll = 10;
    const Tensor all = Tensor::of<float>({kBatch, kRows, kAll, kSize}, random_values(kBatch * kRows * kAll * kSize, 5));
    const auto window = [&](int64_t first, int64_t heads, int64_t rows) {
      std::vector<float> v;
      for (int64_t b = 0; b < kBatch; ++b)
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t i = 0; i < heads * kSize; ++i) v.push_back(all.as<float>()[((b * kRows + r) * kAll + first) * kSize + i]);
      return Tensor::of<float>({kBatch, rows, heads, kSize}, v);
    };
    for (const int64_t queries : {3L, kRows}) {
      const Tensor rows = window(0, kAll, queries), q = window(1, 4, queries), k = window(5, 2, kRows), v = window(7, 2, kRows);
      ops::Attention op{.scale = 0.3f, .q_by_row = true, .k_by_row = true, .v_by_row = true};
      const auto want = evaluate(Op(op), {&q, &k, &v});
      op.q_heads = {1, 4};
      op.k_heads = {5, 2};
      op.v_heads = {7, 2};
      const auto got = evaluate(Op(op), {&rows, &all, &all});
      ASSERT_TRUE(want.ok() && got.ok()) << got.status().message();
      ASSERT_EQ((*got)[0].dims(), (*want)[0].dims());
      for (int64_t i = 0; i < (*want)[0].count(); ++i) ASSERT_EQ((*got)[0].as<float>()[i], (*want)[0].as<float>()[i]) << i;
    }
  });
}

TEST(Attention, WindowsMustLieInside) {
  const Tensor x = Tensor::of<float>({1, 5, 6, 8}, random_values(240, 1));
  const auto status = [&](ops::Attention::Window window, bool by_row) {
    const ops::Attention op{.q_by_row = by_row, .k_by_row = true, .v_by_row = true, .q_heads = window};
    return evaluate(Op(op), {&x, &x, &x}).status();
  };
  EXPECT_TRUE(status({0, 6}, true).ok());
  for (const auto& [first, heads] : std::vector<std::pair<int64_t, int64_t>>{{-1, 6}, {1, 6}, {0, 7}, {INT64_MAX, 6}, {3, 0}})
    EXPECT_FALSE(status({first, heads}, true).ok()) << first << " " << heads;
  EXPECT_FALSE(status({0, 6}, false).ok());
}

Case masked(int64_t queries, int64_t keys, const Dims& mask) {
  return {
      .batch = 2, .heads = 4, .kv_heads = 4, .queries = queries, .keys = keys, .size = 16, .value_size = 32, .mask = mask, .masked = true};
}

TEST(Attention, Masks) {
  test::for_each_target([] {
    for (int64_t queries : {3, 17}) {
      for (const Dims& mask :
           std::vector<Dims>{{2, 4, queries, 21}, {2, 1, 1, 21}, {1, 1, queries, 21}, {queries, 21}, {21}, {1, 4, 1, 1}, {}}) {
        check(masked(queries, 21, mask));
      }
    }
  });
}

TEST(Attention, CapsScoresBeforeTheMask) {
  test::for_each_target([] {
    for (const int64_t queries : {1, 3, 20}) {
      for (const int64_t keys : {1, 37, 300}) {
        for (const bool replaces : {false, true}) {
          Case c = masked(queries, keys, {queries, keys});
          c.kv_heads = 2, c.size = 32;
          c.op.softcap = 1.5f, c.op.mask_replaces = replaces;
          check(c);
        }
      }
    }
  });
}

/// Half of the mask is 0 and leaves the scores; what stands for the others is no further away than scores are, and may be all there is.
TEST(Attention, MasksThatReplaceScores) {
  test::for_each_target([] {
    for (int64_t queries : {3, 17}) {
      for (const Dims& mask : std::vector<Dims>{{2, 4, queries, 213}, {2, 1, 1, 213}, {queries, 213}, {213}, {1, 4, 1, 1}}) {
        int64_t count = 1;
        for (const int64_t d : mask) count *= d;
        for (const float fill : {0.5f, -1e4f, -std::numeric_limits<float>::max(), -INFINITY}) {
          std::vector<float> values(static_cast<size_t>(count), fill);
          for (size_t i = 0; i < values.size(); i += 2) values[i] = 0;
          Case c = masked(queries, 213, mask);
          c.op.mask_replaces = true;
          check(c, &values);
          std::fill(values.begin(), values.end(), fill);
          check(c, &values);
        }
      }
    }
  });
}

/// A causal mask, longer than a block of keys; the first row sees nothing.
TEST(Attention, RowsThatSeeNothing) {
  test::for_each_target([] {
    for (int64_t queries : {4, 15}) {
      for (int64_t keys : {20, 500}) {
        std::vector<float> mask(static_cast<size_t>(queries * keys), 0);
        for (int64_t i = 0; i < queries; ++i) {
          for (int64_t j = 0; j < keys; ++j) {
            if (j >= i * 40) mask[static_cast<size_t>(i * keys + j)] = -INFINITY;
          }
        }
        const Case hidden{.batch = 1,
                          .heads = 2,
                          .kv_heads = 2,
                          .queries = queries,
                          .keys = keys,
                          .size = 32,
                          .value_size = 32,
                          .mask = {queries, keys},
                          .masked = true};
        for (bool zero : {false, true}) {
          Case c = hidden;
          c.op.nan_to_zero = zero;
          check(c, &mask);
        }
        // The other way round: the first blocks of keys are hidden.
        std::reverse(mask.begin(), mask.end());
        check(hidden, &mask);
      }
    }
  });
}

/// Weights over 34 orders of magnitude keep their digits: of a score x below the largest, all but |x| units in the last place. Ascending
/// scores make every block of keys shrink what came before.
TEST(Attention, WeightsOfFarScores) {
  constexpr int64_t kSize = 32;
  const auto check_weights = [](int64_t queries, const std::vector<float>& scores) {
    const auto keys = static_cast<int64_t>(scores.size());
    SCOPED_TRACE(std::to_string(queries) + " queries, " + std::to_string(keys) + " keys");
    const auto zeros = [](Dims dims) { return Tensor::of<float>(dims, std::vector<float>(static_cast<size_t>(dims[2] * dims[3]), 0.0f)); };
    std::vector<float> chosen(static_cast<size_t>(keys * kSize), 0.0f);
    std::vector<double> want(kSize, 0.0);
    const double largest = static_cast<double>(*std::max_element(scores.begin(), scores.end()));
    double total = 0;
    for (int64_t j = 0; j < keys; ++j) {
      const double weight = std::exp(static_cast<double>(scores[static_cast<size_t>(j)]) - largest);
      chosen[static_cast<size_t>(j * kSize + j % kSize)] = 1;
      want[static_cast<size_t>(j % kSize)] += weight;
      total += weight;
    }
    const Tensor q = zeros({1, 1, queries, kSize}), k = zeros({1, 1, keys, kSize}), v = Tensor::of<float>({1, 1, keys, kSize}, chosen);
    const Tensor mask = Tensor::of<float>({keys}, scores);
    const auto out = evaluate(Op(ops::Attention{}), {&q, &k, &v, &mask});
    ASSERT_TRUE(out.ok()) << out.status().message();
    for (int64_t i = 0; i < queries * kSize; ++i) {
      const double expected = want[static_cast<size_t>(i % kSize)] / total;
      ASSERT_NEAR(static_cast<double>((*out)[0].as<float>()[i]), expected, expected * (8 - std::log(expected)) * 0x1p-23) << i;
    }
  };
  test::for_each_target([&] {
    for (int64_t queries : {2, 20}) {
      std::vector<float> apart, ascending;
      for (int64_t j = 0; j < kSize; ++j) apart.push_back(-2.5f * static_cast<float>(j * 5 % kSize));
      for (int64_t j = 0; j < 1000; ++j) ascending.push_back(0.07f * static_cast<float>(j) - 30);
      check_weights(queries, apart);
      check_weights(queries, ascending);
    }
  });
}

TEST(Attention, RefusesWhatDoesNotFit) {
  auto f32 = [](Dims d) { return Type::of(DType::kFloat32, Shape::of(d)); };
  auto refused = [&](const Types& in) { return !infer(Op(ops::Attention{}), in).ok(); };
  EXPECT_FALSE(refused({f32({1, 4, 5, 8}), f32({1, 2, 6, 8}), f32({1, 2, 6, 9})}));
  EXPECT_TRUE(refused({f32({1, 4, 5, 8}), f32({1, 3, 6, 8}), f32({1, 3, 6, 9})}));
  EXPECT_TRUE(refused({f32({1, 4, 5, 8}), f32({1, 4, 6, 7}), f32({1, 4, 6, 9})}));
  EXPECT_TRUE(refused({f32({1, 4, 5, 8}), f32({1, 4, 6, 8}), f32({1, 4, 7, 9})}));
  EXPECT_TRUE(refused({f32({1, 4, 5, 400}), f32({1, 4, 6, 400}), f32({1, 4, 6, 9})}));
  EXPECT_TRUE(refused({f32({4, 5, 8}), f32({1, 4, 6, 8}), f32({1, 4, 6, 9})}));
  EXPECT_TRUE(refused({f32({1, 4, 5, 8}), f32({1, 4, 6, 8}), f32({1, 4, 6, 9}), f32({5, 7})}));
}

}  // namespace
}  // namespace tenon

// Random graphs give the same results with all passes on, all off, and each one alone, at one and two threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "plan/model.h"

namespace tenon {
namespace {

using ops::Binary;
using ops::Unary;

class Generator {
 public:
  explicit Generator(uint32_t seed, bool symbolic) : rng_(seed) {
    batch_ = symbolic ? Dim::symbol("batch") : Dim(kBatch);
    image_ = input({batch_, Dim(channels_), 9, 10});
    rows_ = input({batch_, 6, 16});
  }

  Graph make() {
    for (int i = 0; i < 14; ++i) {
      if (rng_() % 2) {
        image_step();
      } else {
        rows_step();
      }
    }
    output(image_);
    output(rows_);
    if (kept_ != kNone) output(kept_);
    return std::move(graph_);
  }

  std::vector<Tensor> inputs() {
    std::vector<Tensor> out;
    for (const Dims& d : input_dims_) out.push_back(floats(d, 1));
    return out;
  }

 private:
  static constexpr int64_t kBatch = 2;

  ValueId input(DimList dims) {
    Dims concrete;
    for (const Dim& d : dims) concrete.push_back(d.is_const() ? d.value() : kBatch);
    input_dims_.push_back(concrete);
    return *graph_.add_input(0, "in" + std::to_string(input_dims_.size()), Type::of(DType::kFloat32, Shape(std::move(dims))));
  }
  void output(ValueId v) { EXPECT_TRUE(graph_.add_output(0, v).ok()); }
  Tensor floats(Dims dims, float scale) {
    Tensor t = *Tensor::allocate(DType::kFloat32, std::move(dims));
    std::normal_distribution<float> normal(0, scale);
    for (int64_t i = 0; i < t.count(); ++i) t.as<float>()[i] = normal(rng_);
    return t;
  }
  ValueId constant(Dims dims, float scale = 0.4f) { return graph_.add_constant(0, "", floats(std::move(dims), scale)); }
  ValueId scalar(float v) { return graph_.add_constant(0, "", Tensor::scalar(v)); }
  ValueId ints(std::vector<int64_t> v) { return graph_.add_constant(0, "", Tensor::of<int64_t>({static_cast<int64_t>(v.size())}, v)); }
  ValueId node(Op op, std::vector<ValueId> in) {
    auto out = graph_.add_node(0, std::move(op), std::move(in), {.name = "n" + std::to_string(++count_)});
    EXPECT_TRUE(out.ok()) << out.status().message();
    return (*out)[0];
  }
  ValueId unary(Unary::Kind k, ValueId x) {
    Unary op;
    op.kind = k;
    if (k == Unary::Kind::kLeakyRelu) op.alpha = 0.1f;
    if (k == Unary::Kind::kHardSigmoid) {
      op.alpha = 0.2f;
      op.beta = 0.5f;
    }
    return node(op, {x});
  }
  ValueId binary(Binary::Kind k, ValueId a, ValueId b) {
    Binary op;
    op.kind = k;
    return node(op, {a, b});
  }
  ValueId random_unary(ValueId x) {
    static const Unary::Kind kinds[] = {Unary::Kind::kRelu,      Unary::Kind::kSigmoid,     Unary::Kind::kTanh,
                                        Unary::Kind::kLeakyRelu, Unary::Kind::kHardSigmoid, Unary::Kind::kHardSwish,
                                        Unary::Kind::kGelu,      Unary::Kind::kErf,         Unary::Kind::kAbs};
    return unary(kinds[rng_() % std::size(kinds)], x);
  }
  ValueId transpose(ValueId x, std::vector<int64_t> perm) {
    ops::Transpose op;
    op.perm = std::move(perm);
    return node(op, {x});
  }

  void image_step() {
    const int64_t c = channels_;
    switch (rng_() % 9) {
      case 0:
      case 1: {  // convolution, sometimes pointwise, sometimes with batch-norm-like arithmetic after it
        ops::Conv op;
        const bool point = rng_() % 2;
        const int64_t k = point ? 1 : 3, m = 8 + 4 * static_cast<int64_t>(rng_() % 5);
        if (!point) op.window.pads = {1, 1, 1, 1};
        ValueId y = node(op, {image_, constant({m, c, k, k}, 0.3f), rng_() % 2 ? constant({m}) : kNone});
        channels_ = m;
        if (rng_() % 2) y = binary(Binary::Kind::kMul, y, constant({1, m, 1, 1}, 1));
        if (rng_() % 2) y = binary(Binary::Kind::kAdd, y, constant({1, m, 1, 1}, 1));
        image_ = rng_() % 2 ? random_unary(y) : y;
        break;
      }
      case 2: {  // depthwise
        ops::Conv op;
        op.group = c;
        op.window.pads = {1, 1, 1, 1};
        image_ = node(op, {image_, constant({c, 1, 3, 3}), constant({c})});
        break;
      }
      case 3:
        image_ = rng_() % 4 ? random_unary(image_) : binary(Binary::Kind::kPRelu, image_, rng_() % 2 ? scalar(0.3f) : constant({c, 1, 1}));
        break;
      case 4: {  // residual block
        ops::Conv op;
        op.window.pads = {1, 1, 1, 1};
        const ValueId y = node(op, {random_unary(image_), constant({c, c, 3, 3}, 0.2f), kNone});
        image_ = unary(Unary::Kind::kRelu, binary(Binary::Kind::kAdd, y, image_));
        break;
      }
      case 5: {  // x * sigmoid(x), x * hard sigmoid(x)
        image_ = binary(Binary::Kind::kMul, image_, unary(rng_() % 2 ? Unary::Kind::kSigmoid : Unary::Kind::kHardSigmoid, image_));
        break;
      }
      case 6: {  // concatenation on channels
        ops::Concat op;
        op.axis = 1;
        image_ = node(op, {image_, random_unary(image_)});
        channels_ *= 2;
        if (channels_ > 40) {  // back to something small
          ops::Conv squeeze;
          image_ = node(squeeze, {image_, constant({8, channels_, 1, 1}, 0.2f), kNone});
          channels_ = 8;
        }
        break;
      }
      case 7: {  // there and back
        image_ = transpose(random_unary(transpose(image_, {0, 2, 3, 1})), {0, 3, 1, 2});
        break;
      }
      default: {  // squeeze and excite
        ops::Conv op;
        ValueId s = node(ops::Reduce{.kind = ops::Reduce::Kind::kMean, .keepdims = true}, {image_, ints({2, 3})});
        s = unary(Unary::Kind::kRelu, node(op, {s, constant({4, c, 1, 1}), constant({4})}));
        s = unary(Unary::Kind::kSigmoid, node(op, {s, constant({c, 4, 1, 1}), constant({c})}));
        image_ = binary(Binary::Kind::kMul, image_, s);
      }
    }
    if (rng_() % 7 == 0) kept_ = image_;
  }

  void rows_step() {
    switch (rng_() % 9) {
      case 0:
      case 1: {
        ValueId y = node(ops::MatMul{}, {rows_, constant({16, 16}, 0.3f)});
        if (rng_() % 2) y = binary(Binary::Kind::kAdd, y, constant({16}));
        if (rng_() % 3 == 0) y = binary(rng_() % 2 ? Binary::Kind::kMul : Binary::Kind::kSub, y, constant({1, 16}));
        if (rng_() % 2) y = binary(Binary::Kind::kAdd, rows_, y);
        rows_ = rng_() % 2 ? random_unary(y) : y;
        break;
      }
      case 2: {  // gelu as exporters write it
        const ValueId e = unary(Unary::Kind::kErf, binary(Binary::Kind::kDiv, rows_, scalar(std::sqrt(2.0f))));
        rows_ = binary(Binary::Kind::kMul, binary(Binary::Kind::kMul, rows_, binary(Binary::Kind::kAdd, e, scalar(1))), scalar(0.5f));
        break;
      }
      case 3: {  // layer normalisation from its parts
        const ops::Reduce mean{.kind = ops::Reduce::Kind::kMean, .keepdims = true};
        const ValueId m = node(mean, {rows_, ints({-1})}), d = binary(Binary::Kind::kSub, rows_, m);
        ValueId v = node(mean, {binary(Binary::Kind::kPow, rng_() % 2 ? d : rows_, scalar(2)), ints({-1})});
        if (rng_() % 2) v = unary(Unary::Kind::kRelu, binary(Binary::Kind::kSub, v, binary(Binary::Kind::kMul, m, m)));
        const ValueId s = unary(Unary::Kind::kSqrt, binary(Binary::Kind::kAdd, v, scalar(1e-5f)));
        rows_ = binary(Binary::Kind::kAdd, binary(Binary::Kind::kMul, binary(Binary::Kind::kDiv, d, s), constant({16})), constant({16}));
        break;
      }
      case 4: {  // attention with two heads
        const auto heads = [&](std::vector<int64_t> perm) {
          const ValueId p = node(ops::MatMul{}, {rows_, constant({16, 16}, 0.3f)});
          return transpose(node(ops::Reshape{}, {p, ints({0, 6, 2, 8})}), std::move(perm));
        };
        const ValueId q = heads({0, 2, 1, 3}), k = heads({0, 2, 3, 1}), v = heads({0, 2, 1, 3});
        ValueId scores = rng_() % 2 ? node(ops::Einsum{"bhqd,bhdk->bhqk"}, {q, k}) : node(ops::MatMul{}, {q, k});
        scores = binary(Binary::Kind::kDiv, scores, scalar(std::sqrt(8.0f)));
        if (rng_() % 3 == 0) scores = binary(Binary::Kind::kMul, unary(Unary::Kind::kTanh, scores), scalar(1.5f));
        for (int masks = static_cast<int>(rng_() % 4); masks > 0; --masks)
          scores =
              binary(rng_() % 2 ? Binary::Kind::kAdd : Binary::Kind::kSub, scores, constant(rng_() % 2 ? Dims{6, 6} : Dims{1, 2, 1, 6}));
        const ValueId p = node(ops::Softmax{}, {scores});
        if (rng_() % 3 == 0) {
          const ValueId turned = node(ops::MatMul{}, {transpose(v, {0, 1, 3, 2}), transpose(p, {0, 1, 3, 2})});
          rows_ = node(ops::Reshape{}, {transpose(turned, {0, 3, 1, 2}), ints({0, 6, 16})});
        } else if (rng_() % 3 == 0) {
          rows_ = node(ops::Reshape{}, {node(ops::Einsum{"bhqk,bhkd->bqhd"}, {p, v}), ints({0, 6, 16})});
        } else {
          rows_ = node(ops::Reshape{}, {transpose(node(ops::MatMul{}, {p, v}), {0, 2, 1, 3}), ints({0, 6, 16})});
        }
        break;
      }
      case 5: rows_ = random_unary(rows_); break;
      case 6: rows_ = transpose(random_unary(transpose(rows_, {0, 2, 1})), {0, 2, 1}); break;
      case 7: {  // halves swapped, as rotary embeddings do
        const ValueId a = node(ops::Slice{}, {rows_, ints({0}), ints({8}), ints({2})}),
                      b = node(ops::Slice{}, {rows_, ints({8}), ints({INT64_MAX}), ints({2})});
        ops::Concat op;
        op.axis = -1;
        rows_ = binary(Binary::Kind::kAdd, binary(Binary::Kind::kMul, rows_, constant({6, 16})),
                       binary(Binary::Kind::kMul, node(op, {unary(Unary::Kind::kNeg, b), a}), constant({6, 16})));
        break;
      }
      default: {
        ops::Reshape op;
        rows_ = node(op, {node(op, {random_unary(rows_), ints({0, -1})}), ints({0, 6, 16})});
      }
    }
    if (rng_() % 7 == 0) kept_ = rows_;
  }

  std::mt19937 rng_;
  Graph graph_;
  Dim batch_;
  int64_t channels_ = 8;
  ValueId image_ = kNone, rows_ = kNone, kept_ = kNone;
  std::vector<Dims> input_dims_;
  int count_ = 0;
};

std::vector<Tensor> run(uint32_t seed, bool symbolic, PassOptions passes, int threads) {
  Generator generator(seed, symbolic);
  ModelOptions options;
  options.threads = threads;
  options.passes = std::move(passes);
  options.passes.validate = true;
  auto model = Model::create(generator.make(), options);
  EXPECT_TRUE(model.ok()) << model.status().message();
  if (!model.ok()) return {};
  std::vector<Tensor> out((*model)->outputs().size());
  const Status status = (*model)->run(generator.inputs(), out);
  EXPECT_TRUE(status.ok()) << status.message();
  return status.ok() ? out : std::vector<Tensor>{};
}

void expect_close(const std::vector<Tensor>& want, const std::vector<Tensor>& got, const std::string& what) {
  ASSERT_EQ(want.size(), got.size()) << what;
  for (size_t o = 0; o < want.size(); ++o) {
    ASSERT_EQ(want[o].dims(), got[o].dims()) << what;
    double scale = 1e-3;
    for (const float v : want[o].values<float>()) scale = std::max(scale, static_cast<double>(std::abs(v)));
    for (int64_t i = 0; i < want[o].count(); ++i) {
      ASSERT_NEAR(want[o].as<float>()[i], got[o].as<float>()[i], 2e-4 * scale) << what << ", output " << o << ", element " << i;
    }
  }
}

class RandomGraph : public testing::TestWithParam<int> {};

TEST_P(RandomGraph, PassesChangeNoResult) {
  const auto seed = static_cast<uint32_t>(GetParam());
  PassOptions off;
  off.enabled = false;
  const std::vector<Tensor> want = run(seed, false, off, 1);
  ASSERT_FALSE(want.empty());
  for (const bool symbolic : {false, true}) {
    expect_close(want, run(seed, symbolic, {}, 1), "all passes, symbolic " + std::to_string(symbolic));
    for (const Pass& pass : all_passes()) {
      PassOptions alone;
      alone.only.insert(pass.name);
      expect_close(want, run(seed, symbolic, alone, 1), std::string("only ") + pass.name);
    }
  }
  const std::vector<Tensor> one = run(seed, false, {}, 1), two = run(seed, false, {}, 2);
  for (size_t o = 0; o < one.size(); ++o) {
    EXPECT_EQ(std::memcmp(one[o].data(), two[o].data(), one[o].bytes()), 0) << "one and two threads differ";
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomGraph, testing::Range(0, 40));

}  // namespace
}  // namespace tenon

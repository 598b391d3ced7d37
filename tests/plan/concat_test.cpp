// Concat of what is computed in its place: no copies, the same results, and copies where values are needed elsewhere too.
#include <gtest/gtest.h>

#include <cmath>

#include "plan/model.h"
#include "support/ops.h"

namespace tenon {
namespace {

using ops::Unary;

class ConcatInPlace : public ::testing::Test {
 protected:
  ValueId input(Dims dims) {
    std::vector<float> v;
    for (int64_t i = 0; i < *element_count(dims); ++i) v.push_back(static_cast<float>(i % 23 - 11) / 4);
    given_.push_back(Tensor::of<float>(dims, v));
    return *graph_.add_input(0, "x" + std::to_string(given_.size()), Type::of(DType::kFloat32, Shape::of(dims)));
  }
  ValueId add(Op op, std::vector<ValueId> in) { return (*graph_.add_node(0, std::move(op), std::move(in)))[0]; }
  ValueId unary(Unary::Kind kind, ValueId x) { return add(testing_support::unary(kind), {x}); }
  ValueId concat(std::vector<ValueId> in, int64_t axis = 0) { return add(ops::Concat{axis}, std::move(in)); }
  void output(ValueId v) { ASSERT_TRUE(graph_.add_output(0, v, "y" + std::to_string(outputs_++)).ok()); }

  /// Runs with 1 and 2 threads, twice each; `in_place` many of the Concats do not copy.
  std::vector<std::vector<float>> run(int in_place) {
    ModelOptions options;
    options.passes.enabled = false;
    auto model = Model::create(std::move(graph_), options);
    EXPECT_TRUE(model.ok()) << model.status().message();
    int found = 0;
    const auto choices = (*model)->explain();
    for (const Choice& c : *choices) found += std::string(c.kernel) == "InPlace";
    EXPECT_EQ(found, in_place);
    std::vector<std::vector<float>> first;
    for (const int threads : {1, 2, 1}) {
      std::vector<Tensor> out(static_cast<size_t>(outputs_));
      RunOptions run;
      run.threads = threads;
      const Status status = (*model)->run(given_, out, run);
      EXPECT_TRUE(status.ok()) << status.message();
      std::vector<std::vector<float>> results;
      for (const Tensor& t : out) results.emplace_back(t.as<float>(), t.as<float>() + t.count());
      if (first.empty()) first = results;
      EXPECT_EQ(results, first);
    }
    return first;
  }

  /// f of all elements of input `i`, in order, behind what is in `to`.
  template <class F>
  void append(std::vector<float>& to, size_t i, F f) {
    for (int64_t k = 0; k < given_[i].count(); ++k) to.push_back(f(given_[i].as<float>()[k]));
  }

  Graph graph_;
  std::vector<Tensor> given_;
  int outputs_ = 0;
};

TEST_F(ConcatInPlace, OfConcats) {
  const ValueId x = input({3, 50}), y = input({2, 50});
  const ValueId inner = concat({unary(Unary::Kind::kNeg, x), unary(Unary::Kind::kAbs, y)});
  const ValueId relu = unary(Unary::Kind::kRelu, inner);
  output(concat({inner, unary(Unary::Kind::kNeg, relu)}));
  const auto got = run(2);
  std::vector<float> want;
  append(want, 0, [](float v) { return -v; });
  append(want, 1, [](float v) { return std::fabs(v); });
  append(want, 0, [](float v) { return v < 0 ? v : -0.0f; });
  append(want, 1, [](float v) { return -std::fabs(v); });
  EXPECT_EQ(got[0], want);
}

TEST_F(ConcatInPlace, WhatOthersReadAfterwardsIsStillThere) {
  const ValueId x = input({4, 64});
  const ValueId a = unary(Unary::Kind::kAbs, x), b = unary(Unary::Kind::kNeg, a);
  const ValueId joined = concat({a, b});
  // In place themselves, over values that lie in the Concat.
  const ValueId c = unary(Unary::Kind::kNeg, a), d = unary(Unary::Kind::kAbs, c);
  output(joined);
  output(d);
  output(b);
  const auto got = run(1);
  std::vector<float> abs, neg;
  append(abs, 0, [](float v) { return std::fabs(v); });
  append(neg, 0, [](float v) { return -std::fabs(v); });
  EXPECT_EQ(got[1], abs);
  EXPECT_EQ(got[2], neg);
  abs.insert(abs.end(), neg.begin(), neg.end());
  EXPECT_EQ(got[0], abs);
}

TEST_F(ConcatInPlace, ValuesThatCannotLieThereAreCopied) {
  const ValueId x = input({2, 30});
  const ValueId a = unary(Unary::Kind::kNeg, x), b = unary(Unary::Kind::kAbs, x), c = unary(Unary::Kind::kRelu, x);
  output(concat({a, x}));     // the caller's memory
  output(concat({b, b}));     // twice
  output(concat({a, c}, 1));  // rows that are apart
  output(concat({a, b}));     // lies in place
  output(concat({b, c}));     // b has its place already
  const auto got = run(1);
  std::vector<float> ab, bc;
  append(ab, 0, [](float v) { return -v; });
  append(ab, 0, [](float v) { return std::fabs(v); });
  append(bc, 0, [](float v) { return std::fabs(v); });
  append(bc, 0, [](float v) { return std::fmax(v, 0.0f); });
  EXPECT_EQ(got[3], ab);
  EXPECT_EQ(got[4], bc);
  for (size_t i = 0; i < 60; ++i) EXPECT_EQ(got[0][60 + i], given_[0].as<float>()[i]);
  for (size_t i = 0; i < 60; ++i) EXPECT_EQ(got[1][i], got[1][60 + i]);
}

TEST_F(ConcatInPlace, EmptyPieces) {
  const ValueId x = input({2, 30}), none = input({0, 30});
  output(concat({unary(Unary::Kind::kNeg, none), unary(Unary::Kind::kNeg, x), unary(Unary::Kind::kAbs, none)}));
  const auto got = run(1);
  std::vector<float> want;
  append(want, 1, [](float v) { return v; });
  append(want, 0, [](float v) { return -v; });
  EXPECT_EQ(got[0], want);
}

}  // namespace
}  // namespace tenon

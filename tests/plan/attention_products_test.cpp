// Attention whose Q, K and V are three products of one input: they become one, with the same results.
#include <gtest/gtest.h>

#include <random>

#include "plan/model.h"

namespace tenon {
namespace {

class AttentionOfThreeProducts : public ::testing::Test {
 protected:
  Tensor values(const Dims& dims) {
    Tensor t = *Tensor::allocate(DType::kFloat32, dims);
    std::uniform_real_distribution<float> dist(-0.5, 0.5);
    for (int64_t i = 0; i < t.count(); ++i) t.as<float>()[i] = dist(random_);
    return t;
  }
  ValueId input() {
    given_.push_back(values({2, 9, 24}));
    return *graph_.add_input(0, "x" + std::to_string(given_.size()), Type::of(DType::kFloat32, Shape{Dim::symbol("batch"), 9, 24}));
  }
  ValueId constant(const Dims& dims) { return graph_.add_constant(0, "c", values(dims)); }
  ValueId add(Op op, std::vector<ValueId> in) { return (*graph_.add_node(0, std::move(op), std::move(in)))[0]; }

  /// Heads of 16 elements, by row.
  ValueId heads(ValueId x, int64_t columns) {
    return add(ops::Reshape{}, {x, graph_.add_constant(0, "s", Tensor::of<int64_t>({4}, {0, 0, columns / 16, 16}))});
  }
  ValueId project(ValueId x, int64_t columns, bool biased) {
    std::vector<ValueId> in{x, constant({24, columns})};
    if (biased) in.push_back(constant({columns}));
    return heads(add(ops::MatMul{}, in), columns);
  }
  void attend(ValueId q, ValueId k, ValueId v) {
    output(add(ops::Attention{.scale = 0.3f, .q_by_row = true, .k_by_row = true, .v_by_row = true}, {q, k, v}));
  }
  void output(ValueId v) { ASSERT_TRUE(graph_.add_output(0, v, "y" + std::to_string(outputs_++)).ok()); }

  std::vector<Tensor> run(bool merge, int products) {
    ModelOptions options;
    options.passes.validate = true;
    if (!merge) options.passes.disabled.insert("merge_attention_products");
    auto model = Model::create(graph_, options);
    EXPECT_TRUE(model.ok()) << model.status().message();
    int found = 0;
    for (const NodeId id : (*model)->graph().region(0).nodes) {
      const Node& node = (*model)->graph().node(id);
      found += !node.dead && std::holds_alternative<ops::MatMul>(node.op);
    }
    EXPECT_EQ(found, products);
    std::vector<Tensor> out(static_cast<size_t>(outputs_));
    const Status status = (*model)->run(given_, out);
    EXPECT_TRUE(status.ok()) << status.message();
    return out;
  }
  void expect(int products) {
    const auto apart = run(false, 3), merged = run(true, products);
    for (size_t i = 0; i < apart.size(); ++i) {
      ASSERT_EQ(apart[i].dims(), merged[i].dims());
      for (int64_t k = 0; k < apart[i].count(); ++k) ASSERT_NEAR(apart[i].as<float>()[k], merged[i].as<float>()[k], 1e-5) << k;
    }
  }

  std::mt19937 random_{7};
  Graph graph_;
  std::vector<Tensor> given_;
  int outputs_ = 0;
};

TEST_F(AttentionOfThreeProducts, BecomesOneOfOne) {
  const ValueId x = input();
  attend(project(x, 128, true), project(x, 64, false), project(x, 64, true));
  expect(1);
}

TEST_F(AttentionOfThreeProducts, OfTransposedWeights) {
  const ValueId x = input();
  const auto transposed = [&] { return heads(add(ops::MatMul{.trans_b = true}, {x, constant({64, 24})}), 64); };
  attend(transposed(), transposed(), transposed());
  expect(1);
}

TEST_F(AttentionOfThreeProducts, OfAnotherInputStay) {
  const ValueId x = input(), z = input();
  attend(project(x, 64, true), project(z, 64, true), project(z, 64, true));
  expect(3);
}

TEST_F(AttentionOfThreeProducts, ReadElsewhereStay) {
  const ValueId x = input(), k = project(x, 64, true);
  attend(project(x, 64, true), k, project(x, 64, true));
  output(k);
  expect(3);
}

TEST_F(AttentionOfThreeProducts, OfWeightsReadElsewhereStay) {
  const ValueId x = input(), shared = constant({24, 64});
  attend(heads(add(ops::MatMul{}, {x, shared}), 64), project(x, 64, false), project(x, 64, false));
  output(shared);
  expect(3);
}

TEST_F(AttentionOfThreeProducts, ThatDoNotFillPanelsStay) {
  const ValueId x = input();
  const auto narrow = [&] {
    const ValueId shape = graph_.add_constant(0, "s", Tensor::of<int64_t>({4}, {0, 0, 3, 4}));
    return add(ops::Reshape{}, {add(ops::MatMul{}, {x, constant({24, 12})}), shape});
  };
  attend(narrow(), narrow(), narrow());
  expect(3);
}

}  // namespace
}  // namespace tenon

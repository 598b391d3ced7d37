// A fixture for tests of rewrite rules: builds a small graph, runs a rule on it, and compares results before and after.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "ops/evaluate.h"
#include "passes/passes.h"

namespace tenon::test {

inline Tensor values(Dims dims, uint32_t seed) {
  int64_t count = 1;
  for (int64_t d : dims) count *= d;
  std::mt19937 gen(seed);
  std::vector<float> v(static_cast<size_t>(count));
  for (float& x : v) x = static_cast<float>(static_cast<int>(gen() % 17) - 8) / 8;
  return Tensor::of<float>(std::move(dims), v);
}

class RewriteTest : public ::testing::Test {
 protected:
  ValueId input(Dims dims) {
    inputs_.push_back(values(dims, static_cast<uint32_t>(inputs_.size() + 1)));
    auto id = graph_.add_input(0, "x" + std::to_string(inputs_.size()), Type::of(DType::kFloat32, Shape::of(dims)));
    EXPECT_TRUE(id.ok());
    return *id;
  }
  ValueId constant(Dims dims) { return graph_.add_constant(0, "c", values(std::move(dims), 77)); }
  ValueId constant(float x) { return graph_.add_constant(0, "s", Tensor::scalar<float>(x)); }
  ValueId add(Op op, std::vector<ValueId> in) {
    auto out = graph_.add_node(0, std::move(op), std::move(in));
    EXPECT_TRUE(out.ok()) << out.status().message();
    return (*out)[0];
  }
  void output(ValueId v) { EXPECT_TRUE(graph_.add_output(0, v).ok()); }

  Tensor run() {
    std::map<ValueId, Tensor> known;
    for (size_t i = 0; i < inputs_.size(); ++i) known[graph_.region(0).inputs[i]] = inputs_[i];
    for (const NodeId id : graph_.region(0).nodes) {
      const Node& node = graph_.node(id);
      if (node.dead) continue;
      std::vector<const Tensor*> in;
      for (const ValueId v : node.inputs) {
        in.push_back(v == kNone ? nullptr : graph_.value(v).constant ? graph_.value(v).constant.get() : &known.at(v));
      }
      auto out = evaluate(node.op, in, static_cast<int>(node.outputs.size()));
      EXPECT_TRUE(out.ok()) << out.status().message();
      for (size_t i = 0; i < node.outputs.size(); ++i) known[node.outputs[i]] = (*out)[i];
    }
    return known.at(graph_.region(0).outputs[0]);
  }

  /// Runs `rule`, expects `rewrites` of them, a valid graph, the given number of nodes, and unchanged results.
  void expect(NodeRule rule, int64_t rewrites, int nodes, float tolerance = 1e-4f) {
    const Tensor before = run();
    auto done = run_pass(graph_, {.name = "rule", .rule = rule});
    ASSERT_TRUE(done.ok()) << done.status().message();
    EXPECT_EQ(*done, rewrites);
    EXPECT_EQ(graph_.live_nodes(), nodes) << dump(graph_);
    const Status valid = validate(graph_);
    EXPECT_TRUE(valid.ok()) << valid.message();
    const Tensor after = run();
    ASSERT_EQ(before.dims(), after.dims());
    for (int64_t i = 0; i < before.count(); ++i) ASSERT_NEAR(before.as<float>()[i], after.as<float>()[i], tolerance) << i;
  }

  Graph graph_;
  std::vector<Tensor> inputs_;
};

}  // namespace tenon::test

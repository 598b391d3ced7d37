// Steps done side by side: what they hold is kept apart, their results and errors are those of one step after the other.
#include "plan/fork.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>

#include "ops/evaluate.h"
#include "plan/model.h"
#include "support/ops.h"

namespace tenon {
namespace {

using ops::Binary;
using ops::Unary;
using testing_support::binary;
using testing_support::unary;

constexpr int64_t kWidth = 96;

/// A graph of small nodes that each read some of the values before, and the sizes a run needs.
class Web {
 public:
  Web(uint32_t seed, int nodes) : rng_(seed) {
    for (int i = 0; i < 2; ++i) values_.push_back(*graph_.add_input(0, "", Type::of(DType::kFloat32, Shape{1, kWidth})));
    for (int i = 0; i < nodes; ++i) values_.push_back(next());
    for (size_t i = 2; i < values_.size(); ++i) {
      if (rng_() % 5 == 0 || i + 1 == values_.size()) {
        EXPECT_TRUE(graph_.add_output(0, values_[i]).ok());
      }
    }
  }

  Graph take() { return std::move(graph_); }
  std::vector<Tensor> inputs() { return {floats({1, kWidth}, 1), floats({1, kWidth}, 1)}; }

 private:
  ValueId next() {
    switch (rng_() % 8) {
      case 0: return node(unary(Unary::Kind::kTanh), {any()});
      case 1: return node(unary(Unary::Kind::kRelu), {any()});
      case 2: return node(binary(Binary::Kind::kAdd), {any(), any()});
      case 3: return node(ops::Softmax{}, {any()});
      case 4: {
        const ValueId joined = node(ops::Concat{.axis = 1}, {any(), any()});
        return node(ops::MatMul{}, {joined, constant({2 * kWidth, kWidth})});
      }
      case 5: {  // halves in another order
        auto halves = *graph_.add_node(0, ops::Split{.axis = 1, .outputs = 2}, {any()}, {.output_names = {"a", "b"}});
        return node(ops::Concat{.axis = 1}, {halves[1], halves[0]});
      }
      default: return node(ops::MatMul{}, {any(), constant({kWidth, kWidth})});
    }
  }
  /// Mostly one of the latest.
  ValueId any() { return values_[values_.size() - 1 - rng_() % std::min<size_t>(values_.size(), rng_() % 3 ? 6 : 40)]; }
  ValueId node(Op op, std::vector<ValueId> in) {
    auto out = graph_.add_node(0, std::move(op), std::move(in));
    EXPECT_TRUE(out.ok()) << out.status().message();
    return (*out)[0];
  }
  Tensor floats(Dims dims, float scale) {
    Tensor t = *Tensor::allocate(DType::kFloat32, std::move(dims));
    std::normal_distribution<float> normal(0, scale);
    for (int64_t i = 0; i < t.count(); ++i) t.as<float>()[i] = normal(rng_);
    return t;
  }
  ValueId constant(Dims dims) { return graph_.add_constant(0, "", floats(std::move(dims), 0.1f)); }

  std::mt19937 rng_;
  Graph graph_;
  std::vector<ValueId> values_;
};

ModelOptions on(int threads, bool passes) {
  ModelOptions o;
  o.threads = threads;
  o.passes.enabled = passes;
  return o;
}

std::vector<Tensor> run(const Model& m, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> out(m.outputs().size());
  const Status status = m.run(inputs, out);
  EXPECT_TRUE(status.ok()) << status.message();
  return out;
}

/// Each node by itself, in the graph's order.
std::vector<Tensor> one_by_one(const Graph& g, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> values(static_cast<size_t>(g.values()));
  for (size_t i = 0; i < inputs.size(); ++i) values[static_cast<size_t>(g.region(0).inputs[i])] = inputs[i];
  for (const NodeId id : g.region(0).nodes) {
    const Node& n = g.node(id);
    std::vector<const Tensor*> in;
    for (const ValueId v : n.inputs) in.push_back(g.value(v).constant ? g.value(v).constant.get() : &values[static_cast<size_t>(v)]);
    auto out = evaluate(n.op, in, static_cast<int>(n.outputs.size()));
    EXPECT_TRUE(out.ok()) << out.status().message();
    for (size_t i = 0; i < n.outputs.size(); ++i)
      if (n.outputs[i] != kNone) values[static_cast<size_t>(n.outputs[i])] = (*out)[i];
  }
  std::vector<Tensor> results;
  for (const ValueId v : g.region(0).outputs) results.push_back(values[static_cast<size_t>(v)]);
  return results;
}

Tensor ones() {
  Tensor t = *Tensor::allocate(DType::kFloat32, {1, kWidth});
  std::fill_n(t.as<float>(), kWidth, 1.0f);
  return t;
}

/// Bytes [first, last) of a place in memory: the arena, or a slot outside it.
struct Bytes {
  int32_t slot;  // -1: the arena
  size_t first, last;
  bool meets(const Bytes& other) const { return slot == other.slot && first < other.last && other.first < last; }
};

Bytes bytes(const Plan& plan, const Operand& o) {
  const Slot& slot = plan.slots[static_cast<size_t>(o.slot)];
  const bool arena = slot.kind == Slot::Kind::kArena;
  const size_t first = (arena ? slot.offset : 0) + static_cast<size_t>(o.offset);
  return {arena ? -1 : o.slot, first, first + *bytes_of(*o.type)};
}

/// No branch touches what another one writes.
void expect_apart(const Plan& plan) {
  for (const Fork& fork : plan.forks) {
    std::vector<std::vector<Bytes>> written(static_cast<size_t>(fork.count())), touched = written;
    for (size_t b = 0; b < written.size(); ++b) {
      for (int32_t s = fork.branches[b]; s < fork.branches[b + 1]; ++s) {
        const PlanStep& step = plan.steps[static_cast<size_t>(s)];
        for (size_t i = 0; i < step.outputs.size(); ++i)
          if (step.outputs[i].slot >= 0) written[b].push_back(bytes(plan, step.outputs[i]));
        for (size_t i = 0; i < step.inputs.size(); ++i)
          if (step.inputs[i].slot >= 0) touched[b].push_back(bytes(plan, step.inputs[i]));
      }
      touched[b].insert(touched[b].end(), written[b].begin(), written[b].end());
    }
    for (size_t a = 0; a < written.size(); ++a)
      for (size_t b = 0; b < written.size(); ++b)
        for (const Bytes& w : written[a])
          for (const Bytes& t : touched[b]) ASSERT_FALSE(a != b && w.meets(t)) << "branches " << a << " and " << b;
  }
}

class Forks : public testing::TestWithParam<int> {};

TEST_P(Forks, GiveWhatNodesOneByOneGive) {
  Web web(static_cast<uint32_t>(GetParam()), 120);
  const std::vector<Tensor> inputs = web.inputs();
  Graph g = web.take();
  const std::vector<Tensor> want = one_by_one(g, inputs);
  const auto model = *Model::create(std::move(g), on(2, false));
  for (int round = 0; round < 20; ++round) {
    const std::vector<Tensor> got = run(*model, inputs);
    for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(std::memcmp(want[i].data(), got[i].data(), want[i].bytes()), 0) << "output " << i;
  }
  const auto plans = model->plans();
  ASSERT_EQ(plans.size(), 1u);
  EXPECT_FALSE(plans[0]->forks.empty());
  expect_apart(*plans[0]);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Forks, testing::Range(0, 40));

TEST(InPlace, AStepTakesNoBufferOverThatHoldsMoreThanItsOutputAlready) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{1, 4}));
  const auto node = [&](Op op, std::vector<ValueId> in) { return (*g.add_node(0, std::move(op), std::move(in)))[0]; };
  Tensor weights = *Tensor::allocate(DType::kFloat32, {8, 4});
  for (int64_t i = 0; i < weights.count(); ++i) weights.as<float>()[i] = 0.1f * static_cast<float>(i % 13) - 0.5f;
  const ValueId w = g.add_constant(0, "w", std::move(weights));
  // Both parts of each pair are written where the pair lies; `late` ends the first pair after the second has begun.
  const ValueId a = node(unary(Unary::Kind::kTanh), {x}), b = node(unary(Unary::Kind::kExp), {x});
  const ValueId pair = node(ops::Concat{.axis = 1}, {a, b});
  const ValueId early = node(ops::Softmax{}, {node(ops::MatMul{}, {pair, w})});
  const ValueId sum = node(ops::MatMul{}, {pair, w});
  const ValueId late = node(ops::Softmax{}, {a});
  EXPECT_TRUE(g.add_output(0, node(ops::MatMul{}, {node(ops::Concat{.axis = 1}, {late, early}), w})).ok());
  EXPECT_TRUE(g.add_output(0, sum).ok());
  const Tensor input = Tensor::of<float>({1, 4}, {0.5f, -1, 2, 0.25f});
  const std::vector<Tensor> want = one_by_one(g, {input});
  const std::vector<Tensor> got = run(**Model::create(std::move(g), on(1, false)), {input});
  for (size_t i = 0; i < want.size(); ++i) EXPECT_EQ(std::memcmp(want[i].data(), got[i].data(), want[i].bytes()), 0) << "output " << i;
}

/// `count` chains of `length` products each, over one input, joined by a sum.
Graph chains(int count, int length) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{1, kWidth}));
  Tensor weights = *Tensor::allocate(DType::kFloat32, {kWidth, kWidth});
  std::fill_n(weights.as<float>(), weights.count(), 0.01f);
  const ValueId w = g.add_constant(0, "w", std::move(weights));
  std::vector<ValueId> ends(static_cast<size_t>(count), x);
  for (int l = 0; l < length; ++l)
    for (ValueId& end : ends) end = (*g.add_node(0, ops::MatMul{}, {end, w}))[0];
  for (size_t i = 1; i < ends.size(); ++i) ends[0] = (*g.add_node(0, binary(Binary::Kind::kAdd), {ends[0], ends[i]}))[0];
  EXPECT_TRUE(g.add_output(0, ends[0]).ok());
  return g;
}

std::shared_ptr<const Plan> plan_of(Graph g, const std::vector<Tensor>& inputs) {
  const auto model = *Model::create(std::move(g), on(1, false));
  run(*model, inputs);
  return model->plans().at(0);
}

TEST(Forks, ChainsThatBeginTogetherAreBranches) {
  const auto plan = plan_of(chains(6, 5), {ones()});
  ASSERT_EQ(plan->forks.size(), 1u);
  EXPECT_EQ(plan->forks[0].count(), 6);
  for (int b = 0; b < 6; ++b) EXPECT_EQ(plan->forks[0].branches[b + 1] - plan->forks[0].branches[b], 5);
  EXPECT_TRUE(plan->worth_threads);
}

TEST(Forks, OneChainHasNone) { EXPECT_TRUE(plan_of(chains(1, 200), {ones()})->forks.empty()); }

TEST(Forks, TinyBranchesAreNotWorthIt) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{1, 4}));
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(g.add_output(0, (*g.add_node(0, unary(Unary::Kind::kNeg), {x}))[0]).ok());
  EXPECT_TRUE(plan_of(std::move(g), {Tensor::of<float>({1, 4}, {1, 2, 3, 4})})->forks.empty());
}

TEST(Forks, MemoryOfThreadsTogetherIsEachBranchesOwn) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{20, 1, 32}));
  const auto weights = [&](Dims dims) {
    Tensor t = *Tensor::allocate(DType::kFloat32, std::move(dims));
    for (int64_t i = 0; i < t.count(); ++i) t.as<float>()[i] = 0.01f * static_cast<float>((i * 7 + g.values()) % 23) - 0.1f;
    return g.add_constant(0, "", std::move(t));
  };
  for (int i = 0; i < 4; ++i) {
    ops::Recurrent op;
    using Kind = kernels::CellActivationKind;
    op.hidden_size = 32;
    op.activations = {{Kind::kSigmoid}, {Kind::kTanh}, {Kind::kTanh}};
    const auto out = *g.add_node(0, op, {x, weights({1, 128, 32}), weights({1, 128, 32})});
    EXPECT_TRUE(g.add_output(0, out[0]).ok());
  }
  Tensor input = *Tensor::allocate(DType::kFloat32, {20, 1, 32});
  for (int64_t i = 0; i < input.count(); ++i) input.as<float>()[i] = 0.1f * static_cast<float>(i % 17) - 0.8f;
  const std::vector<Tensor> want = one_by_one(g, {input});
  const auto model = *Model::create(std::move(g), on(2, false));
  for (int round = 0; round < 50; ++round) {
    const std::vector<Tensor> got = run(*model, {input});
    for (size_t i = 0; i < want.size(); ++i) ASSERT_EQ(std::memcmp(want[i].data(), got[i].data(), want[i].bytes()), 0) << "output " << i;
  }
  const Fork& fork = model->plans().at(0)->forks.at(0);
  EXPECT_EQ(fork.count(), 4);
  EXPECT_EQ(std::set<size_t>(fork.shared.begin(), fork.shared.end()).size(), 4u);
}

TEST(Forks, TheFirstErrorIsReportedWhicheverThreadIsFaster) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{1, kWidth}));
  const ValueId at = *g.add_input(0, "at", Type::of(DType::kInt64, Shape{1}));
  Tensor weights = *Tensor::allocate(DType::kFloat32, {kWidth, kWidth});
  std::fill_n(weights.as<float>(), weights.count(), 0.01f);
  const ValueId w = g.add_constant(0, "w", std::move(weights));
  for (int i = 0; i < 6; ++i) {
    ValueId v = (*g.add_node(0, ops::MatMul{}, {x, w}))[0];
    v = (*g.add_node(0, ops::Gather{.axis = 0}, {v, at}, {.name = "pick" + std::to_string(i)}))[0];
    EXPECT_TRUE(g.add_output(0, (*g.add_node(0, ops::MatMul{}, {v, w}))[0]).ok());
  }
  const auto model = *Model::create(std::move(g), on(2, false));
  EXPECT_EQ(run(*model, {ones(), Tensor::of<int64_t>({1}, {0})}).size(), 6u);
  ASSERT_EQ(model->plans().at(0)->forks.size(), 1u);
  for (int round = 0; round < 50; ++round) {
    std::vector<Tensor> out(6);
    const Status status = model->run(std::vector<Tensor>{ones(), Tensor::of<int64_t>({1}, {3})}, out);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.info()->node, "pick0");
  }
}

TEST(Forks, AreInTheProfileStepByStep) {
  const auto model = *Model::create(chains(3, 4), on(2, false));
  Profile profile;
  RunOptions options;
  options.profile = &profile;
  std::vector<Tensor> out(1);
  ASSERT_TRUE(model->run(std::vector<Tensor>{ones()}, out, options).ok());
  EXPECT_EQ(profile.events().size(), 14u);
}

TEST(Forks, StopWhenCancelled) {
  const auto model = *Model::create(chains(3, 4), on(2, false));
  const std::atomic<bool> cancel{true};
  RunOptions options;
  options.cancel = &cancel;
  std::vector<Tensor> out(1);
  EXPECT_EQ(model->run(std::vector<Tensor>{ones()}, out, options).code(), Code::kCancelled);
}

}  // namespace
}  // namespace tenon

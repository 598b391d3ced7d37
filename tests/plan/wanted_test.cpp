// Runs that want some outputs only: what the others need is not run, at any depth.
#include <gtest/gtest.h>

#include "ops/control.h"
#include "ops/custom.h"
#include "plan/model.h"
#include "support/ops.h"

namespace tenon {
namespace {

using ops::Binary;
using ops::Unary;
using testing_support::binary;
using testing_support::unary;

/// Gives its input back, and counts.
class Counting : public CustomOp {
 public:
  explicit Counting(int* runs) : runs_(runs) {
    domain = "test", name = "Counting";
    min_inputs = max_inputs = max_outputs = 1;
  }
  Result<Types> infer(const CustomAttributes&, const Types& in, int) const override { return Types{Type::of(in[0].dtype, in[0].shape)}; }
  Status compute(const CustomAttributes&, ExecContext& ctx) const override {
    ++*runs_;
    ctx.set_output(0, *ctx.input(0));
    return {};
  }

 private:
  int* runs_;
};

ValueId add(Graph& g, RegionId region, Op op, std::vector<ValueId> inputs) {
  auto out = g.add_node(region, std::move(op), std::move(inputs));
  EXPECT_TRUE(out.ok()) << out.status().message();
  return (*out)[0];
}

ValueId counted(Graph& g, RegionId region, int& runs, ValueId input) {
  return add(g, region, ops::Custom{std::make_shared<Counting>(&runs), {}, 1}, {input});
}

std::shared_ptr<Model> model(Graph g) {
  ModelOptions o;
  o.threads = 1;
  o.passes.validate = true;
  return *Model::create(std::move(g), o);
}

Tensor floats(std::vector<float> v) { return Tensor::of<float>({static_cast<int64_t>(v.size())}, v); }

/// The outputs that `wanted` flags.
std::vector<Tensor> run(const Model& m, std::vector<Tensor> inputs, const Wanted& wanted) {
  std::vector<Tensor> outputs(wanted.size());
  RunOptions options;
  options.wanted = &wanted;
  const Status status = m.run(inputs, outputs, options);
  EXPECT_TRUE(status.ok()) << status.message();
  for (size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(outputs[i].empty_handle(), !wanted[i]) << i;
  return outputs;
}

TEST(Wanted, StepsThatOnlyOtherOutputsNeedAreNotRun) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{Dim::symbol("n")}));
  const ValueId shared = add(g, 0, unary(Unary::Kind::kExp), {x});
  int runs = 0;
  EXPECT_TRUE(g.add_output(0, counted(g, 0, runs, shared), "counted").ok());
  EXPECT_TRUE(g.add_output(0, add(g, 0, unary(Unary::Kind::kNeg), {shared}), "negated").ok());
  const auto m = model(std::move(g));
  EXPECT_FLOAT_EQ(run(*m, {floats({0, 1})}, {false, true})[1].as<float>()[0], -1);
  EXPECT_EQ(runs, 0);
  EXPECT_FLOAT_EQ(run(*m, {floats({0, 1})}, {true, false})[0].as<float>()[0], 1);
  EXPECT_EQ(runs, 1);
  run(*m, {floats({0, 1})}, {false, false});
  EXPECT_EQ(runs, 1);
  run(*m, {floats({0, 1})}, {true, true});
  EXPECT_EQ(runs, 2);
}

TEST(Wanted, OneSessionMayChangeItsMind) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{2}));
  EXPECT_TRUE(g.add_output(0, add(g, 0, unary(Unary::Kind::kNeg), {x}), "a").ok());
  EXPECT_TRUE(g.add_output(0, add(g, 0, binary(Binary::Kind::kAdd), {x, x}), "b").ok());
  const auto m = model(std::move(g));
  const auto session = m->session();
  for (const Wanted& wanted : {Wanted{true, true}, {false, true}, {true, false}, {false, true}, {true, true}}) {
    std::vector<Tensor> in{floats({1, 2})}, out(2);
    RunOptions options;
    options.wanted = &wanted;
    ASSERT_TRUE(session->run(in, out, options).ok());
    const float expected[] = {-2, 4};
    for (size_t i = 0; i < 2; ++i) {
      ASSERT_EQ(out[i].empty_handle(), !wanted[i]);
      if (wanted[i]) {
        EXPECT_FLOAT_EQ(out[i].as<float>()[1], expected[i]);
      }
    }
  }
  EXPECT_LE(m->stats().plans, 3u);
}

TEST(Wanted, FlagsMustBeAsManyAsOutputs) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{2}));
  EXPECT_TRUE(g.add_output(0, add(g, 0, unary(Unary::Kind::kNeg), {x})).ok());
  const auto m = model(std::move(g));
  std::vector<Tensor> in{floats({1, 2})}, out(1);
  const Wanted wanted{true, true};
  RunOptions options;
  options.wanted = &wanted;
  EXPECT_EQ(m->run(in, out, options).code(), Code::kArgument);
}

/// if (cond) {counted(x + k), x - k} else {x, x}, where only the first output needs k, a counted value outside.
TEST(Wanted, ReachesIntoBranchesAndWhatTheyCapture) {
  int inside = 0, outside = 0;
  Graph g;
  const ValueId cond = *g.add_input(0, "cond", Type::of(DType::kBool, Shape{}));
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{2}));
  const ValueId k = counted(g, 0, outside, x);
  const RegionId then_region = g.add_region(0, "then"), else_region = g.add_region(0, "else");
  EXPECT_TRUE(g.add_output(then_region, counted(g, then_region, inside, add(g, then_region, binary(Binary::Kind::kAdd), {x, k}))).ok());
  EXPECT_TRUE(g.add_output(then_region, add(g, then_region, unary(Unary::Kind::kNeg), {x})).ok());
  EXPECT_TRUE(g.add_output(else_region, x).ok());
  EXPECT_TRUE(g.add_output(else_region, x).ok());
  ops::If op;
  op.then_region = then_region;
  op.else_region = else_region;
  op.results = {{DType::kFloat32, Shape{2}}, {DType::kFloat32, Shape{2}}};
  const auto out = *g.add_node(0, op, {cond});
  EXPECT_TRUE(g.add_output(0, out[0]).ok());
  EXPECT_TRUE(g.add_output(0, out[1]).ok());
  const auto m = model(std::move(g));
  Tensor yes = *Tensor::allocate(DType::kBool, {});
  *yes.as<bool>() = true;
  EXPECT_FLOAT_EQ(run(*m, {yes, floats({1, 2})}, {false, true})[1].as<float>()[1], -2);
  EXPECT_EQ(inside, 0);
  EXPECT_EQ(outside, 0);
  EXPECT_FLOAT_EQ(run(*m, {yes, floats({1, 2})}, {true, false})[0].as<float>()[1], 4);
  EXPECT_EQ(inside, 1);
  EXPECT_EQ(outside, 1);
}

/// The carried value goes on being computed; a scan output that nobody wants is neither computed nor kept.
TEST(Wanted, LoopsKeepOnlyTheScanOutputsThatAreRead) {
  int runs = 0;
  Graph g;
  const ValueId trips = *g.add_input(0, "trips", Type::of(DType::kInt64, Shape{}));
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{2}));
  const RegionId body = g.add_region(0, "body");
  static_cast<void>(*g.add_input(body, "i", Type::of(DType::kInt64, Shape{})));
  const ValueId c = *g.add_input(body, "c", Type::of(DType::kBool, Shape{}));
  const ValueId v = *g.add_input(body, "v", Type::of(DType::kFloat32, Shape{2}));
  EXPECT_TRUE(g.add_output(body, c).ok());
  EXPECT_TRUE(g.add_output(body, add(g, body, binary(Binary::Kind::kAdd), {v, v})).ok());
  EXPECT_TRUE(g.add_output(body, counted(g, body, runs, v)).ok());
  ops::Loop op;
  op.body = body;
  op.carried = 1;
  op.results = {{DType::kFloat32, Shape{2}}, {DType::kFloat32, Shape{Dim::unknown(), 2}}};
  const auto out = *g.add_node(0, op, {trips, kNone, x});
  EXPECT_TRUE(g.add_output(0, out[0]).ok());
  EXPECT_TRUE(g.add_output(0, out[1]).ok());
  const auto m = model(std::move(g));
  EXPECT_FLOAT_EQ(run(*m, {Tensor::scalar<int64_t>(3), floats({1, 2})}, {true, false})[0].as<float>()[1], 16);
  EXPECT_EQ(runs, 0);
  const auto all = run(*m, {Tensor::scalar<int64_t>(3), floats({1, 2})}, {false, true});
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(all[1].dims(), (Dims{3, 2}));
  EXPECT_FLOAT_EQ(all[1].as<float>()[5], 8);
}

}  // namespace
}  // namespace tenon

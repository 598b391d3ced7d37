// If, Loop and Scan run by the plan: captured values, shapes that change from turn to turn, nesting, limits.
#include <gtest/gtest.h>

#include <cmath>

#include "ops/control.h"
#include "plan/model.h"
#include "support/ops.h"

namespace tenon {
namespace {

using ops::Binary;
using ops::Unary;
using testing_support::binary;
using testing_support::unary;

ValueId add(Graph& g, RegionId region, Op op, std::vector<ValueId> inputs) {
  auto out = g.add_node(region, std::move(op), std::move(inputs));
  EXPECT_TRUE(out.ok()) << out.status().message();
  return (*out)[0];
}
ModelOptions options() {
  ModelOptions o;
  o.threads = 2;
  o.passes.validate = true;
  return o;
}
Result<std::vector<Tensor>> run(Graph g, std::vector<Tensor> inputs, const RunOptions& how = {}) {
  TENON_ASSIGN(auto model, Model::create(std::move(g), options()));
  std::vector<Tensor> out(model->outputs().size());
  TENON_TRY(model->run(inputs, out, how));
  return out;
}
Tensor floats(Dims dims, std::vector<float> v) { return Tensor::of<float>(std::move(dims), v); }
Tensor flag(bool b) {
  Tensor t = *Tensor::allocate(DType::kBool, {});
  *t.as<bool>() = b;
  return t;
}

/// cond ? exp(x*x) : (x*x) + k, where x*x is computed outside and captured.
Graph if_graph() {
  Graph g;
  const ValueId cond = *g.add_input(0, "cond", Type::of(DType::kBool, Shape{}));
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{Dim::symbol("n")}));
  const ValueId xx = add(g, 0, binary(Binary::Kind::kMul), {x, x});
  const RegionId a = g.add_region(0, "then"), b = g.add_region(0, "else");
  EXPECT_TRUE(g.add_output(a, add(g, a, unary(Unary::Kind::kExp), {xx})).ok());
  const ValueId k = g.add_constant(b, "k", floats({1}, {10}));
  EXPECT_TRUE(g.add_output(b, add(g, b, binary(Binary::Kind::kAdd), {xx, k})).ok());
  ops::If op;
  op.then_region = a;
  op.else_region = b;
  op.results = {{DType::kFloat32, Shape{Dim::symbol("n")}}};
  const ValueId y = add(g, 0, op, {cond});
  // The result is read by an ordinary step.
  EXPECT_TRUE(g.add_output(0, add(g, 0, unary(Unary::Kind::kNeg), {y})).ok());
  return g;
}

/// Every turn gives the words; the stack of them is picked from before it is an output.
TEST(Loop, StringsOutliveTheTensorsTheyCameIn) {
  Graph g;
  const ValueId trips = *g.add_input(0, "trips", Type::of(DType::kInt64, Shape{}));
  const ValueId words = *g.add_input(0, "words", Type::of(DType::kString, Shape{Dim::symbol("n")}));
  const ValueId rows = *g.add_input(0, "rows", Type::of(DType::kInt64, Shape{Dim::symbol("k")}));
  const RegionId body = g.add_region(0, "body");
  const ValueId i = *g.add_input(body, "i", Type::of(DType::kInt64, Shape{}));
  const ValueId c = *g.add_input(body, "c", Type::of(DType::kBool, Shape{}));
  EXPECT_TRUE(g.add_output(body, c).ok());
  EXPECT_TRUE(g.add_output(body, add(g, body, ops::Gather{}, {words, i})).ok());
  ops::Loop op;
  op.body = body;
  op.results = {{DType::kString, Shape{Dim::unknown()}}};
  const ValueId all = add(g, 0, op, {trips});
  EXPECT_TRUE(g.add_output(0, add(g, 0, ops::Gather{}, {all, rows})).ok());
  std::vector<std::string> text;
  std::vector<int64_t> backwards;
  for (int64_t k = 0; k < 50; ++k) {
    text.push_back("a string too long to lie in its own handle, number " + std::to_string(k));
    backwards.push_back(49 - k);
  }
  const auto out = run(std::move(g), {Tensor::scalar<int64_t>(50), *Tensor::strings({50}, text), Tensor::of<int64_t>({50}, backwards)});
  ASSERT_TRUE(out.ok()) << out.status().message();
  for (int64_t k = 0; k < 50; ++k) EXPECT_EQ((*out)[0].as<StringRef>()[k].view(), text[static_cast<size_t>(49 - k)]);
}

TEST(If, TakesTheBranchAndSeesOuterValues) {
  auto yes = run(if_graph(), {flag(true), floats({2}, {0, 1})});
  ASSERT_TRUE(yes.ok()) << yes.status().message();
  EXPECT_FLOAT_EQ((*yes)[0].as<float>()[0], -1);
  EXPECT_FLOAT_EQ((*yes)[0].as<float>()[1], -std::exp(1.0f));
  auto no = run(if_graph(), {flag(false), floats({2}, {2, 3})});
  ASSERT_TRUE(no.ok()) << no.status().message();
  EXPECT_FLOAT_EQ((*no)[0].as<float>()[0], -14);
  EXPECT_FLOAT_EQ((*no)[0].as<float>()[1], -19);
}

/// carried v starts as x and doubles every turn while turn < trips; scan output: v before doubling.
Graph loop_graph(bool give_trips) {
  Graph g;
  const ValueId trips = *g.add_input(0, "trips", Type::of(DType::kInt64, Shape{}));
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{2}));
  const RegionId body = g.add_region(0, "body");
  static_cast<void>(*g.add_input(body, "i", Type::of(DType::kInt64, Shape{})));
  const ValueId c = *g.add_input(body, "c", Type::of(DType::kBool, Shape{}));
  const ValueId v = *g.add_input(body, "v", Type::of(DType::kFloat32, Shape{Dim::unknown()}));
  const ValueId doubled = add(g, body, binary(Binary::Kind::kAdd), {v, v});
  const ValueId keep = add(g, body, unary(Unary::Kind::kAbs), {v});
  EXPECT_TRUE(g.add_output(body, c).ok());
  EXPECT_TRUE(g.add_output(body, doubled).ok());
  EXPECT_TRUE(g.add_output(body, keep).ok());
  ops::Loop op;
  op.body = body;
  op.carried = 1;
  op.results = {{DType::kFloat32, Shape{2}}, {DType::kFloat32, Shape{Dim::unknown(), 2}}};
  auto out = g.add_node(0, op, {give_trips ? trips : kNone, kNone, x}, {.name = "loop"});
  EXPECT_TRUE(out.ok()) << out.status().message();
  EXPECT_TRUE(g.add_output(0, (*out)[0]).ok());
  EXPECT_TRUE(g.add_output(0, (*out)[1]).ok());
  return g;
}

TEST(Loop, CarriesAndStacks) {
  for (const int64_t n : {0, 1, 5}) {
    auto out = run(loop_graph(true), {Tensor::scalar<int64_t>(n), floats({2}, {1, 3})});
    ASSERT_TRUE(out.ok()) << out.status().message();
    EXPECT_FLOAT_EQ((*out)[0].as<float>()[1], 3.0f * static_cast<float>(1 << n));
    ASSERT_EQ((*out)[1].dims(), (Dims{n, 2}));
    for (int64_t i = 0; i < n; ++i) EXPECT_FLOAT_EQ((*out)[1].as<float>()[2 * i], static_cast<float>(1 << i));
  }
}

TEST(Loop, WithoutEndStopsAtTheDeadline) {
  auto model = *Model::create(loop_graph(false), options());
  std::vector<Tensor> in{Tensor::scalar<int64_t>(0), floats({2}, {0, 0})}, out(2);
  RunOptions how;
  how.deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(300);  // planning and the first turns take a part of it
  const Status s = model->run(in, out, how);
  EXPECT_EQ(s.code(), Code::kLimit);
  EXPECT_NE(s.message().find("loop"), std::string::npos) << s.message();
}

TEST(Loop, ThatKeepsEveryTurnStopsAtTheMemoryLimit) {
  ModelOptions o = options();
  o.memory_limit = 1 << 20;
  auto model = *Model::create(loop_graph(false), o);
  std::vector<Tensor> in{Tensor::scalar<int64_t>(0), floats({2}, {0, 0})}, out(2);
  const Status s = model->run(in, out);
  EXPECT_EQ(s.code(), Code::kLimit);
  EXPECT_NE(s.message().find("memory"), std::string::npos) << s.message();
}

/// Running sum over the rows of x (backwards when asked), state and scan output.
Graph scan_graph(int64_t direction) {
  Graph g;
  const ValueId s0 = *g.add_input(0, "s0", Type::of(DType::kFloat32, Shape{2}));
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{Dim::symbol("t"), 2}));
  const RegionId body = g.add_region(0, "body");
  const ValueId s = *g.add_input(body, "s", Type::of(DType::kFloat32, Shape{2}));
  const ValueId e = *g.add_input(body, "e", Type::of(DType::kFloat32, Shape{2}));
  const ValueId sum = add(g, body, binary(Binary::Kind::kAdd), {s, e});
  EXPECT_TRUE(g.add_output(body, sum).ok());
  EXPECT_TRUE(g.add_output(body, sum).ok());
  ops::Scan op;
  op.body = body;
  op.states = 1;
  op.input_axes = {0};
  op.input_directions = {direction};
  op.output_axes = {-1};
  op.output_directions = {0};
  op.results = {{DType::kFloat32, Shape{2}}, {DType::kFloat32, Shape{2, Dim::symbol("t")}}};
  auto out = g.add_node(0, op, {s0, x});
  EXPECT_TRUE(out.ok());
  EXPECT_TRUE(g.add_output(0, (*out)[0]).ok());
  EXPECT_TRUE(g.add_output(0, (*out)[1]).ok());
  return g;
}

TEST(Scan, SumsAlongEitherDirectionAndStacksOnAnyAxis) {
  for (const int64_t direction : {0, 1}) {
    auto out = run(scan_graph(direction), {floats({2}, {100, 200}), floats({3, 2}, {1, 2, 3, 4, 5, 6})});
    ASSERT_TRUE(out.ok()) << out.status().message();
    EXPECT_FLOAT_EQ((*out)[0].as<float>()[0], 109);
    EXPECT_FLOAT_EQ((*out)[0].as<float>()[1], 212);
    ASSERT_EQ((*out)[1].dims(), (Dims{2, 3}));
    EXPECT_FLOAT_EQ((*out)[1].as<float>()[0], direction ? 105.0f : 101.0f);
    EXPECT_FLOAT_EQ((*out)[1].as<float>()[4], direction ? 210.0f : 206.0f);
  }
}

/// For i < 3, for j < i + 1: total += x. The inner loop captures x from two levels out.
TEST(Loop, NestsAndCapturesAcrossLevels) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, Shape{2}));
  const ValueId three = g.add_constant(0, "three", Tensor::scalar<int64_t>(3));
  const ValueId zero = g.add_constant(0, "zero", floats({2}, {0, 0}));
  const RegionId outer = g.add_region(0, "outer");
  const ValueId i = *g.add_input(outer, "i", Type::of(DType::kInt64, Shape{}));
  const ValueId c = *g.add_input(outer, "c", Type::of(DType::kBool, Shape{}));
  const ValueId v = *g.add_input(outer, "v", Type::of(DType::kFloat32, Shape{2}));
  const RegionId inner = g.add_region(outer, "inner");
  static_cast<void>(*g.add_input(inner, "j", Type::of(DType::kInt64, Shape{})));
  const ValueId ci = *g.add_input(inner, "ci", Type::of(DType::kBool, Shape{}));
  const ValueId vi = *g.add_input(inner, "vi", Type::of(DType::kFloat32, Shape{2}));
  EXPECT_TRUE(g.add_output(inner, ci).ok());
  EXPECT_TRUE(g.add_output(inner, add(g, inner, binary(Binary::Kind::kAdd), {vi, x})).ok());
  const ValueId one = g.add_constant(outer, "one", Tensor::scalar<int64_t>(1));
  const ValueId turns = add(g, outer, binary(Binary::Kind::kAdd), {i, one});
  ops::Loop in;
  in.body = inner;
  in.carried = 1;
  in.results = {{DType::kFloat32, Shape{2}}};
  const ValueId after = add(g, outer, in, {turns, kNone, v});
  EXPECT_TRUE(g.add_output(outer, c).ok());
  EXPECT_TRUE(g.add_output(outer, after).ok());
  ops::Loop out;
  out.body = outer;
  out.carried = 1;
  out.results = {{DType::kFloat32, Shape{2}}};
  EXPECT_TRUE(g.add_output(0, add(g, 0, out, {three, kNone, zero})).ok());
  auto result = run(std::move(g), {floats({2}, {1, 10})});
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_FLOAT_EQ((*result)[0].as<float>()[0], 6);
  EXPECT_FLOAT_EQ((*result)[0].as<float>()[1], 60);
}

}  // namespace
}  // namespace tenon

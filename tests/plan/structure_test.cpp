// Sequences and optionals through a plan: inputs and outputs, If and Loop, what is shared and what is not.
#include <gtest/gtest.h>

#include "ops/control.h"
#include "plan/model.h"
#include "support/evaluate.h"
#include "support/ops.h"

namespace tenon {
namespace {

using test::expect_failure;
using test::values;

constexpr Structure kSequence{.sequence = true}, kOptional{.optional = true}, kOptionalSequence{.sequence = true, .optional = true};

Type floats(Structure structure) { return Type::of(DType::kFloat32, {Dim::unknown()}, structure); }
Tensor vec(std::vector<float> v) { return Tensor::of<float>({static_cast<int64_t>(v.size())}, v); }
Tensor flag(bool b) {
  Tensor t = *Tensor::allocate(DType::kBool, {});
  *t.as<bool>() = b;
  return t;
}
Tensor list(const std::vector<std::vector<float>>& items) {
  std::vector<Tensor> tensors;
  for (const auto& item : items) tensors.push_back(vec(item));
  return *Tensor::sequence(DType::kFloat32, std::move(tensors));
}
void expect_list(const Tensor& t, const std::vector<std::vector<float>>& items) {
  ASSERT_EQ(t.kind(), Tensor::Kind::kSequence);
  ASSERT_EQ(t.items().size(), items.size());
  for (size_t i = 0; i < items.size(); ++i) EXPECT_EQ(values<float>(t.items()[i]), items[i]) << "item " << i;
}

/// An operator that makes a sequence of its inputs: the first `max_inputs` values of a kind the engine's own operators do not make yet.
class Construct final : public CustomOp {
 public:
  explicit Construct(DType dtype) : dtype_(dtype) { domain = "test", name = "Construct", max_inputs = INT32_MAX; }
  Result<Types> infer(const CustomAttributes&, const Types&, int) const override { return Types{Type::unranked(dtype_, kSequence)}; }
  Status compute(const CustomAttributes&, ExecContext& run) const override {
    std::vector<Tensor> items;
    for (int i = 0; i < run.inputs(); ++i) {
      TENON_ASSIGN(Tensor item, run.keep(i));
      items.push_back(std::move(item));
    }
    TENON_ASSIGN(Tensor made, Tensor::sequence(dtype_, std::move(items)));
    run.set_output(0, std::move(made));
    return {};
  }

 private:
  DType dtype_;
};
ops::Custom construct(DType dtype = DType::kFloat32) { return {std::make_shared<Construct>(dtype), {}, 1}; }

ValueId add(Graph& g, RegionId region, Op op, std::vector<ValueId> inputs) {
  auto out = g.add_node(region, std::move(op), std::move(inputs));
  EXPECT_TRUE(out.ok()) << out.status().message();
  return (*out)[0];
}

std::shared_ptr<Model> model(Graph g, bool passes = true, size_t memory_limit = 0) {
  ModelOptions o;
  o.threads = 2;
  o.passes.enabled = passes;
  o.passes.validate = true;
  o.memory_limit = memory_limit;
  auto made = Model::create(std::move(g), o);
  EXPECT_TRUE(made.ok()) << made.status().message();
  return *made;
}
Result<std::vector<Tensor>> run(const Model& m, const std::vector<Tensor>& inputs) {
  std::vector<Tensor> out(m.outputs().size());
  TENON_TRY(m.run(inputs, out));
  return out;
}

Graph identity_graph(const Type& type) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", type);
  EXPECT_TRUE(g.add_output(0, add(g, 0, ops::Identity{}, {x}), "y").ok());
  return g;
}

TEST(Structures, PassThroughIdentity) {
  for (const bool passes : {true, false}) {
    const auto sequence = model(identity_graph(floats(kSequence)), passes);
    EXPECT_EQ(sequence->outputs()[0].type.str(), "sequence(float32[?])");
    expect_list((*run(*sequence, {list({{1, 2}, {}, {3}})}))[0], {{1, 2}, {}, {3}});
    expect_list((*run(*sequence, {list({})}))[0], {});
    EXPECT_EQ(sequence->stats().plans, 1u) << "one plan is good for every sequence";

    const auto optional = model(identity_graph(floats(kOptional)), passes);
    EXPECT_EQ(values<float>((*run(*optional, {vec({4, 5})}))[0]), (std::vector<float>{4, 5}));
    EXPECT_EQ((*run(*optional, {Tensor::none()}))[0].kind(), Tensor::Kind::kNone);
    EXPECT_EQ(values<float>((*run(*optional, {vec({6, 7, 8})}))[0]), (std::vector<float>{6, 7, 8}));
    EXPECT_EQ(optional->stats().plans, 1u) << "one plan is good for every optional, whatever it holds";

    const auto both = model(identity_graph(floats(kOptionalSequence)), passes);
    expect_list((*run(*both, {list({{6}})}))[0], {{6}});
    expect_list((*run(*both, {list({})}))[0], {});
    EXPECT_EQ((*run(*both, {Tensor::none()}))[0].kind(), Tensor::Kind::kNone);
  }
}

TEST(Structures, OutputsShareNoMemoryWithInputs) {
  for (const bool passes : {true, false}) {
    for (const Structure structure : {kSequence, kOptional}) {
      const auto m = model(identity_graph(floats(structure)), passes);
      int released = 0;
      float data[2] = {1, 2};
      Tensor y;
      {
        Tensor x = Tensor::view(DType::kFloat32, {2}, Buffer::borrow(data, sizeof data, [&] { ++released; }));
        if (structure.sequence) x = *Tensor::sequence(DType::kFloat32, {x});
        y = (*run(*m, {x}))[0];
      }
      EXPECT_EQ(released, 1) << "the model holds what it was given";
      data[0] = 7;
      EXPECT_EQ(values<float>(structure.sequence ? y.items()[0] : y), (std::vector<float>{1, 2}));
    }
  }
}

TEST(Structures, OneOutputTwice) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", floats(kSequence));
  EXPECT_TRUE(g.add_output(0, x, "a").ok());
  EXPECT_TRUE(g.add_output(0, x, "b").ok());
  const auto out = run(*model(std::move(g)), {list({{1}})});
  ASSERT_TRUE(out.ok()) << out.status().message();
  expect_list((*out)[0], {{1}});
  expect_list((*out)[1], {{1}});
}

TEST(Structures, RefuseOtherValues) {
  const auto sequence = model(identity_graph(Type::of(DType::kFloat32, {2}, kSequence)));
  const auto tensor = model(identity_graph(Type::of(DType::kFloat32, {2})));
  const auto optional = model(identity_graph(Type::of(DType::kFloat32, {2}, kOptional)));
  struct Row {
    const Model& model;
    Tensor value;
    const char* text;
  };
  for (const Row& row : std::vector<Row>{
           {*sequence, vec({1, 2}), "input 'x' is float32[2], expected sequence(float32[2])"},
           {*sequence, Tensor::none(), "input 'x' is none, expected sequence(float32[2])"},
           {*sequence, *Tensor::sequence(DType::kInt64, {}), "input 'x' is a sequence of 0 int64 tensors, expected sequence(float32[2])"},
           {*sequence, list({{1, 2}, {3}}),
            "input 'x' is a sequence of 2 float32 tensors, of which item 1 is float32[1], expected sequence(float32[2])"},
           {*tensor, list({{1, 2}}), "input 'x' is a sequence of 1 float32 tensor, expected float32[2]"},
           {*tensor, Tensor::none(), "input 'x' is none, expected float32[2]"},
           {*optional, vec({1}), "input 'x' is float32[1], expected optional(float32[2])"},
           {*optional, list({{1, 2}}), "input 'x' is a sequence of 1 float32 tensor, expected optional(float32[2])"}}) {
    expect_failure(to_status(run(row.model, {row.value})), Code::kShape, {row.text});
  }
  std::vector<Tensor> given{vec({1, 2})};
  expect_failure(sequence->run(std::vector<Tensor>{list({{1, 2}})}, given), Code::kShape,
                 {"output 0", "float32[2]", "sequence(float32[2])"});
  given = {list({{1, 2}})};
  expect_failure(tensor->run(std::vector<Tensor>{vec({1, 2})}, given), Code::kShape,
                 {"output 0", "a sequence of 1 float32 tensor", "float32[2]"});
}

TEST(Structures, AreMadeOfWhatIsComputed) {
  // The items lie in the arena, in the caller's memory and in the model's: none of these is theirs to keep.
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, {3}));
  const ValueId squared = add(g, 0, testing_support::binary(ops::Binary::Kind::kMul), {x, x});
  const ValueId k = g.add_constant(0, "k", vec({9}));
  const ValueId made = add(g, 0, construct(), {x, squared, k});
  const ValueId again =
      add(g, 0, testing_support::unary(ops::Unary::Kind::kNeg), {add(g, 0, testing_support::unary(ops::Unary::Kind::kExp), {squared})});
  EXPECT_TRUE(g.add_output(0, made, "s").ok());
  EXPECT_TRUE(g.add_output(0, again, "z").ok());
  const auto m = model(std::move(g));
  const auto session = m->session();
  std::vector<Tensor> first(2), second(2);
  ASSERT_TRUE(session->run(std::vector<Tensor>{vec({1, 2, 3})}, first).ok());
  ASSERT_TRUE(session->run(std::vector<Tensor>{vec({4, 5, 6})}, second).ok());
  expect_list(first[0], {{1, 2, 3}, {1, 4, 9}, {9}});
  expect_list(second[0], {{4, 5, 6}, {16, 25, 36}, {9}});
}

TEST(Structures, StringsOutliveTheRun) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kString, {2}));
  EXPECT_TRUE(g.add_output(0, add(g, 0, construct(DType::kString), {x}), "s").ok());
  const auto m = model(std::move(g));
  Tensor y;
  {
    const Tensor words = *Tensor::strings({2}, std::vector<std::string>{"mortise", "tenon"});
    y = (*run(*m, {words}))[0];
  }
  EXPECT_EQ(y.items()[0].as<StringRef>()[1].view(), "tenon");
}

/// cond ? a : [x + x], where a is captured.
TEST(Structures, ComeOutOfIf) {
  Graph g;
  const ValueId cond = *g.add_input(0, "cond", Type::of(DType::kBool, Shape{}));
  const ValueId a = *g.add_input(0, "a", floats(kSequence));
  const ValueId x = *g.add_input(0, "x", floats({}));
  const RegionId yes = g.add_region(0, "then"), no = g.add_region(0, "else");
  EXPECT_TRUE(g.add_output(yes, a).ok());
  const ValueId doubled = add(g, no, testing_support::binary(ops::Binary::Kind::kAdd), {x, x});
  EXPECT_TRUE(g.add_output(no, add(g, no, construct(), {doubled})).ok());
  ops::If op;
  op.then_region = yes;
  op.else_region = no;
  op.results = {{DType::kFloat32, Shape::unranked(), kSequence}};
  EXPECT_TRUE(g.add_output(0, add(g, 0, op, {cond}), "y").ok());
  const auto m = model(std::move(g));
  const Tensor given = list({{1}, {2, 3}});
  const Tensor taken = (*run(*m, {flag(true), given, vec({4})}))[0];
  expect_list(taken, {{1}, {2, 3}});
  EXPECT_NE(taken.items()[0].data(), given.items()[0].data());
  expect_list((*run(*m, {flag(false), given, vec({4, 5})}))[0], {{8, 10}});
}

/// Every turn puts what is carried (s, v) to ([v, v + v], v + v); o is carried along.
Graph loop_graph() {
  Graph g;
  const ValueId trips = *g.add_input(0, "trips", Type::of(DType::kInt64, Shape{}));
  const ValueId s = *g.add_input(0, "s", floats(kSequence));
  const ValueId v = *g.add_input(0, "v", floats({}));
  const ValueId o = *g.add_input(0, "o", floats(kOptional));
  const RegionId body = g.add_region(0, "body");
  EXPECT_TRUE(g.add_input(body, "i", Type::of(DType::kInt64, Shape{})).ok());
  const ValueId c = *g.add_input(body, "c", Type::of(DType::kBool, Shape{}));
  const ValueId bs = *g.add_input(body, "bs", Type::unranked(DType::kFloat32, kSequence));
  const ValueId bv = *g.add_input(body, "bv", floats({}));
  const ValueId bo = *g.add_input(body, "bo", Type::unranked(DType::kFloat32, kOptional));
  static_cast<void>(bs);
  const ValueId doubled = add(g, body, testing_support::binary(ops::Binary::Kind::kAdd), {bv, bv});
  EXPECT_TRUE(g.add_output(body, c).ok());
  EXPECT_TRUE(g.add_output(body, add(g, body, construct(), {bv, doubled})).ok());
  EXPECT_TRUE(g.add_output(body, doubled).ok());
  EXPECT_TRUE(g.add_output(body, bo).ok());
  ops::Loop op;
  op.body = body;
  op.carried = 3;
  op.results = {{DType::kFloat32, Shape::unranked(), kSequence},
                {DType::kFloat32, Shape::unranked()},
                {DType::kFloat32, Shape::unranked(), kOptional}};
  const auto out = g.add_node(0, op, {trips, kNone, s, v, o});
  EXPECT_TRUE(out.ok()) << out.status().message();
  for (const ValueId y : *out) EXPECT_TRUE(g.add_output(0, y).ok());
  return g;
}

TEST(Structures, AreCarriedByLoop) {
  const auto m = model(loop_graph());
  for (const int64_t trips : {0, 1, 5}) {
    const Tensor o = trips == 1 ? Tensor::none() : vec({3});
    const auto out = run(*m, {Tensor::scalar(trips), list({{7}, {8, 9}}), vec({1}), o});
    ASSERT_TRUE(out.ok()) << out.status().message();
    const float last = static_cast<float>(int64_t{1} << trips);
    expect_list((*out)[0], trips == 0 ? std::vector<std::vector<float>>{{7}, {8, 9}} : std::vector<std::vector<float>>{{last / 2}, {last}});
    EXPECT_EQ(values<float>((*out)[1]), (std::vector<float>{last}));
    EXPECT_EQ((*out)[2].kind(), o.kind());
    if (o.is_tensor()) {
      EXPECT_EQ(values<float>((*out)[2]), (std::vector<float>{3}));
      EXPECT_NE((*out)[2].data(), o.data());
    }
  }
}

TEST(Structures, CountAgainstTheMemoryLimit) {
  // A thousand turns of 4 KiB fit, since a turn lets go of the sequence before it.
  const auto m = model(loop_graph(), true, size_t{64} << 10);
  std::vector<Tensor> inputs{Tensor::scalar<int64_t>(1000), list({}), vec(std::vector<float>(1024)), Tensor::none()};
  EXPECT_TRUE(run(*m, inputs).ok());
  inputs[2] = vec(std::vector<float>(8192));
  expect_failure(to_status(run(*m, inputs)), Code::kLimit, {"memory limit"});
}

TEST(Structures, ARunThatFailsLetsGoOfThem) {
  const auto m = model(loop_graph());
  int released = 0;
  float data[1] = {0};
  {
    const Tensor item = Tensor::view(DType::kFloat32, {1}, Buffer::borrow(data, sizeof data, [&] { ++released; }));
    std::atomic<bool> cancel{true};
    RunOptions options;
    options.cancel = &cancel;
    std::vector<Tensor> out(3);
    const std::vector<Tensor> inputs{Tensor::scalar<int64_t>(3), *Tensor::sequence(DType::kFloat32, {item}), vec({1}), item};
    expect_failure(m->run(inputs, out, options), Code::kCancelled, {"cancelled"});
  }
  EXPECT_EQ(released, 1);
}

TEST(Structures, APromisedTypeIsChecked) {
  Graph g;
  const ValueId x = *g.add_input(0, "x", Type::of(DType::kFloat32, {2}));
  EXPECT_TRUE(g.add_output(0, add(g, 0, construct(DType::kInt64), {x}), "s").ok());
  expect_failure(to_status(run(*model(std::move(g)), {vec({1, 2})})), Code::kArgument,
                 {"item 0 is float32[2], expected a tensor of int64"});
}

}  // namespace
}  // namespace tenon

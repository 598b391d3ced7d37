// Operators of the application.
#include <gtest/gtest.h>

#include "capi/models.h"
#include "tenon/custom_op.hpp"

namespace {

using tenon::Code;
using tenon::ComputeContext;
using tenon::InferContext;
using tenon::Model;
using tenon::Options;
using tenon::Registry;
using tenon::Tensor;

void infer_same(InferContext& c) { c.set_output_like(0, 0); }

void compute_scale(ComputeContext& c) {
  const Tensor in = c.input(0);
  const float factor = c.attributes().get_float("factor", 0);
  Tensor out = c.output(0, in.dtype(), {static_cast<int64_t>(in.count())});
  for (size_t i = 0; i < in.count(); ++i) out.as<float>()[i] = in.as<const float>()[i] * factor;
}

const Tensor& input() {
  static const Tensor x = Tensor::of<float>({1, 2, 3}, {3});
  return x;
}

TEST(CustomOp, ComputesWithItsAttributes) {
  Registry registry;
  std::vector<int64_t> tags;
  std::string mode, symbol;
  registry.add(
      "com.example", "Scale", 1, 1, 1,
      [&](InferContext& c) {
        EXPECT_EQ(c.inputs(), 1u);
        EXPECT_EQ(c.outputs(), 1u);
        EXPECT_EQ(c.input(0).dtype, TENON_FLOAT32);
        if (c.input(0).dims[0] == -1) symbol = tenon::view(c.input(0).dim_names[0]);
        tags = c.attributes().get_ints("tags");
        mode = c.attributes().get_string("mode", "");
        EXPECT_EQ(c.attributes().get_int("absent", 42), 42);
        EXPECT_EQ(c.attributes().get_int("mode", 42), 42);  // of another kind
        infer_same(c);
      },
      compute_scale);
  const auto model = Model::load(model_path("custom.onnx"), Options().registry(registry));
  EXPECT_EQ(tags, (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(mode, "fast");
  EXPECT_EQ(symbol, "n");
  EXPECT_EQ(model.output(0).symbols[0], "n");
  EXPECT_EQ(model.run(input()).to_vector<float>(), (std::vector<float>{3, 6, 9}));
  auto session = model.session();
  session.bind_input(0, input());
  for (int i = 0; i < 3; ++i) session.run();
  EXPECT_EQ(session.output().to_vector<float>(), (std::vector<float>{3, 6, 9}));
}

TEST(CustomOp, ModelsKeepWhatTheyUse) {
  auto alive = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = alive;
  std::optional<Model> model;
  {
    Registry registry;
    registry.add("com.example", "Scale", 1, 1, 1, infer_same, [alive](ComputeContext& c) { compute_scale(c); });
    alive.reset();
    model = Model::load(model_path("custom.onnx"), Options().registry(registry));
  }
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(model->run(input()).to_vector<float>()[2], 9);
  model.reset();
  EXPECT_TRUE(watch.expired());
}

TEST(CustomOp, FailuresBecomeErrorsOfTheNode) {
  const auto outcome = [](auto infer, auto compute) {
    Registry registry;
    registry.add("com.example", "Scale", 1, 1, 1, infer, compute);
    auto model = Model::try_load(model_path("custom.onnx"), Options().registry(registry));
    if (!model) return model.error();
    auto out = model->try_run(input());
    return out ? tenon::Error(Code::kOk, "") : out.error();
  };
  auto e = outcome([](InferContext&) { throw tenon::Error(Code::kShape, "no such shape"); }, compute_scale);
  EXPECT_EQ(e.code(), Code::kShape);
  EXPECT_EQ(e.node(), "mine");
  EXPECT_EQ(e.text().find("no such shape"), 0u) << e.text();
  e = outcome([](InferContext&) {}, compute_scale);
  EXPECT_EQ(e.code(), Code::kShape) << e.message();
  e = outcome(infer_same, [](ComputeContext&) { throw std::runtime_error("broken"); });
  EXPECT_EQ(e.code(), Code::kRun);
  EXPECT_EQ(e.node(), "mine");
  EXPECT_EQ(e.op(), "Scale");
  EXPECT_EQ(e.text().find("broken"), 0u) << e.text();
  e = outcome(infer_same, [](ComputeContext&) {});
  EXPECT_EQ(e.code(), Code::kRun);
  EXPECT_NE(e.text().find("output 0"), std::string::npos);
  e = outcome(infer_same, [](ComputeContext& c) { c.output(0, tenon::DType::kInt32, {3}); });
  EXPECT_NE(e.code(), Code::kOk);
  e = outcome(infer_same, [](ComputeContext& c) { c.output(7, tenon::DType::kFloat32, {3}); });
  EXPECT_EQ(e.code(), Code::kArgument);
}

TEST(CustomOp, IsNotRunForOutputsThatNobodyWants) {
  Registry registry;
  int runs = 0;
  registry.add("com.example", "Scale", 1, 1, 1, infer_same, [&](ComputeContext& c) {
    ++runs;
    EXPECT_TRUE(c.output_wanted(0));
    EXPECT_FALSE(c.output_wanted(1));
    compute_scale(c);
  });
  const auto model = Model::load(model_path("custom.onnx"), Options().registry(registry).extra_output("x"));
  ASSERT_EQ(model.outputs().size(), 2u);
  EXPECT_EQ(model.run({{"x", input()}}, {"x"})["x"].to_vector<float>(), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(runs, 0);
  auto session = model.session();
  session.bind_input(0, input()).want_outputs({"x"});
  session.run();
  EXPECT_EQ(session.output(1).to_vector<float>(), (std::vector<float>{1, 2, 3}));
  EXPECT_THROW(session.output(0), tenon::Error);
  EXPECT_EQ(runs, 0);
  session.want_outputs({}).run();
  EXPECT_EQ(session.output(0).to_vector<float>(), (std::vector<float>{3, 6, 9}));
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(model.run({{"x", input()}}).size(), 2u);
  EXPECT_EQ(runs, 2);
}

TEST(CustomOp, WithoutARegistryTheOperatorIsUnknown) {
  const auto model = Model::try_load(model_path("custom.onnx"));
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code(), Code::kLoad);
  EXPECT_EQ(model.error().op(), "Scale");
}

TEST(CustomOp, ExceptionsOfRawCallbacksAreCaught) {
  tenon_registry* registry = nullptr;
  ASSERT_EQ(tenon_registry_new(&registry, nullptr), TENON_OK);
  static int released;
  released = 0;
  tenon_custom_op op{};
  op.size = sizeof op;
  op.domain = tenon_str("com.example"), op.name = tenon_str("Scale");
  op.min_inputs = op.max_inputs = op.max_outputs = 1;
  op.infer = [](void*, tenon_infer_context* c) { return tenon_infer_set_output_like(c, 0, 0); };
  op.compute = [](void*, tenon_compute_context*) -> tenon_status { throw 42; };
  op.release = [](void*) {
    ++released;
    throw 43;
  };
  ASSERT_EQ(tenon_registry_add(registry, &op, nullptr), TENON_OK);
  EXPECT_EQ(tenon_registry_add(registry, &op, nullptr), TENON_ARGUMENT);  // there already
  EXPECT_EQ(released, 0);
  {
    const auto model =
        Model::load(model_path("custom.onnx"), Options().registry(std::shared_ptr<tenon_registry>(registry, tenon_registry_free)));
    const auto out = model.try_run(input());
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code(), Code::kRun);
  }
  EXPECT_EQ(released, 1);
}

TEST(CustomOp, ExceptionsOfOtherCallbacksAreCaught) {
  const auto throwing = [](void*, void*, size_t) -> int64_t { throw std::runtime_error("read"); };
  tenon_model* model = nullptr;
  EXPECT_EQ(tenon_model_load_stream(throwing, nullptr, nullptr, &model, nullptr), TENON_INTERNAL);
  float x = 0;
  tenon_tensor* t = nullptr;
  ASSERT_EQ(tenon_tensor_borrow(
                TENON_FLOAT32, nullptr, 0, &x, sizeof x, [](void*) { throw 1; }, nullptr, &t, nullptr),
            TENON_OK);
  tenon_tensor_free(t);
}

}  // namespace

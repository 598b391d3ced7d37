#include "ops/conv_pair.h"

#include "kernels/conv/pair.h"
#include "ops/elements.h"

namespace tenon::ops {

namespace {

Result<Type> between(const ConvPair& op, const Type& x, const Type& w, const Type& bias) {
  TENON_ASSIGN(Types types, infer(op.expand, Types{x, w, bias}));
  return std::move(types[0]);
}

kernels::ConvPairParams params_of(const ConvPair& op, const Dims& x, const Dims& w, const Dims& between, const Dims& depthwise_w,
                                  const Dims& y) {
  return {.expand = conv_params(op.expand, x, w, between), .depthwise = conv_params(op.depthwise, between, depthwise_w, y)};
}

}  // namespace

Result<Types> infer(const ConvPair& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 4, 5));
  TENON_ASSIGN(Type x, between(op, in[0], in[1], in[2]));
  return infer(op.depthwise, Types{std::move(x), in[3], has(in, 4) ? in[4] : Type()});
}

bool pair_pays(const ConvPair& op, const Type& x, const Type& w, const Type& depthwise_w) {
  if (x.dtype != DType::kFloat32 || !x.ranked() || x.rank() != 4 || !w.ranked() || !depthwise_w.ranked()) return false;
  Type one = x;
  one.shape = Shape({Dim(1), x.shape[1], x.shape[2], x.shape[3]});
  const auto t = between(op, one, w, Type());
  if (!t.ok()) return false;
  const auto y = infer(op.depthwise, Types{*t, depthwise_w});
  if (!y.ok()) return false;
  for (const Type* type : std::initializer_list<const Type*>{&one, &w, &*t, &depthwise_w, y->data()}) {
    if (!type->is_static()) return false;
  }
  kernels::ConvPairParams p =
      params_of(op, one.shape.to_ints(), w.shape.to_ints(), t->shape.to_ints(), depthwise_w.shape.to_ints(), (*y)[0].shape.to_ints());
  p.expand.format = static_cast<kernels::ConvFormat>(w.layout.format);
  p.depthwise.format = static_cast<kernels::ConvFormat>(depthwise_w.layout.format);
  return kernels::conv_pair_pays(p.expand, p.depthwise);
}

Result<Step> bind(const ConvPair& op, const BindContext& ctx) {
  const Dims &x = ctx.dims(0), &w = ctx.dims(1), &y = ctx.out_dims(0);
  TENON_TRY(element_count(y));
  kernels::ConvPairParams p = params_of(op, x, w, {x[0], w[0], x[2], x[3]}, ctx.dims(3), y);
  p.expand.format = static_cast<kernels::ConvFormat>(ctx.layout(1).format);
  p.depthwise.format = static_cast<kernels::ConvFormat>(ctx.layout(3).format);
  p.expand.epilogue.bias = ctx.has_input(2);
  p.depthwise.epilogue.bias = ctx.has_input(4);
  plan_conv_pair(p);
  const double expanded = static_cast<double>(w[0]) * static_cast<double>(x[1]) * static_cast<double>(x[2]) * static_cast<double>(x[3]);
  const double filtered = static_cast<double>(count_of(y)) * static_cast<double>(p.depthwise.taps());
  Step step;
  step.kernel = "ConvPair";
  step.scratch_bytes = static_cast<size_t>(p.scratch);
  step.phases.push_back(
      Step::phase(kernels::conv_pair, p, count_of(y) == 0 ? 0 : p.parts(), (static_cast<double>(x[0]) * expanded + filtered) / kConvSpeed));
  return step;
}

}  // namespace tenon::ops

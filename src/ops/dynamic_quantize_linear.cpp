#include "ops/dynamic_quantize_linear.h"

#include "kernels/quantize/quantize.h"
#include "kernels/quantize/range.h"
#include "ops/elements.h"

namespace tenon::ops {

Result<Types> infer(const DynamicQuantizeLinear&, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_dtype(in, 0, {DType::kFloat32}));
  TENON_TRY(expect_plain(in));
  return Types{Type::of(DType::kUint8, in[0].shape), Type::of(DType::kFloat32, Shape{}), Type::of(DType::kUint8, Shape{})};
}

namespace {

/// QuantizeLinear with the scale and zero point that the phases before it have found.
struct Quantize {
  kernels::Kernel<kernels::QuantizeParams> kernel;
  kernels::QuantizeParams params;
};
void quantize(const Quantize& q, const kernels::Call& call, kernels::Range range) {
  const auto* scale = reinterpret_cast<const kernels::DynamicScale*>(call.shared);
  const void* src[] = {call.src[0], &scale->scale, &scale->zero};
  kernels::Call inner = call;
  inner.src = src;
  q.kernel(q.params, inner, range);
}

}  // namespace

Result<Step> bind(const DynamicQuantizeLinear&, const BindContext& ctx) {
  const int64_t count = count_of(ctx.dims(0));
  Step step;
  const Cut ranges = cut(count, 0.1, 64);
  const kernels::MinMaxParams r{.count = count, .chunk = ranges.chunk};
  step.shared_bytes = r.shared_bytes();
  if (count > 0) step.phases.push_back(Step::phase(kernels::RangePointer(), r, r.parts(), ranges.nanoseconds));
  step.phases.push_back(Step::phase(kernels::DynamicScalePointer(), r, 1, 10));
  const Cut c = cut(count, 0.2, 64);
  const kernels::QuantizeParams q{.zero_point = true, .axis = count, .block = c.chunk};
  step.kernel = "DynamicQuantize";
  for (const auto& row : kernels::quantize) {
    if (row.refuse(q) != nullptr || count == 0) continue;
    step.kernel = row.name;
    step.phases.push_back(Step::phase<Quantize>(quantize, {row.pointer(), q}, c.parts, c.nanoseconds));
    break;
  }
  return step;
}

}  // namespace tenon::ops

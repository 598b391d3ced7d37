#include "ops/clip.h"

#include "kernels/elementwise/select.h"
#include "ops/elements.h"

namespace tenon::ops {

Result<Types> infer(const Clip&, const Types& in) {
  TENON_TRY(expect_inputs(in, 1, 3));
  TENON_TRY(expect_numeric(in, 0));
  for (int i = 1; i <= 2; ++i) {
    if (!has(in, i)) continue;
    TENON_TRY(expect_same_dtype(in, 0, i));
    if (!in[i].layout.plain()) return error(Code::kInternal, "input ", i, " has layout ", in[i].layout.str(), ", expected plain");
    if (!in[i].ranked()) continue;
    for (const Dim& d : in[i].shape) {
      if (d.is_const() && !d.is(1)) {
        return input_error(i, i == 1 ? "(min) has shape " : "(max) has shape ", in[i].shape.str(), ", expected a scalar");
      }
    }
  }
  Type out = Type::of(in[0].dtype, in[0].shape);
  out.layout = in[0].layout;
  return Types{std::move(out)};
}

Result<Step> bind(const Clip&, const BindContext& ctx) {
  kernels::ClipParams p;
  p.dtype = ctx.dtype(0);
  p.count = physical_count(ctx.dims(0), ctx.layout(0));
  const Cut c = cut(p.count, p.dtype == DType::kFloat32 ? 0.2 : 0.8, 64);
  p.chunk = c.chunk;
  if (ctx.inputs() < 3) {
    // The kernel looks at three inputs; without the bounds there is nothing to do.
    if (!ctx.has_input(1)) {
      Step view;
      view.kernel = "View";
      view.views.push_back({0, 0, 0});
      return view;
    }
    p.no_high = true;
  }
  TENON_ASSIGN(Step step, ctx.choose(kernels::clip, p, c.parts, c.nanoseconds));
  step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops

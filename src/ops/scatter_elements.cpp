#include "ops/scatter_elements.h"

#include "ops/index_lines.h"

namespace tenon::ops {

Status expect_reducible(const Types& in, Reduction reduction) {
  if (reduction == Reduction::kNone) return {};
  const DType d = in[0].dtype;
  const bool arithmetic = reduction == Reduction::kAdd || reduction == Reduction::kMul;
  if (is_numeric(d) || d == DType::kBool || (is_complex(d) && arithmetic)) return {};
  return input_error(0, "has dtype ", name_of(d), ", which reduction ", arithmetic ? "add or mul" : "max or min", " does not handle");
}

Result<Types> infer(const ScatterElements& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 3));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_same_dtype(in, 0, 2));
  TENON_TRY(expect_reducible(in, op.reduction));
  TENON_TRY(expect_indices_along(in, op.axis));
  if (in[1].ranked() && in[2].ranked()) {
    TENON_TRY(expect_rank(in, 2, in[1].rank()));
    for (int d = 0; d < in[1].rank(); ++d) {
      if (dims_equal(in[1].shape[d], in[2].shape[d]) == false) {
        return input_error(2, "has shape ", in[2].shape.str(), ", expected that of input 1, ", in[1].shape.str());
      }
    }
  }
  return Types{Type::of(in[0].dtype, in[0].shape)};
}

Result<Step> bind(const ScatterElements& op, const BindContext& ctx) {
  kernels::ScatterElementsParams p;
  p.dtype = ctx.dtype(0);
  p.reduction = op.reduction;
  p.walk = index_lines(ctx.dims(0), ctx.dims(1), op.axis, ctx.dtype(1));
  TENON_ASSIGN(Step step,
               ctx.choose(kernels::scatter_elements, p, p.walk.parts(), 2.0 * static_cast<double>(p.walk.lines * p.walk.length)));
  TENON_ASSIGN(const int64_t count, element_count(ctx.dims(0)));
  const kernels::CopyAllParams copy{count * static_cast<int64_t>(size_of(p.dtype))};
  TENON_ASSIGN(Step first, ctx.choose(kernels::copy_all, copy, copy.parts(), 0.1 * static_cast<double>(copy.bytes)));
  step.phases.insert(step.phases.begin(), std::move(first.phases[0]));
  step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops

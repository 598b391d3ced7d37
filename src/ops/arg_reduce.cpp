#include "ops/arg_reduce.h"

#include "kernels/reduction/arg_reduce.h"
#include "ops/elements.h"

namespace tenon::ops {

Result<Types> infer(const ArgReduce& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_numeric(in, 0));
  if (!in[0].ranked()) return Types{Type::unranked(DType::kInt64)};
  DimList dims(in[0].shape.begin(), in[0].shape.end());
  // A scalar is taken as one dim of one element, as numpy does.
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, dims.empty() ? 1 : in[0].rank()));
  if (dims.empty()) return Types{Type::of(DType::kInt64, Shape())};
  if (dims[axis].is(0)) return shape_error("axis ", op.axis, " has no elements to choose from (shape ", in[0].shape.str(), ")");
  if (op.keepdims) dims[axis] = 1;
  else dims.erase(dims.begin() + axis);
  return Types{Type::of(DType::kInt64, Shape(std::move(dims)))};
}

Result<Step> bind(const ArgReduce& op, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  kernels::ArgReduceParams p;
  p.dtype = ctx.dtype(0);
  p.min = op.kind == ArgReduce::Kind::kMin;
  p.last = op.select_last_index;
  if (!dims.empty()) {
    TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, static_cast<int>(dims.size())));
    p.n = dims[axis];
    for (int64_t i = 0; i < axis; ++i) p.outer *= dims[i];
    for (size_t i = static_cast<size_t>(axis) + 1; i < dims.size(); ++i) p.inner *= dims[i];
  }
  const Cut c = cut(p.outer * p.inner, 1.0 * static_cast<double>(p.n) + 3);
  p.chunk = c.chunk;
  return ctx.choose(kernels::arg_reduce, p, c.parts, c.nanoseconds);
}

}  // namespace tenon::ops

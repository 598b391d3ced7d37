#include "ops/reverse_sequence.h"

#include "ops/copy.h"

namespace tenon::ops {

Result<Types> infer(const ReverseSequence& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_rank_at_least(in, 0, 2));
  TENON_TRY(expect_dtype(in, 1, {DType::kInt64}));
  TENON_TRY(expect_rank(in, 1, 1));
  if (op.batch_axis < 0 || op.batch_axis > 1 || op.time_axis != 1 - op.batch_axis) {
    return shape_error("batch_axis is ", op.batch_axis, " and time_axis ", op.time_axis, ", expected 0 and 1 or 1 and 0");
  }
  if (in[0].ranked() && in[1].ranked() && dims_equal(in[0].shape[op.batch_axis], in[1].shape[0]) == false) {
    return input_error(1, "has ", in[1].shape[0].str(), " lengths, expected ", in[0].shape[op.batch_axis].str(), ", dim ", op.batch_axis,
                       " of input 0");
  }
  return Types{Type::of(in[0].dtype, in[0].shape)};
}

Result<Step> bind(const ReverseSequence& op, const BindContext& ctx) {
  const Dims& x = ctx.dims(0);
  TENON_ASSIGN(const Dims strides, byte_strides(x, ctx.dtype(0)));
  if (is_empty(x)) return Step{};
  kernels::ReverseParams p;
  p.time_axis = static_cast<int32_t>(op.time_axis);
  p.first = x[0];
  p.second = x[1];
  p.inner = strides[1];
  p.rows_per_part = kernels::rows_per_part(p.inner);
  const double rows = static_cast<double>(p.first) * static_cast<double>(p.second);
  return ctx.choose(kernels::reverse_table, p, p.parts(), rows * (5 + 0.05 * static_cast<double>(p.inner)));
}

}  // namespace tenon::ops

#include "ops/group_normalization.h"

#include "kernels/normalization/layer_norm.h"
#include "ops/elements.h"

namespace tenon::ops {

Result<Types> infer(const GroupNormalization& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 3));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_float(in, 0));
  TENON_TRY(expect_rank_at_least(in, 0, 2));
  if (op.num_groups < 0) return shape_error("attribute 'num_groups' is ", op.num_groups, ", expected a positive number");
  for (int i = 1; i <= 2; ++i) {
    TENON_TRY(expect_same_dtype(in, 0, i));
    TENON_TRY(expect_rank(in, i, 1));
  }
  if (in[0].ranked()) {
    const Dim& channels = in[0].shape[1];
    if (op.num_groups > 0 && channels.is_const() && channels.value() % op.num_groups != 0) {
      return shape_error("attribute 'num_groups' is ", op.num_groups, ", expected a divisor of the ", channels.value(),
                         " channels of input 0");
    }
    const Dim expected = op.per_group && op.num_groups > 0 ? Dim(op.num_groups) : channels;
    for (int i = 1; i <= 2; ++i) {
      if (!in[i].ranked()) continue;
      const Dim& got = in[i].shape[0];
      if (got.is_const() && expected.is_const() && !(got == expected)) {
        return input_error(i, i == 1 ? "(scale)" : "(bias)", " has ", got.value(), " elements, expected ", expected.value());
      }
    }
  }
  return Types{Type::of(in[0].dtype, in[0].shape)};
}

Result<Step> bind(const GroupNormalization& op, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  kernels::GroupNormParams p;
  p.dtype = ctx.dtype(0);
  p.per_group = op.per_group;
  p.epsilon = op.epsilon;
  p.batch = dims[0];
  p.channels = dims[1];
  for (size_t i = 2; i < dims.size(); ++i) p.inner *= dims[i];
  p.groups = op.num_groups > 0 ? op.num_groups : p.channels;
  const int64_t members = p.groups > 0 ? p.channels / p.groups : 0;
  Cut c = cut(p.batch * p.groups, (p.dtype == DType::kFloat32 ? 0.4 : 6.0) * static_cast<double>(members * p.inner) + 20);
  p.chunk = c.chunk;
  if (count_of(dims) == 0) c.parts = 0;
  TENON_ASSIGN(Step step, ctx.choose(kernels::group_norm, p, c.parts, c.nanoseconds));
  step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops

#include "ops/eye_like.h"

#include <algorithm>
#include <cstring>

#include "ops/copy.h"

namespace tenon::ops {

namespace {

/// The bytes of the number 1.
uint64_t one_of(DType dtype) {
  uint64_t bits = 1;
  dispatch<float, double, Float16, BFloat16>(dtype, [&](auto one) {
    one = decltype(one)(1.0f);
    bits = 0;
    std::memcpy(&bits, &one, sizeof(one));
  });
  return bits;
}

}  // namespace

Result<Types> infer(const EyeLike& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_rank(in, 0, 2));
  const DType dtype = op.dtype == DType::kUndefined ? in[0].dtype : op.dtype;
  if (!is_numeric(dtype) && dtype != DType::kBool) return shape_error("dtype is ", name_of(dtype), ", expected a number type or bool");
  return Types{Type::of(dtype, in[0].ranked() ? in[0].shape : Shape{Dim::unknown(), Dim::unknown()})};
}

Result<Step> bind(const EyeLike& op, const BindContext& ctx) {
  const Dims& dims = ctx.out_dims(0);
  TENON_TRY(byte_strides(dims, ctx.out_dtype(0)));
  if (is_empty(dims)) return Step{};
  kernels::EyeParams p;
  p.element = static_cast<int32_t>(size_of(ctx.out_dtype(0)));
  p.one = one_of(ctx.out_dtype(0));
  p.rows = dims[0];
  p.columns = dims[1];
  p.k = std::clamp(op.k, -p.rows, p.columns);  // beyond these nothing changes
  p.rows_per_part = kernels::rows_per_part(p.columns * p.element);
  const double bytes = static_cast<double>(p.rows) * static_cast<double>(p.columns * p.element);
  return ctx.choose(kernels::eye_table, p, p.parts(), bytes * 0.05 + static_cast<double>(p.rows) * 5);
}

}  // namespace tenon::ops

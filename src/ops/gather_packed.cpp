#include "ops/gather_packed.h"

#include "kernels/gemm/gather_packed.h"
#include "ops/copy.h"

namespace tenon::ops {

bool can_gather_packed(DType dtype) {
  return dtype == DType::kFloat32 || (kernels::is_half(dtype) && kernels::is_halves(kernels::weights_format(dtype)));
}

Result<Types> infer(const GatherPacked& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_dtype(in, 0, {DType::kFloat32, DType::kFloat16, DType::kBFloat16}));
  TENON_TRY(expect_rank(in, 0, 2));
  TENON_TRY(expect_index(in, 1));
  if (in[0].layout.kind != Layout::Kind::kPacked || !in[1].layout.plain() || !in[0].ranked()) {
    return error(Code::kInternal, "inputs have layouts ", in[0].layout.str(), " and ", in[1].layout.str(), ", expected packed and plain");
  }
  if (!in[1].ranked()) return Types{Type::unranked(in[0].dtype)};
  DimList out(in[1].shape.begin(), in[1].shape.end());
  out.push_back(in[0].shape[op.columns ? 0 : 1]);
  return Types{Type::of(in[0].dtype, Shape(std::move(out)))};
}

Result<Step> bind(const GatherPacked& op, const BindContext& ctx) {
  if (is_empty(ctx.out_dims(0))) return Step{};
  kernels::GatherPackedParams p;
  p.format = static_cast<kernels::GemmFormat>(ctx.layout(0).format);
  p.dtype = ctx.dtype(0);
  const kernels::GemmFormat expected = kernels::weights_format(p.dtype);
  if (p.format != expected || !can_gather_packed(p.dtype)) {
    return error(Code::kInternal, "input 0 is ", ctx.layout(0).str(), " of ", name_of(p.dtype),
                 ", expected packed:", static_cast<int>(expected), " with elements of that type on this CPU");
  }
  p.columns = op.columns;
  p.wide = ctx.dtype(1) == DType::kInt64;
  p.k = ctx.dims(0)[0];
  p.n = ctx.dims(0)[1];
  p.indices = product(ctx.dims(1), 0, ctx.dims(1).size());
  const double nanoseconds =
      static_cast<double>(p.indices) * (op.columns ? 4.0 * static_cast<double>(p.k) : 0.3 * static_cast<double>(p.n));
  return ctx.choose(kernels::gather_packed, p, p.parts(), nanoseconds);
}

}  // namespace tenon::ops

#include "ops/transpose.h"

#include "ops/copy.h"

namespace tenon::ops {

Result<std::vector<int64_t>> full_perm(const Transpose& op, int rank) {
  std::vector<int64_t> perm = op.perm;
  if (perm.empty()) {
    for (int i = rank; i-- > 0;) perm.push_back(i);
    return perm;
  }
  if (static_cast<int>(perm.size()) != rank) {
    return shape_error("perm ", str(perm), " has ", perm.size(), " entries, expected ", rank, ", the rank of input 0");
  }
  std::vector<bool> seen(perm.size(), false);
  for (const int64_t p : perm) {
    if (p < 0 || p >= rank || seen[p]) return shape_error("perm ", str(perm), " is not a permutation of 0 to ", rank - 1);
    seen[p] = true;
  }
  return perm;
}

Result<Types> infer(const Transpose& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_plain(in));
  if (!in[0].ranked() && op.perm.empty()) return Types{Type::unranked(in[0].dtype)};
  TENON_ASSIGN(const auto perm, full_perm(op, in[0].ranked() ? in[0].rank() : static_cast<int>(op.perm.size())));
  DimList out;
  for (const int64_t p : perm) out.push_back(in[0].ranked() ? in[0].shape[p] : Dim::unknown());
  return Types{Type::of(in[0].dtype, Shape(std::move(out)))};
}

Result<Step> bind(const Transpose& op, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  TENON_ASSIGN(const auto perm, full_perm(op, static_cast<int>(dims.size())));
  TENON_ASSIGN(const Dims strides, byte_strides(dims, ctx.dtype(0)));
  std::vector<kernels::CopyLoop> loops;
  for (const int64_t p : perm) loops.push_back({dims[p], strides[p], 0});
  return copy_step(ctx, std::move(loops));
}

}  // namespace tenon::ops

#include "ops/gather_nd.h"

#include <algorithm>

#include "ops/index_lines.h"

namespace tenon::ops {

Result<Types> infer(const GatherND& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_index(in, 1));
  for (int i : {0, 1}) {
    TENON_TRY(expect_rank_at_least(in, i, 1));
    TENON_TRY(expect_index_rank(in, i));
    if (in[i].ranked() && (op.batch_dims < 0 || op.batch_dims >= in[i].rank())) {
      return shape_error("batch_dims ", op.batch_dims, " is outside [0, ", in[i].rank() - 1, "] for input ", i, " of rank ", in[i].rank());
    }
  }
  if (!in[0].ranked() || !in[1].ranked()) return Types{Type::unranked(in[0].dtype)};
  const int b = static_cast<int>(op.batch_dims), r = in[0].rank(), q = in[1].rank();
  for (int d = 0; d < b; ++d) {
    // A run error, because the batch is what usually becomes known only then.
    if (dims_equal(in[0].shape[d], in[1].shape[d]) == false) {
      return run_error("batch_dims is ", b, ", but batch dim ", d, " is ", in[0].shape[d].str(), " in input 0 and ", in[1].shape[d].str(),
                       " in input 1");
    }
  }
  const Dim& depth = in[1].shape[q - 1];
  if (!depth.is_const()) return Types{Type::unranked(in[0].dtype)};
  const int64_t k = depth.value();
  if (k < 1 || k > r - b) {
    return input_error(1, "has shape ", in[1].shape.str(), ": its last dim is ", k, ", expected 1 to ", r - b,
                       " coordinates of input 0 of rank ", r, " after batch_dims ", b);
  }
  DimList out;
  for (int d = 0; d < q - 1; ++d) out.push_back(d < b && in[0].shape[d].is_const() ? in[0].shape[d] : in[1].shape[d]);
  for (int d = b + static_cast<int>(k); d < r; ++d) out.push_back(in[0].shape[d]);
  return Types{Type::of(in[0].dtype, Shape(std::move(out)))};
}

Result<Step> bind(const GatherND& op, const BindContext& ctx) {
  const Dims &data = ctx.dims(0), &indices = ctx.dims(1);
  const int b = static_cast<int>(op.batch_dims), k = static_cast<int>(indices.back()), r = static_cast<int>(data.size());
  kernels::GatherNDParams p;
  p.element = static_cast<int32_t>(size_of(ctx.dtype(0)));
  p.index.wide = ctx.dtype(1) == DType::kInt64;
  p.index.depth = k;
  for (int d = b + k; d < r; ++d) p.index.slice *= data[d];
  for (int d = k - 1; d >= 0; --d) {
    p.index.limits[d] = data[b + d];
    p.index.strides[d] = p.batch_slices;
    p.batch_slices *= data[b + d];
  }
  for (int d = 0; d + 1 < static_cast<int>(indices.size()); ++d) {
    p.index.tuples *= indices[d];
    if (d >= b) p.tuples_per_batch *= indices[d];
  }
  constexpr int64_t kPieceBytes = 64 << 10;
  const int64_t bytes = p.index.slice * p.element;
  p.pieces = std::max<int64_t>(1, bytes / kPieceBytes);
  p.piece = (p.index.slice + p.pieces - 1) / p.pieces;
  p.units_per_part = std::clamp<int64_t>(kPieceBytes / std::max<int64_t>(1, bytes), 1, 8192);
  return ctx.choose(kernels::gather_nd, p, p.parts(), static_cast<double>(p.index.tuples) * (3.0 + 0.1 * static_cast<double>(bytes)));
}

}  // namespace tenon::ops

#include "ops/scatter_nd.h"

#include <algorithm>

#include "ops/index_lines.h"

namespace tenon::ops {

Result<Types> infer(const ScatterND& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 3));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_index(in, 1));
  TENON_TRY(expect_same_dtype(in, 0, 2));
  TENON_TRY(expect_reducible(in, op.reduction));
  for (int i : {0, 1}) {
    TENON_TRY(expect_rank_at_least(in, i, 1));
    TENON_TRY(expect_index_rank(in, i));
  }
  Types out{Type::of(in[0].dtype, in[0].shape)};
  if (!in[0].ranked() || !in[1].ranked()) return out;
  const int r = in[0].rank(), q = in[1].rank();
  const Dim& depth = in[1].shape[q - 1];
  if (!depth.is_const()) return out;
  const int64_t k = depth.value();
  if (k < 1 || k > r) {
    return input_error(1, "has shape ", in[1].shape.str(), ": its last dim is ", k, ", expected 1 to ", r,
                       " coordinates of input 0 of rank ", r);
  }
  DimList expected(in[1].shape.begin(), in[1].shape.end() - 1);
  expected.insert(expected.end(), in[0].shape.begin() + k, in[0].shape.end());
  if (!in[2].ranked()) return out;
  bool fits = in[2].rank() == static_cast<int>(expected.size());
  for (size_t d = 0; fits && d < expected.size(); ++d) fits = dims_equal(expected[d], in[2].shape[d]) != false;
  if (!fits) return input_error(2, "has shape ", in[2].shape.str(), ", expected ", Shape(expected).str());
  return out;
}

Result<Step> bind(const ScatterND& op, const BindContext& ctx) {
  const Dims &data = ctx.dims(0), &indices = ctx.dims(1);
  const int k = static_cast<int>(indices.back()), r = static_cast<int>(data.size());
  kernels::ScatterNDParams p;
  p.dtype = ctx.dtype(0);
  p.reduction = op.reduction;
  p.index.wide = ctx.dtype(1) == DType::kInt64;
  p.index.depth = k;
  for (int d = k; d < r; ++d) p.index.slice *= data[d];
  for (int d = k - 1; d >= 0; --d) {
    p.index.limits[d] = data[d];
    p.index.strides[d] = p.slices;
    p.slices *= data[d];
  }
  for (size_t d = 0; d + 1 < indices.size(); ++d) p.index.tuples *= indices[d];
  const int64_t element = static_cast<int64_t>(size_of(p.dtype)), bytes = p.index.slice * element;
  // Every owner looks at all tuples, which only pays when slices are much longer than their coordinates.
  const int64_t moved = p.index.tuples * bytes;
  if (bytes >= 256) p.owners = std::clamp<int64_t>(std::min(p.slices, moved / (32 << 10)), 1, 16);
  TENON_ASSIGN(Step step, ctx.choose(kernels::scatter_nd, p, p.parts(),
                                     static_cast<double>(p.index.tuples) * (3.0 + 0.15 * static_cast<double>(bytes))));
  const kernels::CopyAllParams copy{p.slices * bytes};
  TENON_ASSIGN(Step first, ctx.choose(kernels::copy_all, copy, copy.parts(), 0.1 * static_cast<double>(copy.bytes)));
  step.phases.insert(step.phases.begin(), std::move(first.phases[0]));
  step.in_place.push_back({0, 0});
  return step;
}

}  // namespace tenon::ops

#include "ops/one_hot.h"

#include <algorithm>
#include <cmath>

#include "kernels/indexing/indexing.h"

namespace tenon::ops {

namespace {

/// The size of the new axis: exact, symbolic or unknown.
Result<Dim> depth_of(const Types& in) {
  std::optional<Dim> depth;
  if (const auto contents = contents_of(in, 1); contents && contents->size() == 1) {
    depth = (*contents)[0];
  } else if (const auto values = doubles_of(in, 1); values && values->size() == 1) {
    const double v = (*values)[0];
    if (!(std::abs(v) < 9e15)) return input_error(1, "is depth ", v, ", expected a size");
    depth = Dim(static_cast<int64_t>(v));
  }
  if (!depth) return Dim::unknown();
  if (depth->is_const() && depth->value() < 0) return input_error(1, "is depth ", depth->value(), ", expected 0 or more");
  return *depth;
}

}  // namespace

Result<Types> infer(const OneHot& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 3));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_numeric(in, 0));
  TENON_TRY(expect_numeric(in, 1));
  if (in[1].ranked()) {
    const Dim count = in[1].shape.count();
    if (in[1].rank() > 1 || (count.is_const() && count.value() != 1)) {
      return input_error(1, "has shape ", in[1].shape.str(), ", expected a depth of one element");
    }
  }
  if (in[2].ranked() && (in[2].rank() != 1 || dims_equal(in[2].shape[0], 2) == false)) {
    return input_error(2, "has shape ", in[2].shape.str(), ", expected [2]: the off and the on value");
  }
  TENON_ASSIGN(const Dim depth, depth_of(in));
  if (!in[0].ranked()) return Types{Type::unranked(in[2].dtype)};
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, in[0].rank() + 1));
  Shape out = in[0].shape;
  out.dims().insert(out.dims().begin() + axis, depth);
  return Types{Type::of(in[2].dtype, std::move(out))};
}

Result<Step> bind(const OneHot& op, const BindContext& ctx) {
  const Dims& out = ctx.out_dims(0);
  const int rank = static_cast<int>(out.size());
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, rank));
  kernels::OneHotParams p;
  p.index_dtype = ctx.dtype(0);
  p.element = static_cast<int32_t>(size_of(ctx.dtype(2)));
  p.depth = out[axis];
  for (int d = 0; d < rank; ++d) {
    if (d < axis) p.outer *= out[d];
    if (d > axis) p.inner *= out[d];
  }
  const int64_t row = std::max<int64_t>(1, p.depth * p.inner);
  p.rows_per_part = std::max<int64_t>(1, 65536 / row);
  return ctx.choose(kernels::one_hot, p, p.parts(), 0.3 * static_cast<double>(p.outer) * static_cast<double>(row));
}

}  // namespace tenon::ops

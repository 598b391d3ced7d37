#include "ops/concat.h"

#include "ops/copy.h"
#include "ops/join.h"

namespace tenon::ops {

Result<Types> infer(const Concat& op, const Types& in) {
  if (in.empty()) return shape_error("has no inputs, expected one or more");
  const int n = static_cast<int>(in.size());
  TENON_TRY(expect_inputs(in, n));
  int first = -1;  // the first with a known rank
  Layout layout = in[0].layout;
  for (int i = 0; i < n; ++i) {
    TENON_TRY(expect_same_dtype(in, 0, i));
    if (in[i].layout != layout) {
      return error(Code::kInternal, "inputs 0 and ", i, " have layouts ", layout.str(), " and ", in[i].layout.str(), ", expected the same");
    }
    if (!in[i].ranked()) continue;
    if (first < 0) first = i;
    if (in[i].rank() != in[first].rank()) {
      return shape_error("inputs ", first, " and ", i, " have ranks ", in[first].rank(), " and ", in[i].rank(), " (shapes ",
                         in[first].shape.str(), " and ", in[i].shape.str(), "), expected the same rank");
    }
  }
  if (first < 0) return Types{Type::unranked(in[0].dtype)};
  const int rank = in[first].rank();
  if (rank == 0) return input_error(first, "is a scalar, expected rank 1 or more");
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, rank));
  if (!layout.plain()) {
    if (layout.kind != Layout::Kind::kChannelBlocked || axis != 1) {
      return error(Code::kInternal, "layout ", layout.str(), " along axis ", axis, ", expected plain");
    }
    for (int i = 0; i < n; ++i) {
      const bool whole = in[i].ranked() && in[i].shape[1].is_const() && in[i].shape[1].value() % layout.block == 0;
      if (!whole) return error(Code::kInternal, "input ", i, " of ", in[i].str(), " does not fill whole blocks of channels");
    }
  }
  DimList out;
  for (int d = 0; d < rank; ++d) {
    Dim dim = d == axis ? Dim(0) : in[first].shape[d];
    int from = first;
    for (int i = 0; i < n; ++i) {
      if (!in[i].ranked()) {
        if (d == axis) dim = Dim::unknown();
        continue;
      }
      const Dim& x = in[i].shape[d];
      if (d == axis) {
        const bool constant = dim.is_const() && x.is_const();
        dim = dim + x;
        if (constant && !dim.is_const()) return limit_error("the sum of the dims along axis ", axis, " overflows");
      } else if (dim.is_const() && x.is_const() && dim.value() != x.value()) {
        return shape_error("inputs ", from, " and ", i, " differ in dim ", d, ": ", dim.value(), " and ", x.value(), " (shapes ",
                           in[from].shape.str(), " and ", in[i].shape.str(), "), expected equal dims apart from axis ", axis);
      } else if (!dim.is_const() && x.is_const()) {
        dim = x;
        from = i;
      }
    }
    out.push_back(dim);
  }
  Type type = Type::of(in[0].dtype, Shape(std::move(out)));
  type.layout = layout;
  return Types{std::move(type)};
}

Result<Step> bind(const Concat& op, const BindContext& ctx) {
  if (ctx.inputs() == 1) return view_step();
  const Dims& out = ctx.out_dims(0);
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, static_cast<int>(out.size())));
  TENON_ASSIGN(const Dims strides, byte_strides(out, ctx.out_dtype(0)));
  if (is_empty(out)) return Step{};
  // Blocked channels are whole blocks, so that a row of the plain layout and one of the blocked have the same bytes.
  std::vector<int64_t> widths;
  for (int i = 0; i < ctx.inputs(); ++i) widths.push_back(ctx.dims(i)[axis] * strides[axis]);
  const int64_t rows = product(out, 0, static_cast<size_t>(axis));
  TENON_ASSIGN(Step step, join_step(ctx, false, rows, widths));
  int64_t offset = 0;
  for (int i = 0; rows == 1 && i < ctx.inputs(); ++i) {
    step.joins.push_back({i, offset});
    offset += widths[static_cast<size_t>(i)];
  }
  return step;
}

}  // namespace tenon::ops

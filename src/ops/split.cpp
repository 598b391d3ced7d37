#include "ops/split.h"

#include "ops/copy.h"
#include "ops/join.h"

namespace tenon::ops {

namespace {

constexpr int64_t kMostOutputs = 1 << 20;

/// The length of each piece of a dim without given sizes.
Result<DimList> equal_sizes(const Split& op, const Dim& n) {
  DimList sizes;
  const Dim size = op.uneven ? Dim::ceil_div(n, Dim(op.outputs)) : Dim::floor_div(n, Dim(op.outputs));
  const Dim last = n - size * Dim(op.outputs - 1);
  if (n.is_const() && ((op.uneven && last.value() < 0) || (!op.uneven && n.value() % op.outputs != 0))) {
    return shape_error("a dim of ", n.value(), " cannot be split into ", op.outputs, op.uneven ? " pieces" : " equal pieces");
  }
  for (int64_t i = 0; i < op.outputs; ++i) sizes.push_back(op.uneven && i + 1 == op.outputs ? last : size);
  return sizes;
}

}  // namespace

Result<Types> infer(const Split& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1, 2));
  TENON_TRY(expect_plain(in));
  if (op.outputs < 1 || op.outputs > kMostOutputs) return shape_error("num_outputs is ", op.outputs, ", expected at least 1");
  std::optional<DimList> given;
  if (has(in, 1)) {
    TENON_TRY(expect_dtype(in, 1, {DType::kInt64}));
    TENON_TRY(expect_rank(in, 1, 1));
    given = contents_of(in, 1);
    if (given && static_cast<int64_t>(given->size()) != op.outputs) {
      return shape_error("split has ", given->size(), " sizes ", Shape(*given).str(), ", expected ", op.outputs, ", the number of outputs");
    }
  }
  const Type& x = in[0];
  if (!x.ranked()) return Types(static_cast<size_t>(op.outputs), Type::unranked(x.dtype));
  if (x.rank() == 0) return input_error(0, "is a scalar, expected rank 1 or more");
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, x.rank()));
  const Dim& n = x.shape[axis];
  DimList sizes;
  if (given) {
    Dim sum(0);
    bool all_const = true;
    for (const Dim& d : *given) {
      if (d.is_const() && d.value() < 0) return shape_error("split has the negative size ", d.value());
      all_const &= d.is_const();
      sum = sum + d;
    }
    if (all_const && n.is_const() && !(sum == n)) {
      return shape_error("split ", Shape(*given).str(), " adds up to ", sum.str(), ", expected ", n.value(), ", dim ", axis, " of input 0");
    }
    sizes = *given;
  } else if (has(in, 1)) {
    for (int64_t i = 0; i < op.outputs; ++i) sizes.push_back(Dim::unknown());
  } else {
    TENON_ASSIGN(sizes, equal_sizes(op, n));
  }
  Types out;
  for (const Dim& size : sizes) {
    Type piece = Type::of(x.dtype, x.shape);
    piece.shape[axis] = size;
    out.push_back(std::move(piece));
  }
  return out;
}

Result<Step> bind(const Split& op, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, static_cast<int>(dims.size())));
  TENON_ASSIGN(const Dims strides, byte_strides(dims, ctx.dtype(0)));
  if (is_empty(dims)) return Step{};
  const int64_t rows = product(dims, 0, static_cast<size_t>(axis));
  std::vector<int64_t> widths;
  for (int i = 0; i < ctx.outputs(); ++i) widths.push_back(ctx.out_dims(i)[axis] * strides[axis]);
  if (rows > 1 && ctx.outputs() > 1) return join_step(ctx, true, rows, widths);
  Step step;
  step.kernel = "View";
  int64_t offset = 0;
  for (int i = 0; i < ctx.outputs(); ++i) {
    if (ctx.wants_output(i)) step.views.push_back({i, 0, offset});
    offset += widths[i];
  }
  return step;
}

}  // namespace tenon::ops

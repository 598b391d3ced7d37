#include "ops/shape_of.h"

#include <algorithm>

#include "ops/copy.h"

namespace tenon::ops {

DimRange dims_taken(const ShapeOf& op, int rank) {
  const auto clamp = [rank](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  const int64_t begin = clamp(op.start);
  return {begin, std::max(begin, clamp(op.end))};
}

Result<Types> infer(const ShapeOf& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  if (!in[0].ranked()) return Types{Type::of(DType::kInt64, {Dim::unknown()})};
  const DimRange taken = dims_taken(op, in[0].rank());
  return Types{Type::of(DType::kInt64, {Dim(taken.end - taken.begin)})};
}

namespace {

Result<Step> numbers_step(const BindContext& ctx, const std::vector<int64_t>& values) {
  kernels::NumbersParams p;
  if (values.size() > std::size(p.values)) return limit_error("rank ", values.size(), ", expected at most ", std::size(p.values));
  p.count = static_cast<int32_t>(values.size());
  std::copy(values.begin(), values.end(), p.values);
  return ctx.choose(kernels::numbers_table, p, 1, 10);
}

}  // namespace

Result<Step> bind(const ShapeOf& op, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  const DimRange taken = dims_taken(op, static_cast<int>(dims.size()));
  return numbers_step(ctx, Dims(dims.begin() + taken.begin, dims.begin() + taken.end));
}

Result<Types> infer(const Size&, const Types& in) {
  TENON_TRY(expect_inputs(in, 1));
  return Types{Type::of(DType::kInt64, Shape{})};
}

Result<Step> bind(const Size&, const BindContext& ctx) {
  TENON_ASSIGN(const int64_t count, element_count(ctx.dims(0)));
  return numbers_step(ctx, {count});
}

}  // namespace tenon::ops

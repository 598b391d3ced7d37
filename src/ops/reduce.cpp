#include "ops/reduce.h"

#include <algorithm>

#include "ops/elements.h"

namespace tenon::ops {

std::string_view name_of(Reduce::Kind kind) {
  static constexpr std::string_view kNames[] = {"ReduceL1",   "ReduceL2",  "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
                                                "ReduceMean", "ReduceMin", "ReduceProd",   "ReduceSum",       "ReduceSumSquare"};
  static_assert(std::size(kNames) == kernels::kReduceKinds);
  return kNames[static_cast<int>(kind)];
}

namespace {

/// Which of `rank` axes are reduced, from the axes given (empty: none given).
Result<std::vector<bool>> reduced_axes(const Reduce& op, const std::vector<int64_t>& axes, int rank) {
  std::vector<bool> reduced(static_cast<size_t>(rank), axes.empty() && !op.noop_with_empty_axes);
  for (const int64_t axis : axes) {
    TENON_ASSIGN(const int64_t a, normal_axis(axis, rank, "axes"));
    reduced[static_cast<size_t>(a)] = true;
  }
  return reduced;
}

}  // namespace

Result<Types> infer(const Reduce& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 1, 2));
  TENON_TRY(expect_plain(in));
  const bool extreme = op.kind == Reduce::Kind::kMax || op.kind == Reduce::Kind::kMin;
  if (!(extreme && in[0].dtype == DType::kBool)) TENON_TRY(expect_numeric(in, 0));
  if (has(in, 1)) {
    TENON_TRY(expect_index(in, 1));
    if (in[1].ranked() && in[1].rank() > 1) return input_error(1, "(axes) has rank ", in[1].rank(), ", expected 1");
  }
  if (!in[0].ranked()) return Types{Type::unranked(in[0].dtype)};
  const int rank = in[0].rank();
  std::vector<int64_t> axes;
  if (has(in, 1)) {
    const auto known = ints_of(in, 1);
    if (!known) {
      // Without keepdims the rank is known only when the number of axes is (and none is there twice).
      if (!op.keepdims) return Types{Type::unranked(in[0].dtype)};
      DimList dims;
      for (int i = 0; i < rank; ++i) dims.push_back(in[0].shape[i].is(1) ? Dim(1) : Dim::unknown());
      return Types{Type::of(in[0].dtype, Shape(std::move(dims)))};
    }
    axes = *known;
  }
  TENON_ASSIGN(const std::vector<bool> reduced, reduced_axes(op, axes, rank));
  DimList dims;
  for (int i = 0; i < rank; ++i) {
    if (!reduced[i]) dims.push_back(in[0].shape[i]);
    else if (op.keepdims) dims.push_back(1);
  }
  return Types{Type::of(in[0].dtype, Shape(std::move(dims)))};
}

Result<Step> bind(const Reduce& op, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  std::vector<int64_t> axes;
  if (ctx.has_input(1)) {
    if (!ctx.constant(1)) return error(Code::kInternal, "axes of a reduction must be known when it is bound");
    axes = ctx.constant(1)->to_ints();
  }
  TENON_ASSIGN(const std::vector<bool> reduced, reduced_axes(op, axes, static_cast<int>(dims.size())));

  kernels::ReduceParams p;
  p.kind = op.kind;
  p.dtype = ctx.dtype(0);
  // From the innermost axis out: axes of one dim vanish, neighbours of one sort merge.
  struct Axis {
    int64_t dim, stride;
    bool reduced;
  };
  std::vector<Axis> merged;
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    if (dims[i] != 1) {
      if (!merged.empty() && merged.back().reduced == reduced[i] && merged.back().stride * merged.back().dim == stride)
        merged.back().dim *= dims[i];
      else merged.push_back({dims[i], stride, reduced[i]});
    }
    stride *= dims[i];
  }
  std::reverse(merged.begin(), merged.end());
  for (const Axis& a : merged) {
    int32_t& rank = a.reduced ? p.reduced_rank : p.kept_rank;
    if (rank == kernels::kMaxReduceRank) return limit_error("reducing ", str(dims), " needs rank over ", kernels::kMaxReduceRank);
    (a.reduced ? p.reduced_dims : p.kept_dims)[rank] = a.dim;
    (a.reduced ? p.reduced_strides : p.kept_strides)[rank] = a.stride;
    ++rank;
    (a.reduced ? p.reduced : p.outputs) *= a.dim;
  }
  const bool heavy = op.kind == Reduce::Kind::kLogSumExp;
  const double each =
      (p.dtype == DType::kFloat32 ? (heavy ? 1.0 : 0.1) : (heavy ? 8.0 : 1.5)) * static_cast<double>(std::max<int64_t>(p.reduced, 1)) + 3;
  // Reductions across the contiguous axis work on whole runs of outputs.
  const bool outer = p.kept_rank > 0 && p.kept_strides[p.kept_rank - 1] == 1 && p.reduced_rank > 0;
  const Cut c = cut(p.outputs, each, outer ? 64 : 1);
  p.chunk = c.chunk;
  return ctx.choose(kernels::reduce, p, c.parts, c.nanoseconds);
}

}  // namespace tenon::ops

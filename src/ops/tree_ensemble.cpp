#include "ops/tree_ensemble.h"

#include <algorithm>

#include "kernels/sizes.h"
#include "ops/elements.h"
#include "ops/forest.h"

namespace tenon::ops {

Result<Types> infer(const TreeEnsemble& op, const Types& in) {
  const kernels::TreesParams& p = op.forest->params();
  TENON_TRY(expect_inputs(in, 1));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_dtype(in, 0, {p.dtype}));
  TENON_TRY(expect_rank(in, 0, 2));
  Dim rows = Dim::unknown();
  if (in[0].ranked()) {
    rows = in[0].shape[0];
    const Dim& columns = in[0].shape[1];
    if (columns.is_const() && columns.value() < op.forest->features()) {
      return input_error(0, "has ", columns.str(), " columns, expected at least ", op.forest->features(), ": the trees look at feature ",
                         op.forest->features() - 1);
    }
  }
  Types out{Type::of(p.out, Shape{rows, Dim(p.scores())})};
  if (p.classes != kernels::TreeClass::kNone) out.push_back(Type::of(DType::kInt64, Shape{rows}));
  return out;
}

Result<Step> bind(const TreeEnsemble& op, const BindContext& ctx) {
  kernels::TreesParams p = op.forest->params();
  p.rows = ctx.dims(0)[0];
  p.columns = ctx.dims(0)[1];
  if (p.rows == 0) return Step{};
  TENON_TRY(element_count({p.rows, p.scores(), 8}));
  const double each = 1.2 * op.forest->steps(), nanoseconds = each * static_cast<double>(p.rows);
  const int64_t fit = std::max<int64_t>(1, 65536 / p.targets), some = (p.rows + 3) / 4;
  Step step;
  step.kernel = "Trees";
  const auto add = [&](kernels::Kernel<kernels::TreesParams> kernel, int64_t parts, double cost) {
    step.phases.push_back(Step::phase(kernel, p, parts, cost));
    step.phases[step.phases.size() - 1].keep(op.forest);
  };
  constexpr double kWorthSharing = 20000;
  if (p.rows < kernels::kMostTreeRows && nanoseconds > kWorthSharing) {
    const Cut trees = cut(p.count, nanoseconds / static_cast<double>(p.count));
    p.trees_per_part = trees.chunk;
    p.rows_per_part = std::min(fit, p.rows);
    add(kernels::TreesLeavesPointer(), p.tree_parts(), nanoseconds);
    add(kernels::TreesCountPointer(), p.row_parts(), static_cast<double>(p.rows * p.count) * 1.5);
    step.shared_bytes = static_cast<size_t>(p.rows * p.count) * sizeof(uint32_t);
  } else {
    p.rows_per_part = std::min({fit, kernels::kMostTreeRows, nanoseconds > kWorthSharing ? (some + 7) / 8 * 8 : p.rows});
    add(kernels::TreesRowsPointer(), p.row_parts(), nanoseconds);
  }
  step.scratch_bytes = static_cast<size_t>(kernels::tree_scratch_bytes(p));
  return step;
}

}  // namespace tenon::ops

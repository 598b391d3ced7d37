#include "ops/join.h"

namespace tenon::ops {

Result<Step> join_step(const BindContext& ctx, bool split, int64_t rows, const std::vector<int64_t>& widths) {
  // The step owns the offsets through its phase.
  struct Owner {
    std::vector<int64_t> offsets;
    std::shared_ptr<const void> params;
  };
  auto owner = std::make_shared<Owner>();
  owner->offsets.push_back(0);
  for (const int64_t w : widths) owner->offsets.push_back(owner->offsets.back() + w);
  kernels::JoinParams p;
  p.split = split;
  p.pieces = static_cast<int32_t>(widths.size());
  p.offsets = owner->offsets.data();
  p.rows = rows;
  p.row_bytes = owner->offsets.back();
  if (p.rows == 0 || p.row_bytes == 0) return Step{};
  p.cut();
  const double bytes = static_cast<double>(p.rows) * static_cast<double>(p.row_bytes);
  TENON_ASSIGN(Step step, ctx.choose(kernels::join_table, p, p.parts(), bytes * 0.05 + static_cast<double>(rows * p.pieces) * 2));
  owner->params = step.phases[0].params;
  step.phases[0].params = std::shared_ptr<const void>(owner, owner->params.get());
  return step;
}

}  // namespace tenon::ops

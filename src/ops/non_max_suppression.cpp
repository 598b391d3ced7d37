#include "ops/non_max_suppression.h"

#include <algorithm>
#include <cstring>

#include "kernels/vision/vision.h"

namespace tenon::ops {

namespace {

Status expect_one(const Types& in, int i, DType dtype) {
  if (!has(in, i)) return {};
  TENON_TRY(expect_dtype(in, i, {dtype}));
  if (!in[i].ranked()) return {};
  const Dim count = in[i].shape.count();
  if (in[i].rank() > 1 || (count.is_const() && count.value() > 1))
    return input_error(i, "has shape ", in[i].shape.str(), ", expected one element");
  return {};
}

Status expect_fit(const Types& in, int dim0, int dim1) {
  if (!in[0].ranked() || !in[1].ranked() || dims_equal(in[0].shape[dim0], in[1].shape[dim1]) != false) return {};
  return input_error(1, "has shape ", in[1].shape.str(), ", expected [batches, classes, boxes] for boxes of shape ", in[0].shape.str());
}

/// The element of input i, or `otherwise` when it is left out or empty.
template <class T>
T value_of(const ExecContext& ctx, int i, T otherwise) {
  const Tensor* t = i < ctx.inputs() ? ctx.input(i) : nullptr;
  return t && t->count() > 0 ? *t->as<T>() : otherwise;
}

/// The chosen rows; grows by doubling in the run's own memory.
struct Rows {
  Tensor memory;
  int64_t count = 0;

  Status reserve(ExecContext& ctx, int64_t more) {
    const int64_t room = memory.empty_handle() ? 0 : memory.dims()[0];
    if (count + more <= room) return {};
    TENON_ASSIGN(Tensor larger, ctx.allocate(DType::kInt64, {std::max(count + more, 2 * room), 3}));
    if (count > 0) std::memcpy(larger.data(), memory.data(), static_cast<size_t>(count) * 24);
    memory = std::move(larger);
    return {};
  }
};

Status run(const NonMaxSuppression& op, ExecContext& ctx) {
  const Tensor &boxes = *ctx.input(0), &scores = *ctx.input(1);
  const int64_t batches = boxes.dims()[0], n = boxes.dims()[1], classes = scores.dims()[1];
  if (n > int64_t{UINT32_MAX}) return limit_error("input 0 has ", n, " boxes, at most 2^32 - 1 are supported");
  kernels::Suppression s;
  s.n = n;
  s.center_point = op.center_point_box;
  s.most = std::clamp<int64_t>(value_of<int64_t>(ctx, 2, 0), 0, n);
  s.iou_threshold = value_of<float>(ctx, 3, 0);
  if (!(s.iou_threshold >= 0 && s.iou_threshold <= 1)) return run_error("input 3 is iou_threshold ", s.iou_threshold, ", expected 0 to 1");
  s.has_threshold = ctx.inputs() > 4 && ctx.input(4) && ctx.input(4)->count() > 0;
  s.score_threshold = value_of<float>(ctx, 4, 0);

  Rows rows;
  if (s.most > 0 && batches * classes > 0) {
    TENON_ASSIGN(const Tensor workspace, ctx.allocate(DType::kUint8, {kernels::suppression_workspace(n)}));
    TENON_ASSIGN(const Tensor chosen, ctx.allocate(DType::kInt64, {s.most}));
    for (int64_t b = 0; b < batches; ++b) {
      for (int64_t c = 0; c < classes; ++c) {
        TENON_TRY(ctx.check());
        s.boxes = boxes.as<float>() + b * n * 4;
        s.scores = scores.as<float>() + (b * classes + c) * n;
        const int64_t taken = kernels::suppress(s, workspace.as<std::byte>(), chosen.as<int64_t>());
        TENON_TRY(rows.reserve(ctx, taken));
        for (int64_t k = 0; k < taken; ++k) {
          int64_t* row = rows.memory.as<int64_t>() + 3 * rows.count++;
          row[0] = b;
          row[1] = c;
          row[2] = chosen.as<int64_t>()[k];
        }
      }
    }
  }
  TENON_ASSIGN(Tensor out, ctx.allocate(DType::kInt64, {rows.count, 3}));
  if (rows.count > 0) std::memcpy(out.data(), rows.memory.data(), static_cast<size_t>(rows.count) * 24);
  ctx.set_output(0, std::move(out));
  return {};
}

}  // namespace

Result<Types> infer(const NonMaxSuppression&, const Types& in) {
  TENON_TRY(expect_inputs(in, 2, 5));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_dtype(in, 0, {DType::kFloat32}));
  TENON_TRY(expect_dtype(in, 1, {DType::kFloat32}));
  TENON_TRY(expect_rank(in, 0, 3));
  TENON_TRY(expect_rank(in, 1, 3));
  if (in[0].ranked() && dims_equal(in[0].shape[2], 4) == false)
    return input_error(0, "has shape ", in[0].shape.str(), ", expected [batches, boxes, 4]");
  TENON_TRY(expect_fit(in, 0, 0));
  TENON_TRY(expect_fit(in, 1, 2));
  TENON_TRY(expect_one(in, 2, DType::kInt64));
  TENON_TRY(expect_one(in, 3, DType::kFloat32));
  TENON_TRY(expect_one(in, 4, DType::kFloat32));
  return Types{Type::of(DType::kInt64, Shape{Dim::unknown(), Dim(3)})};
}

Result<Step> bind(const NonMaxSuppression& op, const BindContext&) {
  Step step;
  step.kernel = "NonMaxSuppression";
  step.dynamic = [op](ExecContext& ctx) { return run(op, ctx); };
  return step;
}

}  // namespace tenon::ops

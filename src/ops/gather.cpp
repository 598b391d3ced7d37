#include "ops/gather.h"

#include <algorithm>

#include "ops/copy.h"

namespace tenon::ops {

Result<Types> infer(const Gather& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_index(in, 1));
  const Type &data = in[0], &indices = in[1];
  if (!data.ranked()) return Types{Type::unranked(data.dtype)};
  if (data.rank() == 0) return input_error(0, "is a scalar, expected rank 1 or more");
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, data.rank()));
  if (!indices.ranked()) return Types{Type::unranked(data.dtype)};
  const auto& dims = data.shape.dims();
  DimList out(dims.begin(), dims.begin() + axis);
  out.insert(out.end(), indices.shape.begin(), indices.shape.end());
  out.insert(out.end(), dims.begin() + axis + 1, dims.end());
  return Types{Type::of(data.dtype, Shape(std::move(out)))};
}

namespace {

/// Indices known beforehand that follow each other by a fixed step are a slice.
struct Progression {
  int64_t first = 0, step = 1;
};
std::optional<Progression> progression(const Tensor* t, int64_t n) {
  constexpr int64_t kMost = 4096;
  if (!t || t->count() < 1 || t->count() > kMost) return std::nullopt;
  std::vector<int64_t> indices = t->to_ints();
  for (int64_t& i : indices) {
    if (i < -n || i >= n) return std::nullopt;  // left to the kernel, which reports it
    if (i < 0) i += n;
  }
  const int64_t step = indices.size() > 1 ? indices[1] - indices[0] : 1;
  for (size_t i = 1; i < indices.size(); ++i) {
    if (indices[i] - indices[i - 1] != step) return std::nullopt;
  }
  return Progression{indices[0], step};
}

}  // namespace

Result<Step> bind(const Gather& op, const BindContext& ctx) {
  const Dims &dims = ctx.dims(0), &indices = ctx.dims(1);
  TENON_ASSIGN(const int64_t axis, normal_axis(op.axis, static_cast<int>(dims.size())));
  TENON_ASSIGN(const Dims strides, byte_strides(dims, ctx.dtype(0)));
  TENON_ASSIGN(const Dims out_strides, byte_strides(ctx.out_dims(0), ctx.out_dtype(0)));
  if (is_empty(ctx.out_dims(0))) return Step{};

  if (const auto slice = progression(ctx.constant(1), dims[axis])) {
    std::vector<kernels::CopyLoop> loops;
    int64_t index_step = slice->step * strides[axis];  // of the innermost dim of the indices
    for (int64_t i = 0; i < axis; ++i) loops.push_back({dims[i], strides[i], 0});
    for (size_t i = indices.size(); i-- > 0; index_step *= indices[i]) {
      loops.insert(loops.begin() + axis, {indices[i], index_step, 0});
    }
    for (size_t i = static_cast<size_t>(axis) + 1; i < dims.size(); ++i) loops.push_back({dims[i], strides[i], 0});
    return copy_step(ctx, std::move(loops), slice->first * strides[axis]);
  }

  kernels::GatherParams p;
  p.wide = ctx.dtype(1) == DType::kInt64;
  p.outer = product(dims, 0, static_cast<size_t>(axis));
  p.axis = dims[axis];
  p.indices = product(indices, 0, indices.size());
  p.inner = strides[axis];
  p.cut();
  const double rows = static_cast<double>(p.outer) * static_cast<double>(p.indices);
  return ctx.choose(kernels::gather_table, p, p.parts(), rows * (3 + 0.05 * static_cast<double>(p.inner)));
}

}  // namespace tenon::ops

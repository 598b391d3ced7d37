#include "ops/pad.h"

#include <algorithm>

#include "ops/copy.h"

namespace tenon::ops {

namespace {

const char* name_of(Pad::Mode mode) {
  switch (mode) {
    case Pad::Mode::kConstant: return "constant";
    case Pad::Mode::kReflect: return "reflect";
    case Pad::Mode::kEdge: return "edge";
    case Pad::Mode::kWrap: return "wrap";
  }
  return "?";
}

/// Pads of every dim, 0 where none are given: before in [0, rank), after in [rank, 2*rank).
template <class List>
Result<List> spread(const List& pads, const std::vector<int64_t>* axes, int rank) {
  const size_t n = axes ? axes->size() : static_cast<size_t>(rank);
  if (pads.size() != 2 * n) return shape_error("pads has ", pads.size(), " entries, expected ", 2 * n, ", two for each of ", n, " axes");
  List all(static_cast<size_t>(2 * rank), 0);
  std::vector<bool> seen(static_cast<size_t>(rank), false);
  for (size_t i = 0; i < n; ++i) {
    int64_t axis = static_cast<int64_t>(i);
    if (axes) {
      TENON_ASSIGN(axis, normal_axis((*axes)[i], rank, "axes"));
    }
    if (seen[axis]) return shape_error("axes name dim ", axis, " twice");
    seen[axis] = true;
    all[axis] = pads[i];
    all[axis + rank] = pads[i + n];
  }
  return all;
}

/// What cannot be padded that way, for a constant dim and constant pads.
Status check(Pad::Mode mode, int axis, int64_t n, int64_t before, int64_t after) {
  const auto sum = checked_add(before, after);
  const auto out = sum ? checked_add(n, *sum) : std::nullopt;
  if (!out) return shape_error("pads ", before, " and ", after, " of dim ", axis, " (", n, ") overflow");
  if (*out < 0) return shape_error("pads ", before, " and ", after, " leave ", *out, " elements of dim ", axis, ", which is ", n);
  const int64_t most = std::max(before, after);
  if (mode == Pad::Mode::kConstant || most <= 0) return {};
  if (n == 0) return shape_error("pads: mode ", name_of(mode), " needs an element to repeat, but dim ", axis, " is 0");
  if (mode == Pad::Mode::kReflect && most >= n) {
    return shape_error("pads: mode reflect pads dim ", axis, " by ", most, ", expected at most ", n - 1, " for a dim of ", n);
  }
  return {};
}

}  // namespace

Result<Types> infer(const Pad& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2, 4));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_index(in, 1));
  TENON_TRY(expect_rank(in, 1, 1));
  if (has(in, 2)) {
    TENON_TRY(expect_same_dtype(in, 0, 2));
    if (in[2].is_static() && !in[2].shape.count().is(1)) return input_error(2, "has shape ", in[2].shape.str(), ", expected one element");
  }
  if (has(in, 3)) {
    TENON_TRY(expect_index(in, 3));
    TENON_TRY(expect_rank(in, 3, 1));
  }
  const Type& data = in[0];
  if (!data.ranked()) return Types{Type::unranked(data.dtype)};
  const int rank = data.rank();
  const auto pads = contents_of(in, 1);
  const auto axes = ints_of(in, 3);
  DimList out;
  if (!pads || (has(in, 3) && !axes)) {
    for (int i = 0; i < rank; ++i) out.push_back(Dim::unknown());
    return Types{Type::of(data.dtype, Shape(std::move(out)))};
  }
  TENON_ASSIGN(const auto all, spread(*pads, axes ? &*axes : nullptr, rank));
  for (int i = 0; i < rank; ++i) {
    const Dim &n = data.shape[i], &before = all[i], &after = all[i + rank];
    if (n.is_const() && before.is_const() && after.is_const()) {
      TENON_TRY(check(op.mode, i, n.value(), before.value(), after.value()));
    }
    out.push_back(n + before + after);
  }
  return Types{Type::of(data.dtype, Shape(std::move(out)))};
}

Result<Step> bind(const Pad& op, const BindContext& ctx) {
  const Dims &from = ctx.dims(0), &to = ctx.out_dims(0);
  const int rank = static_cast<int>(from.size());
  TENON_ASSIGN(const auto given, constant_ints(ctx, 1));
  TENON_ASSIGN(const auto axes, constant_ints(ctx, 3));
  TENON_ASSIGN(const auto pads, spread(given, ctx.has_input(3) ? &axes : nullptr, rank));
  TENON_ASSIGN(const Dims strides, byte_strides(from, ctx.dtype(0)));
  TENON_ASSIGN(const Dims out_strides, byte_strides(to, ctx.out_dtype(0)));
  if (is_empty(to)) return Step{};

  const bool grows = std::any_of(pads.begin(), pads.end(), [](int64_t p) { return p > 0; });
  if (!grows) {  // a slice, or nothing at all
    std::vector<kernels::CopyLoop> loops;
    int64_t offset = 0;
    for (int i = 0; i < rank; ++i) {
      loops.push_back({to[i], strides[i], 0});
      offset -= pads[i] * strides[i];
    }
    return copy_step(ctx, std::move(loops), offset);
  }

  kernels::PadParams p;
  p.mode = op.mode;
  p.value_bytes = static_cast<int32_t>(size_of(ctx.dtype(0)));
  p.value_input = op.mode == Pad::Mode::kConstant && ctx.has_input(2) ? 2 : -1;
  p.element = p.value_bytes;
  // Inner dims without pads belong to the element; other neighbours without pads are merged.
  int last = rank - 1;
  for (; last > 0 && pads[last] == 0 && pads[last + rank] == 0; --last) p.element *= from[last];
  int n = 0;
  for (int i = 0; i <= last; ++i) {
    const bool padded = pads[i] != 0 || pads[i + rank] != 0;
    if (n > 0 && !padded && p.before[n - 1] == 0 && p.src_dims[n - 1] == p.dst_dims[n - 1]) {
      p.src_dims[n - 1] *= from[i];
      p.dst_dims[n - 1] *= to[i];
      continue;
    }
    if (n == kernels::kMaxLoops) return limit_error("more than ", kernels::kMaxLoops, " padded dims");
    p.src_dims[n] = from[i];
    p.dst_dims[n] = to[i];
    p.before[n++] = pads[i];
  }
  p.rank = n;
  for (int i = 0; i + 1 < n; ++i) p.rows *= p.dst_dims[i];
  // Something grows, so there is a dim. NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult)
  const int64_t row_bytes = p.dst_dims[n - 1] * p.element;
  p.rows_per_part = kernels::rows_per_part(row_bytes);
  const double rows = static_cast<double>(p.rows);
  return ctx.choose(kernels::pad_table, p, p.parts(), rows * (10 + 0.05 * static_cast<double>(row_bytes)));
}

}  // namespace tenon::ops

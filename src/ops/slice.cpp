#include "ops/slice.h"

#include <algorithm>

#include "ops/copy.h"

namespace tenon::ops {

SliceExtent slice_extent(int64_t start, int64_t end, int64_t step, int64_t n) {
  // Negative bounds count from the end; n is at most INT64_MAX, so neither sum below can overflow.
  const int64_t lowest = step > 0 ? 0 : -1, highest = step > 0 ? n : n - 1;
  const int64_t first = std::clamp(start < 0 ? start + n : start, std::min<int64_t>(0, highest), highest);
  const int64_t last = std::clamp(end < 0 ? end + n : end, lowest, highest);
  if (step > 0) return {first, last > first ? (last - first - 1) / step + 1 : 0};
  if (first < 0 || first <= last) return {0, 0};
  // -(step + 1) is the magnitude of step less one, which always fits.
  const int64_t distance = first - last - 1, magnitude_less_one = -(step + 1);
  return {first, magnitude_less_one == INT64_MAX ? 1 : distance / (magnitude_less_one + 1) + 1};
}

namespace {

constexpr int64_t kFar = INT32_MAX;  // exporters write this, or more, for "to the end"

/// The length of a slice when the axis or its bounds are symbolic.
Dim slice_length(const Dim& start, const Dim& end, int64_t step, const Dim& n) {
  if (step < 0) {
    const bool from_end = start.is_const() && (start.value() == -1 || start.value() >= kFar);
    const bool to_start = end.is_const() && end.value() <= -kFar;
    return from_end && to_start && step != INT64_MIN ? Dim::ceil_div(n, Dim(-step)) : Dim::unknown();
  }
  const auto negative = [](const Dim& d) { return d.is_const() && d.value() < 0; };
  const bool to_end = (end.is_const() && end.value() >= kFar) || end == n;
  if (!(negative(start) || is_not_negative(start)) || !(to_end || negative(end) || is_not_negative(end))) return Dim::unknown();
  Dim length;
  if (negative(start)) {
    if (to_end) {
      length = Dim::min(Dim(0) - start, n);
    } else if (negative(end)) {
      if (end.value() <= start.value()) return Dim(0);
      length = Dim::min(end - start, Dim::max(n + end, Dim(0)));
    } else {
      return Dim::unknown();
    }
  } else {
    const Dim stop = to_end ? n : negative(end) ? n + end : Dim::min(end, n);
    const Dim distance = stop - start;
    if (start.is_const() && end.is_const() && end.value() >= 0 && end.value() <= start.value()) return Dim(0);
    length = is_not_negative(distance) ? distance : Dim::max(distance, Dim(0));
  }
  return Dim::ceil_div(length, Dim(step));
}

/// The slice along each axis of input 0: the numbers as given.
struct Bounds {
  std::vector<std::optional<Dim>> start, end;  ///< nullopt: the axis is sliced, but by what is not known
  std::vector<std::optional<int64_t>> step;
  std::vector<bool> sliced;
};

/// nullopt when the axes are not known.
Result<std::optional<Bounds>> bounds_of(const Types& in, int rank) {
  const auto starts = contents_of(in, 1), ends = contents_of(in, 2), steps = contents_of(in, 4);
  std::optional<std::vector<int64_t>> axes = ints_of(in, 3);
  if (has(in, 3) && !axes) return std::optional<Bounds>();
  std::optional<size_t> n;
  for (int i = 1; i < static_cast<int>(in.size()); ++i) {
    if (!has(in, i) || !in[i].ranked() || !in[i].shape[0].is_const()) continue;
    const size_t length = static_cast<size_t>(in[i].shape[0].value());
    if (n && *n != length) return input_error(i, "has ", length, " elements, but an input before it has ", *n);
    n = length;
  }
  if (!axes) {
    if (!n) return std::optional<Bounds>();
    if (*n > static_cast<size_t>(rank)) return shape_error("starts has ", *n, " entries for an input of rank ", rank);
    axes.emplace();
    for (size_t i = 0; i < *n; ++i) axes->push_back(static_cast<int64_t>(i));
  }
  if (starts && starts->size() != axes->size()) return shape_error("starts has ", starts->size(), " entries, axes ", axes->size());
  if (ends && ends->size() != axes->size()) return shape_error("ends has ", ends->size(), " entries, axes ", axes->size());
  if (steps && steps->size() != axes->size()) return shape_error("steps has ", steps->size(), " entries, axes ", axes->size());
  Bounds b;
  b.start.resize(rank);
  b.end.resize(rank);
  b.step.resize(rank);
  b.sliced.resize(rank, false);
  for (size_t i = 0; i < axes->size(); ++i) {
    TENON_ASSIGN(const int64_t axis, normal_axis((*axes)[i], rank, "axes"));
    if (b.sliced[axis]) return shape_error("axes name dim ", axis, " twice");
    b.sliced[axis] = true;
    if (starts) b.start[axis] = (*starts)[i];
    if (ends) b.end[axis] = (*ends)[i];
    if (!has(in, 4)) b.step[axis] = 1;
    if (steps && (*steps)[i].is_const()) b.step[axis] = (*steps)[i].value();
    if (b.step[axis] == 0) return shape_error("steps: step 0 along axis ", axis, ", expected another number");
  }
  return std::optional<Bounds>(std::move(b));
}

}  // namespace

Result<Types> infer(const Slice&, const Types& in) {
  TENON_TRY(expect_inputs(in, 3, 5));
  TENON_TRY(expect_plain(in));
  for (int i = 1; i < static_cast<int>(in.size()); ++i) {
    if (!has(in, i)) continue;
    TENON_TRY(expect_index(in, i));
    TENON_TRY(expect_rank(in, i, 1));
  }
  const Type& data = in[0];
  if (!data.ranked()) return Types{Type::unranked(data.dtype)};
  TENON_ASSIGN(const auto bounds, bounds_of(in, data.rank()));
  DimList out;
  for (int i = 0; i < data.rank(); ++i) {
    const Dim& n = data.shape[i];
    if (!bounds) {
      out.push_back(Dim::unknown());
    } else if (!bounds->sliced[i]) {
      out.push_back(n);
    } else if (!bounds->start[i] || !bounds->end[i] || !bounds->step[i]) {
      out.push_back(Dim::unknown());
    } else {
      const Dim &start = *bounds->start[i], &end = *bounds->end[i];
      const int64_t step = *bounds->step[i];
      const bool known = n.is_const() && start.is_const() && end.is_const();
      out.push_back(known ? Dim(slice_extent(start.value(), end.value(), step, n.value()).count) : slice_length(start, end, step, n));
    }
  }
  return Types{Type::of(data.dtype, Shape(std::move(out)))};
}

Result<Step> bind(const Slice&, const BindContext& ctx) {
  const Dims& dims = ctx.dims(0);
  const int rank = static_cast<int>(dims.size());
  TENON_ASSIGN(const Dims strides, byte_strides(dims, ctx.dtype(0)));
  TENON_ASSIGN(const auto starts, constant_ints(ctx, 1));
  TENON_ASSIGN(const auto ends, constant_ints(ctx, 2));
  TENON_ASSIGN(const auto axes, constant_ints(ctx, 3));
  TENON_ASSIGN(const auto steps, constant_ints(ctx, 4));
  std::vector<kernels::CopyLoop> loops;
  for (int i = 0; i < rank; ++i) loops.push_back({dims[i], strides[i], 0});
  int64_t offset = 0;
  for (size_t i = 0; i < starts.size() && i < ends.size(); ++i) {
    TENON_ASSIGN(const int64_t axis, normal_axis(ctx.has_input(3) ? axes[i] : static_cast<int64_t>(i), rank, "axes"));
    const int64_t step = ctx.has_input(4) ? steps[i] : 1;
    const SliceExtent extent = slice_extent(starts[i], ends[i], step, dims[axis]);
    offset += extent.first * strides[axis];
    // A single element needs no stride, which might overflow.
    loops[axis] = {extent.count, extent.count > 1 ? step * strides[axis] : strides[axis], 0};
  }
  return copy_step(ctx, std::move(loops), offset);
}

}  // namespace tenon::ops

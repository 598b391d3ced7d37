#include "ops/index_lines.h"

#include <algorithm>

namespace tenon::ops {

Status expect_index_rank(const Types& in, int i) {
  if (!in[i].ranked() || in[i].rank() <= kernels::kMaxIndexRank) return {};
  return limit_error("input ", i, " has rank ", in[i].rank(), ", at most ", kernels::kMaxIndexRank, " is supported");
}

Status expect_indices_along(const Types& in, int64_t axis) {
  TENON_TRY(expect_index(in, 1));
  TENON_TRY(expect_rank_at_least(in, 0, 1));
  TENON_TRY(expect_rank_at_least(in, 1, 1));
  TENON_TRY(expect_index_rank(in, 0));
  TENON_TRY(expect_index_rank(in, 1));
  for (int i : {0, 1}) {
    if (in[i].ranked()) TENON_TRY(normal_axis(axis, in[i].rank()));
  }
  if (!in[0].ranked() || !in[1].ranked()) return {};
  TENON_TRY(expect_rank(in, 1, in[0].rank()));
  TENON_ASSIGN(const int64_t along, normal_axis(axis, in[0].rank()));
  for (int d = 0; d < in[0].rank(); ++d) {
    const Dim &data = in[0].shape[d], &indices = in[1].shape[d];
    if (d != along && data.is_const() && indices.is_const() && indices.value() > data.value()) {
      return input_error(1, "has shape ", in[1].shape.str(), ": dim ", d, " is ", indices.value(), ", expected at most ", data.value(),
                         ", as in input 0");
    }
  }
  return {};
}

kernels::IndexLines index_lines(const Dims& data, const Dims& indices, int64_t axis, DType dtype) {
  kernels::IndexLines w;
  w.wide = dtype == DType::kInt64;
  const int rank = static_cast<int>(data.size());
  if (axis < 0) axis += rank;
  int64_t data_stride = 1, index_stride = 1;
  w.rank = rank - 1;
  for (int d = rank - 1, at = w.rank - 1; d >= 0; --d) {
    if (d == axis) {
      w.length = indices[d];
      w.limit = data[d];
      w.index_stride = index_stride;
      w.data_stride = data_stride;
    } else {
      w.dims[at] = indices[d];
      w.index_strides[at] = index_stride;
      w.data_strides[at] = data_stride;
      w.lines *= indices[d];
      --at;
    }
    data_stride *= data[d];
    index_stride *= indices[d];
  }
  constexpr int64_t kPartElements = 16384, kSideBySide = 256;
  w.lines_per_part = std::max<int64_t>(1, kPartElements / std::max<int64_t>(1, w.length));
  // Neighbouring lines are worked on side by side; too few of them would jump through memory.
  if (w.index_stride != 1) w.lines_per_part = std::max(w.lines_per_part, std::min(w.dims[w.rank - 1], kSideBySide));
  if (w.length == 0) w.lines = 0;
  return w;
}

}  // namespace tenon::ops

// Making the BroadcastShape of operands, given as plain dims.
#pragma once

#include <span>

#include "kernels/elementwise/binary.h"

namespace tenon::kernels {

/// Aligns the operands' dims at the end, as numpy does, and merges neighbouring dims over which every operand is either stepped
/// contiguously or repeated. `out` are the broadcast dims. False when more than kMaxBroadcastRank dims remain.
template <int N>
bool make_broadcast_shape(std::span<const int64_t> out, const std::span<const int64_t> (&operands)[N], BroadcastShape<N>& shape) {
  struct Axis {
    int64_t dim;
    int64_t strides[N];
  };
  Axis axes[kMaxBroadcastRank];  // innermost first
  int used = 0;
  int64_t next[N];
  for (int k = 0; k < N; ++k) next[k] = 1;
  for (size_t back = 1; back <= out.size(); ++back) {
    const int64_t dim = out[out.size() - back];
    Axis axis{dim, {}};
    for (int k = 0; k < N; ++k) {
      const int64_t own = back <= operands[k].size() ? operands[k][operands[k].size() - back] : 1;
      axis.strides[k] = own == 1 ? 0 : next[k];
      next[k] *= own;
    }
    if (dim == 1) continue;
    if (used > 0) {
      Axis& inner = axes[used - 1];
      bool merge = true;
      for (int k = 0; k < N; ++k)
        merge &= (axis.strides[k] == 0 ? inner.strides[k] == 0 : inner.strides[k] != 0 && axis.strides[k] == inner.dim * inner.strides[k]);
      int64_t product;
      if (merge && !__builtin_mul_overflow(inner.dim, dim, &product)) {
        inner.dim = product;
        continue;
      }
    }
    if (used == kMaxBroadcastRank) return false;
    axes[used++] = axis;
  }
  shape = {};
  if (used == 0) return true;  // one element: rank 1, dim 1, strides 0
  shape.rank = used;
  for (int i = 0; i < used; ++i) {
    shape.dims[i] = axes[used - 1 - i].dim;
    for (int k = 0; k < N; ++k) shape.strides[k][i] = axes[used - 1 - i].strides[k];
  }
  return true;
}

}  // namespace tenon::kernels

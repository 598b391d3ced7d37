#pragma once

#include "kernels/attention/attention.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// softmax(scale * Q K^T + mask) V for each head, without the matrix of scores; with a cap, softcap * tanh(scale * Q K^T) stands for
/// scale * Q K^T. Made by passes from MatMul, Softmax, MatMul.
/// Operands have rank 4 [batch, heads, rows, size], or rank 3 without batch. `..._by_row` operands are [batch, rows, heads, size] instead,
/// which absorbs the transposes around attention, and may be windows of the heads of wider tensors, which absorbs the split of a product
/// that gives Q, K and V at once.
struct Attention {
  /// Heads [first, first + heads) of an operand by row; all of them when heads is 0.
  struct Window {
    int64_t first = 0, heads = 0;
    bool operator==(const Window&) const = default;
  };
  float scale = 1;
  float softcap = 0;         ///< 0: scores are not capped
  bool nan_to_zero = false;  ///< rows whose softmax is NaN give 0
  bool q_by_row = false, k_by_row = false, v_by_row = false, y_by_row = false;
  Window q_heads = {}, k_heads = {}, v_heads = {};
  bool mask_replaces = false;  ///< scores give way to the mask where that is not 0, instead of being added to it
  bool k_transposed = false;   ///< the last two dims of K are [size, keys]; not together with k_by_row

  bool operator==(const Attention&) const = default;
};

/// (Q, K, V, mask?: float32) -> (y). The mask broadcasts to [batch, heads, queries, keys] and is added to the scaled scores
/// or stands for them. Q may have a
/// multiple of K's and V's heads. Heads have at most kernels::kAttentionSize elements.
Result<Types> infer(const Attention&, const Types& in);
Result<Step> bind(const Attention&, const BindContext&);

}  // namespace tenon::ops

// Scaled dot-product attention without the matrix of scores: softmax(scale * Q K^T + mask) V, for a stack of heads.
#pragma once

#include "kernels/gemm/gemm.h"

namespace tenon::kernels {

/// Inputs: 0 Q, 1 K, 2 V, 3 mask; output 0. All float32. Strides in elements; elements along the head size are
/// contiguous in Q, V and the output. Query head h reads head h / (heads / kv_heads) of K and V.
struct AttentionParams {
  int64_t batch = 0, heads = 0, kv_heads = 0;
  int64_t queries = 0, keys = 0;
  int64_t size = 0;        ///< of a head of Q and K
  int64_t value_size = 0;  ///< of a head of V
  float scale = 1;
  float softcap = 0;         ///< not 0: a score s becomes softcap * tanh(s), before the mask
  bool nan_to_zero = false;  ///< rows whose softmax is NaN (everything masked with -inf) give 0
  struct Operand {
    int64_t batch = 0, head = 0, row = 0;
    int64_t from = 0;  ///< where the first head begins
  };
  Operand q, k, v, y, mask;
  int64_t k_size = 1;    ///< stride of K along the head size
  int64_t mask_key = 0;  ///< stride of the mask along the keys: 0 or 1
  bool masked = false;
  bool mask_replaces = false;  ///< a number of the mask that is not 0 stands for the score; else it is added to it

  // Panels of K^T and V in Call::shared, in floats, one matrix a batch and kv head.
  int64_t k_at = 0, v_at = 0;
  int64_t rows = 1;  ///< queries a part
  int64_t row_parts() const { return (queries + rows - 1) / rows; }
  int64_t parts() const { return batch * heads * row_parts(); }
};

/// Deepest head the kernel takes.
inline constexpr int64_t kAttentionSize = 384;

/// Sets `rows`.
void plan_attention(AttentionParams& p);
int64_t attention_scratch(const AttentionParams& p);
/// Many queries: K^T and V packed by earlier phases, a block of keys at a time with a running softmax.
Kernel<AttentionParams> AttentionBlocksPointer();
/// At most kFewRows queries a head: K and V are read where they lie, K contiguous along the head size.
Kernel<AttentionParams> AttentionFewPointer();
bool takes_few_queries(const AttentionParams& p);

}  // namespace tenon::kernels

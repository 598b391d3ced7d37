#pragma once

#include "kernels/gemm/gemm.h"
#include "ops/activation.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// y = activation(alpha * A B + beta * C + R): ONNX MatMul with numpy's rules for any rank, ONNX Gemm, and what passes fuse into them.
/// float64 products take no activation but its bounds. C broadcasts to the shape of the product; R has exactly that shape. B may be packed (pack_matmul_weights); its type then keeps the
/// logical shape [..., K, N], and trans_b must be false.
struct MatMul {
  bool matrices = false;  ///< Gemm: A and B must have rank 2
  bool trans_a = false;   ///< the last two dims of A are swapped; without effect on vectors
  bool trans_b = false;
  float alpha = 1;
  float beta = 1;
  Activation activation = {};

  bool operator==(const MatMul&) const = default;
};

/// (A, B, C?, R?: float16, bfloat16, float32, float64, int32, int64, uint32 or uint64) -> (y).
Result<Types> infer(const MatMul&, const Types& in);
Result<Step> bind(const MatMul&, const BindContext&);

/// A constant second operand of MatMul, packed for the instruction set in use. The tensor keeps dtype and (after trans_b) dims
/// [..., K, N]; its type is that with layout {kPacked, format}. Strings of dims count batches of matrices, packed one after the other.
struct PackedWeights {
  Tensor tensor;
  Layout layout;
};
/// nullopt when packing would not help: dtypes other than float32, float16, bfloat16 and float64, vectors, a single column, empty matrices.
Result<std::optional<PackedWeights>> pack_matmul_weights(const Tensor& b, bool trans_b, std::shared_ptr<Allocator> allocator = nullptr);

/// Row-major strides of the dims in front of the last `inner`, aligned to `rank` output batch dims; 0 where broadcast. `matrix`: elements of
/// what the last dims hold.
std::vector<int64_t> batch_strides(const Dims& dims, int inner, int rank, int64_t matrix);

/// The steps of a product whose sizes, strides, addend and epilogue are set: folds and merges batch dims, packs a plain B when that
/// pays, and picks the kernel. Einsum shares it.
struct BatchDim {
  int64_t size = 1, a = 0, b = 0, c = 0, d = 0;  ///< strides in elements, 0 where the operand is broadcast
};
Result<Step> product_step(kernels::GemmParams params, std::vector<BatchDim> batch, const BindContext& ctx);

}  // namespace tenon::ops

// What the converters of attention share, ONNX's and onnxruntime's: heads, and the products, softmax and rotations that they stand for.
#pragma once

#include <optional>

#include "importers/onnx/convert.h"
#include "ops/rotary_embedding.h"

namespace tenon::onnx {

/// A scalar of a floating-point dtype.
Tensor scalar_of(DType dtype, double value);

Status expect_rank(const NodeContext& c, int input, int rank, int or_rank);
inline Status expect_rank(const NodeContext& c, int input, int rank) { return expect_rank(c, input, rank, rank); }
/// Inputs that are given together or not at all.
Status expect_both(const NodeContext& c, int a, int b, std::string_view names);

Result<ValueId> binary(NodeContext& c, ops::Binary::Kind kind, ValueId a, ValueId b);
/// The size of a dim, int64[1].
Result<ValueId> size_of(NodeContext& c, ValueId x, int64_t dim);
/// int64: 0, 1, ... up to the size of a dim.
Result<ValueId> places(NodeContext& c, ValueId x, int64_t dim);

/// x [batch, rows, heads * size] as [batch, heads, rows, size]; `attribute` names where the number of heads comes from.
Result<ValueId> split_heads(NodeContext& c, ValueId x, int64_t heads, std::string_view attribute);
/// x [batch, heads, rows, size] as [batch, rows, heads * size].
Result<ValueId> merge_heads(NodeContext& c, ValueId x);
/// Along the rows of heads: what was computed before, then x. x alone when `past` is kNone.
Result<ValueId> after_past(NodeContext& c, ValueId past, ValueId x);

/// Attention of heads [batch, heads, rows, size]; k and v may have a divisor of q's heads.
struct Heads {
  ValueId q = kNone, k = kNone, v = kNone;
  std::optional<float> scale = {};  ///< of the scores; 1 / sqrt(size) by default
  float softcap = 0;
  ValueId allowed = kNone;              ///< bool: which keys a query sees
  ValueId bias = kNone;                 ///< is added to the scores
  bool zero_rows = false;               ///< the result is 0 where the softmax is NaN, as it is for queries that see no key
  DType precision = DType::kUndefined;  ///< of the softmax
};

/// Keys are seen where this condition holds too.
Status allow(NodeContext& c, Heads& heads, ValueId condition);
/// Query i sees the keys from i + offset - left to i + offset + right; all of a side where its number is negative. The offset is an int64
/// tensor that broadcasts to [batch, heads, queries, keys]; kNone stands for 0.
Status allow_near(NodeContext& c, Heads& heads, ValueId offset, int64_t left, int64_t right);

/// The result, and the scores on the way to it.
struct Attended {
  ValueId y = kNone, product = kNone, capped = kNone, biased = kNone, probabilities = kNone;
};
Result<Attended> attend(NodeContext& c, Heads heads);

struct Rotation {
  ValueId x = kNone;  ///< [batch, heads, rows, size], or [batch, rows, heads * size]
  ValueId cos = kNone, sin = kNone;
  ValueId positions = kNone;  ///< rows of cos and sin, [batch, rows] or [rows]; kNone where these are [batch, rows, ...]
  int64_t heads = 0;
  ops::RotaryEmbedding op = {};
};
/// x and the attributes that ONNX's operator and onnxruntime's have both.
Result<Rotation> rotation(NodeContext& c);
Result<ValueId> rotate(NodeContext& c, Rotation r);

}  // namespace tenon::onnx

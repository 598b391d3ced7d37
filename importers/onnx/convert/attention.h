// What the converters of attention share, ONNX's and onnxruntime's: heads, and the products, softmax and rotations that they stand for.
#pragma once

#include <initializer_list>
#include <optional>

#include "importers/onnx/convert.h"
#include "ops/rotary_embedding.h"

namespace tenon::onnx {

/// A converter that makes many nodes. The first error is kept, what follows it does nothing and gives kNone, and become() returns it.
class Nodes {
 public:
  explicit Nodes(NodeContext& c) : c(c) {}

  /// Keeps an error.
  void expect(Status status);
  void expect_rank(int input, int rank, int or_rank = 0);
  /// Inputs that are given together or not at all.
  void expect_both(int a, int b, std::string_view names);
  int64_t integer(std::string_view name, std::optional<int64_t> otherwise);
  float number(std::string_view name, std::optional<float> otherwise);

  ValueId add(Op op, std::initializer_list<ValueId> inputs) { return add(std::move(op), inputs, 1)[0]; }
  std::vector<ValueId> add(Op op, std::initializer_list<ValueId> inputs, int outputs);
  ValueId unary(ops::Unary::Kind kind, ValueId x, float alpha = 0);
  ValueId binary(ops::Binary::Kind kind, ValueId a, ValueId b);
  ValueId where(ValueId condition, ValueId a, ValueId b);
  ValueId cast(ValueId x, DType to);
  ValueId reshape(ValueId x, std::initializer_list<int64_t> dims);
  ValueId unsqueeze(ValueId x, int64_t axis);
  ValueId transpose(ValueId x, std::vector<int64_t> perm);
  ValueId concat(int64_t axis, std::initializer_list<ValueId> parts);
  ValueId slice(ValueId x, ValueId start, ValueId end, int64_t axis);
  ValueId shape(ValueId x, int64_t start, int64_t end);
  ValueId size(ValueId x, int64_t dim) { return shape(x, dim, dim + 1); }  ///< int64[1]
  ValueId places(ValueId x, int64_t dim);                                  ///< int64: 0, 1, ... up to the size of a dim
  ValueId scalar(DType dtype, double value);                               ///< of a floating-point dtype
  ValueId whole(int64_t value);                                            ///< int64 scalar
  ValueId ints(std::initializer_list<int64_t> values) { return c.ints(values); }

  /// x [batch, rows, heads * size] as [batch, rows, heads, size]; `attribute` names where the number of heads comes from.
  ValueId cut_heads(ValueId x, int64_t heads, std::string_view attribute);
  /// x [batch, rows, heads, size] as [batch, rows, heads * size].
  ValueId join_heads(ValueId x);
  /// [batch, rows, heads, size] as [batch, heads, rows, size] and back.
  ValueId swap(ValueId x) { return transpose(x, {0, 2, 1, 3}); }
  /// Along the rows of heads: what was computed before, then x. x alone when `past` is kNone.
  ValueId after_past(ValueId past, ValueId x);

  DType dtype(ValueId x) const;
  int rank(ValueId x) const;           ///< -1 where it is not known
  Dim dim(ValueId x, size_t i) const;  ///< unknown where the rank is

  /// The node's outputs, or the error.
  Status become(const std::vector<ValueId>& outputs);

  NodeContext& c;

 private:
  Status failed_;
};

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
void allow(Nodes& n, Heads& heads, ValueId condition);
/// Query i sees the keys from i + offset - left to i + offset + right; all of a side where its number is negative. The offset is an int64
/// tensor that broadcasts to [batch, heads, queries, keys]; kNone stands for 0.
void allow_near(Nodes& n, Heads& heads, ValueId offset, int64_t left, int64_t right);

/// The result, and the scores on the way to it.
struct Attended {
  ValueId y = kNone, product = kNone, capped = kNone, biased = kNone, probabilities = kNone;
};
Attended attend(Nodes& n, Heads heads);

struct Rotation {
  ValueId x = kNone;  ///< [batch, heads, rows, size], or [batch, rows, heads * size]
  ValueId cos = kNone, sin = kNone;
  ValueId positions = kNone;  ///< rows of cos and sin, [batch, rows] or [rows]; kNone where these are [batch, rows, ...]
  int64_t heads = 0;
  ops::RotaryEmbedding op = {};
};
/// x and the attributes that ONNX's operator and onnxruntime's have both.
Rotation rotation(Nodes& n);
ValueId rotate(Nodes& n, Rotation r);

}  // namespace tenon::onnx

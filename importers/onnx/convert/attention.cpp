// Attention and RotaryEmbedding, and what they share with onnxruntime's: products, softmax and rotations, which passes fuse.
#include "importers/onnx/convert/attention.h"

#include <cmath>
#include <limits>

namespace tenon::onnx {

using B = ops::Binary::Kind;

namespace {

Result<ValueId> reshaped(NodeContext& c, ValueId x, const std::vector<int64_t>& dims) { return c.add1(ops::Reshape{}, {x, c.ints(dims)}); }

Result<ValueId> unsqueezed(NodeContext& c, ValueId x, int64_t axis) { return c.add1(ops::Unsqueeze{}, {x, c.ints({axis})}); }

Result<ValueId> cast(NodeContext& c, ValueId x, DType to) {
  if (c.graph().type(x).dtype == to) return x;
  return c.add1(ops::Cast{to}, {x});
}

/// [batch, rows, heads, size] as [batch, heads, rows, size] and back.
Result<ValueId> swapped(NodeContext& c, ValueId x) { return c.add1(ops::Transpose{{0, 2, 1, 3}}, {x}); }

/// x [batch, rows, heads * size] as [batch, rows, heads, size].
Result<ValueId> cut_heads(NodeContext& c, ValueId x, int64_t heads, std::string_view attribute) {
  if (heads <= 0) return shape_error("attribute '", attribute, "' is ", heads, ", expected a positive number");
  const Dim width = c.graph().type(x).shape[2];
  if (!width.is_const()) return reshaped(c, x, {0, 0, heads, -1});
  if (width.value() % heads != 0) {
    return shape_error("'", c.graph().value(x).name, "' has ", width.value(), " elements a row, expected a multiple of ", heads,
                       " (attribute '", attribute, "')");
  }
  return reshaped(c, x, {0, 0, heads, width.value() / heads});
}

/// x [batch, rows, heads, size] as [batch, rows, heads * size].
Result<ValueId> joined_heads(NodeContext& c, ValueId x) {
  const Dim width = c.graph().type(x).shape[2] * c.graph().type(x).shape[3];
  return reshaped(c, x, {0, 0, width.is_const() ? width.value() : -1});
}

}  // namespace

Tensor scalar_of(DType dtype, double value) {
  switch (dtype) {
    case DType::kFloat16: return Tensor::scalar(Float16(static_cast<float>(value)));
    case DType::kBFloat16: return Tensor::scalar(BFloat16(static_cast<float>(value)));
    case DType::kFloat64: return Tensor::scalar(value);
    default: return Tensor::scalar(static_cast<float>(value));
  }
}

Status expect_rank(const NodeContext& c, int input, int rank, int or_rank) {
  const Type& t = c.type(input);
  if (t.ranked() && (t.rank() == rank || t.rank() == or_rank)) return {};
  return shape_error("input ", input, " has ", t.ranked() ? "shape " + t.shape.str() : std::string("unknown rank"), ", expected rank ",
                     rank, rank == or_rank ? std::string() : " or " + std::to_string(or_rank));
}
Status expect_both(const NodeContext& c, int a, int b, std::string_view names) {
  if (c.has_input(a) == c.has_input(b)) return {};
  return load_error("input ", c.has_input(a) ? a : b, " is given and input ", c.has_input(a) ? b : a,
                    " is not, expected both or neither of ", names);
}

Result<ValueId> binary(NodeContext& c, B kind, ValueId a, ValueId b) { return c.add1(ops::Binary{kind}, {a, b}); }

Result<ValueId> size_of(NodeContext& c, ValueId x, int64_t dim) { return c.add1(ops::ShapeOf{dim, dim + 1}, {x}); }

Result<ValueId> places(NodeContext& c, ValueId x, int64_t dim) {
  TENON_ASSIGN(const ValueId size, size_of(c, x, dim));
  TENON_ASSIGN(const ValueId limit, c.add1(ops::Squeeze{}, {size}));
  return c.add1(ops::Range{}, {c.constant(Tensor::scalar<int64_t>(0)), limit, c.constant(Tensor::scalar<int64_t>(1))});
}

Result<ValueId> split_heads(NodeContext& c, ValueId x, int64_t heads, std::string_view attribute) {
  TENON_ASSIGN(const ValueId rows, cut_heads(c, x, heads, attribute));
  return swapped(c, rows);
}

Result<ValueId> merge_heads(NodeContext& c, ValueId x) {
  TENON_ASSIGN(const ValueId rows, swapped(c, x));
  return joined_heads(c, rows);
}

Result<ValueId> after_past(NodeContext& c, ValueId past, ValueId x) {
  return past == kNone ? c.add1(ops::Identity{}, {x}) : c.add1(ops::Concat{2}, {past, x});
}

namespace {

/// Every head of x [batch, heads, rows, size] `times` times.
Result<ValueId> repeated_heads(NodeContext& c, ValueId x, int64_t heads, int64_t times) {
  TENON_ASSIGN(const ValueId one, unsqueezed(c, x, 2));
  TENON_ASSIGN(const ValueId wide, c.add1(ops::Expand{}, {one, c.ints({1, 1, times, 1, 1})}));
  TENON_ASSIGN(const ValueId batch, size_of(c, x, 0));
  TENON_ASSIGN(const ValueId matrix, c.add1(ops::ShapeOf{2, 4}, {x}));
  TENON_ASSIGN(const ValueId shape, c.add1(ops::Concat{0}, {batch, c.ints({heads * times}), matrix}));
  return c.add1(ops::Reshape{.allow_zero = true}, {wide, shape});
}

}  // namespace

Status allow(NodeContext& c, Heads& heads, ValueId condition) {
  if (heads.allowed != kNone) {
    TENON_ASSIGN(condition, binary(c, B::kAnd, heads.allowed, condition));
  }
  heads.allowed = condition;
  return {};
}

Status allow_near(NodeContext& c, Heads& heads, ValueId offset, int64_t left, int64_t right) {
  if (left < 0 && right < 0) return {};
  TENON_ASSIGN(const ValueId queries, places(c, heads.q, 2));
  TENON_ASSIGN(ValueId own, unsqueezed(c, queries, 1));
  if (offset != kNone) {
    TENON_ASSIGN(own, binary(c, B::kAdd, own, offset));
  }
  TENON_ASSIGN(const ValueId keys, places(c, heads.k, 2));
  TENON_ASSIGN(const ValueId apart, binary(c, B::kSub, keys, own));
  if (right >= 0) {
    TENON_ASSIGN(const ValueId seen, binary(c, B::kLessOrEqual, apart, c.constant(Tensor::scalar<int64_t>(right))));
    TENON_TRY(allow(c, heads, seen));
  }
  if (left >= 0) {
    TENON_ASSIGN(const ValueId seen, binary(c, B::kGreaterOrEqual, apart, c.constant(Tensor::scalar<int64_t>(-left))));
    TENON_TRY(allow(c, heads, seen));
  }
  return {};
}

Result<Attended> attend(NodeContext& c, Heads heads) {
  const Type q = c.graph().type(heads.q), k = c.graph().type(heads.k), v = c.graph().type(heads.v);
  const auto number = [&c, &q](double value) { return c.constant(scalar_of(q.dtype, value)); };
  if (!heads.scale) {
    const Dim& size = q.shape[3];
    if (!size.is_const() || size.value() <= 0) return shape_error("input 0 has heads of ", size.str(), " elements, expected a known size");
    heads.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(size.value())));
  }
  TENON_ASSIGN(const ValueId scaled, binary(c, B::kMul, heads.q, number(static_cast<double>(*heads.scale))));
  const Dim &hq = q.shape[1], &hk = k.shape[1], &hv = v.shape[1];
  if (hq.is_const() && hk.is_const() && !(hq == hk)) {
    if (hk.value() == 0 || hq.value() % hk.value() != 0 || !(hk == hv)) {
      return shape_error("queries have ", hq.str(), " heads, expected a multiple of those of keys and values, ", hk.str(), " and ",
                         hv.str());
    }
    TENON_ASSIGN(heads.k, repeated_heads(c, heads.k, hk.value(), hq.value() / hk.value()));
    TENON_ASSIGN(heads.v, repeated_heads(c, heads.v, hk.value(), hq.value() / hk.value()));
  }
  Attended out;
  TENON_ASSIGN(const ValueId keys, c.add1(ops::Transpose{{0, 1, 3, 2}}, {heads.k}));
  TENON_ASSIGN(out.product, c.add1(ops::MatMul{}, {scaled, keys}));
  out.capped = out.product;
  if (heads.softcap != 0) {
    const ValueId cap = number(static_cast<double>(heads.softcap));
    TENON_ASSIGN(out.capped, binary(c, B::kDiv, out.capped, cap));
    TENON_ASSIGN(out.capped, c.add1(ops::Unary{ops::Unary::Kind::kTanh}, {out.capped}));
    TENON_ASSIGN(out.capped, binary(c, B::kMul, out.capped, cap));
  }
  out.biased = out.capped;
  const ValueId nothing = number(-std::numeric_limits<double>::infinity());
  if (heads.bias != kNone) {
    TENON_ASSIGN(ValueId bias, cast(c, heads.bias, q.dtype));
    if (heads.allowed != kNone) {
      TENON_ASSIGN(bias, c.add1(ops::Where{}, {heads.allowed, bias, nothing}));
    }
    TENON_ASSIGN(out.biased, binary(c, B::kAdd, out.capped, bias));
  } else if (heads.allowed != kNone) {
    TENON_ASSIGN(out.biased, c.add1(ops::Where{}, {heads.allowed, out.capped, nothing}));
  }
  const DType precision = heads.precision != DType::kUndefined ? heads.precision : q.dtype;
  TENON_ASSIGN(const ValueId exact, cast(c, out.biased, precision));
  TENON_ASSIGN(ValueId p, c.add1(ops::Softmax{}, {exact}));
  if (heads.zero_rows) {
    TENON_ASSIGN(const ValueId none, c.add1(ops::Unary{ops::Unary::Kind::kIsNaN}, {p}));
    TENON_ASSIGN(p, c.add1(ops::Where{}, {none, c.constant(scalar_of(precision, 0)), p}));
  }
  TENON_ASSIGN(out.probabilities, cast(c, p, q.dtype));
  TENON_ASSIGN(out.y, c.add1(ops::MatMul{}, {out.probabilities, heads.v}));
  return out;
}

Result<ValueId> rotate(NodeContext& c, Rotation r) {
  const Type type = c.graph().type(r.x);
  const DType dtype = type.dtype;
  const bool flat = type.rank() == 3;
  if (flat) {
    TENON_ASSIGN(r.x, cut_heads(c, r.x, r.heads, "num_heads"));
  }
  ValueId inputs[] = {r.x, r.cos, r.sin};
  for (int i = 0; i < 3; ++i) {
    if (i > 0 && r.positions != kNone) {
      TENON_ASSIGN(inputs[i], c.add1(ops::Gather{.axis = 0}, {inputs[i], r.positions}));
    }
    const int rank = c.graph().type(inputs[i]).ranked() ? c.graph().type(inputs[i]).rank() : 3;
    if (i > 0 && (flat || rank == 3)) {
      TENON_ASSIGN(inputs[i], unsqueezed(c, inputs[i], flat ? -2 : 1));
    }
    TENON_ASSIGN(inputs[i], cast(c, inputs[i], DType::kFloat32));
  }
  TENON_ASSIGN(ValueId y, c.add1(r.op, {inputs[0], inputs[1], inputs[2]}));
  TENON_ASSIGN(y, cast(c, y, dtype));
  return flat ? joined_heads(c, y) : Result<ValueId>(y);
}

Result<Rotation> rotation(NodeContext& c) {
  Rotation r;
  r.x = c.input(0);
  TENON_TRY(expect_rank(c, 0, 3, 4));
  const DType dtype = c.type(0).dtype;
  if (dtype != DType::kFloat32 && dtype != DType::kFloat16 && dtype != DType::kBFloat16) {
    return shape_error("input 0 is ", name_of(dtype), ", expected float32, float16 or bfloat16");
  }
  TENON_ASSIGN(r.heads, c.int_attribute("num_heads", 0));
  TENON_ASSIGN(r.op.rotary_dim, c.int_attribute("rotary_embedding_dim", 0));
  TENON_ASSIGN(const int64_t interleaved, c.int_attribute("interleaved", 0));
  r.op.interleaved = interleaved != 0;
  return r;
}

namespace {

/// Rows of a mask that ends before the keys do, up to their number.
Result<ValueId> padded_mask(NodeContext& c, ValueId mask, ValueId keys) {
  const Type type = c.graph().type(mask);
  if (!type.ranked() || type.rank() == 0) return mask;
  const int64_t last = type.rank() - 1;
  const Dim have = type.shape[static_cast<size_t>(last)];
  if (have.is(1) || have == c.graph().type(keys).shape[2]) return mask;
  TENON_ASSIGN(const ValueId wanted, size_of(c, keys, 2));
  TENON_ASSIGN(const ValueId given, size_of(c, mask, last));
  TENON_ASSIGN(const ValueId missing, binary(c, B::kSub, wanted, given));
  const ValueId none = c.ints(std::vector<int64_t>(static_cast<size_t>(2 * last + 1), 0));
  TENON_ASSIGN(const ValueId pads, c.add1(ops::Concat{0}, {none, missing}));
  return c.add1(ops::Pad{}, {mask, pads});
}

/// Queries that see no key give 0, as the specification wants it; so do those whose scores are NaN.
Status attention(NodeContext& c) {
  Heads heads;
  if (c.has_attribute("scale")) {
    TENON_ASSIGN(heads.scale, c.float_attribute("scale"));
  }
  TENON_ASSIGN(heads.softcap, c.float_attribute("softcap", 0.0f));
  TENON_ASSIGN(const int64_t causal, c.int_attribute("is_causal", 0));
  TENON_ASSIGN(const int64_t q_heads, c.int_attribute("q_num_heads", 0));
  TENON_ASSIGN(const int64_t kv_heads, c.int_attribute("kv_num_heads", 0));
  TENON_ASSIGN(const int64_t mode, c.int_attribute("qk_matmul_output_mode", 0));
  TENON_ASSIGN(const int64_t precision, c.int_attribute("softmax_precision", 0));
  TENON_ASSIGN(const int64_t left, c.int_attribute("left_window_size", -1));
  TENON_ASSIGN(const int64_t right, c.int_attribute("right_window_size", -1));
  if (mode < 0 || mode > 3) return load_error("attribute 'qk_matmul_output_mode' is ", mode, ", expected 0 to 3");
  heads.precision = static_cast<DType>(precision);
  if (precision < 0 || precision > INT32_MAX || (precision != 0 && !is_float(heads.precision))) {
    return load_error("attribute 'softmax_precision' is ", precision, ", expected a floating-point data type");
  }
  TENON_TRY(expect_rank(c, 0, 3, 4));
  const bool flat = c.type(0).rank() == 3;
  ValueId in[3];
  for (int i = 0; i < 3; ++i) {
    TENON_TRY(expect_rank(c, i, c.type(0).rank()));
    in[i] = c.input(i);
    if (!flat) continue;
    TENON_ASSIGN(in[i], i == 0 ? split_heads(c, in[i], q_heads, "q_num_heads") : split_heads(c, in[i], kv_heads, "kv_num_heads"));
  }
  TENON_TRY(expect_both(c, 4, 5, "past_key and past_value"));
  heads.q = in[0];
  TENON_ASSIGN(heads.k, after_past(c, c.input(4), in[1]));
  TENON_ASSIGN(heads.v, after_past(c, c.input(5), in[2]));
  ValueId offset = kNone;
  if (c.has_input(4)) {
    TENON_TRY(expect_rank(c, 4, 4));
    TENON_TRY(expect_rank(c, 5, 4));
    TENON_ASSIGN(offset, size_of(c, c.input(4), 2));
  }
  if (c.has_input(6)) {
    if (c.has_input(4)) return load_error("input 6 (nonpad_kv_seqlen) is given beside input 4 (past_key), expected one of them");
    TENON_ASSIGN(const ValueId valid, reshaped(c, c.input(6), {-1, 1, 1, 1}));
    TENON_ASSIGN(const ValueId keys, places(c, heads.k, 2));
    TENON_ASSIGN(const ValueId given, binary(c, B::kLess, keys, valid));
    TENON_TRY(allow(c, heads, given));
    TENON_ASSIGN(const ValueId queries, size_of(c, heads.q, 2));
    TENON_ASSIGN(offset, binary(c, B::kSub, valid, queries));
  }
  TENON_TRY(allow_near(c, heads, offset, left, right));
  if (causal != 0) TENON_TRY(allow_near(c, heads, offset, -1, 0));
  if (c.has_input(3)) {
    ValueId mask = c.input(3);
    if (c.has_input(6)) {
      TENON_ASSIGN(mask, padded_mask(c, mask, heads.k));
    }
    if (c.type(3).dtype == DType::kBool) {
      TENON_TRY(allow(c, heads, mask));
    } else {
      heads.bias = mask;
    }
  }
  heads.zero_rows = c.has_input(3) || c.has_input(6) || left >= 0 || right >= 0;
  TENON_ASSIGN(const Attended out, attend(c, heads));
  ValueId y = out.y;
  if (flat) {
    TENON_ASSIGN(y, merge_heads(c, y));
  }
  ValueId scores = kNone;
  if (c.has_output(3)) {
    const ValueId of_mode[] = {out.product, out.capped, out.biased, out.probabilities};
    TENON_ASSIGN(scores, c.add1(ops::Identity{}, {of_mode[mode]}));
  }
  return c.set_outputs({y, heads.k, heads.v, scores});
}

Status rotary_embedding(NodeContext& c) {
  TENON_ASSIGN(Rotation r, rotation(c));
  r.cos = c.input(1), r.sin = c.input(2), r.positions = c.input(3);
  for (int i = 1; i < 3; ++i) TENON_TRY(expect_rank(c, i, r.positions != kNone ? 2 : 3));
  TENON_ASSIGN(const ValueId y, rotate(c, r));
  return c.set_outputs({y});
}

constexpr Operator kOperators[] = {
    {"", "Attention", 23, 3, 7, 4, attention},
    {"", "RotaryEmbedding", 23, 3, 4, 1, rotary_embedding},
};

}  // namespace

std::span<const Operator> attention_operators() { return kOperators; }

}  // namespace tenon::onnx

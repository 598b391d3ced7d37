// Attention and RotaryEmbedding, and what they share with onnxruntime's: products, softmax and rotations, which passes fuse.
#include "importers/onnx/convert/attention.h"

#include <cmath>
#include <limits>

namespace tenon::onnx {

using B = ops::Binary::Kind;

void Nodes::expect(Status status) {
  if (failed_.ok()) failed_ = std::move(status);
}

void Nodes::expect_rank(int input, int rank, int or_rank) {
  const Type& t = c.type(input);
  if (t.ranked() && (t.rank() == rank || t.rank() == or_rank)) return;
  expect(shape_error("input ", input, " has ", t.ranked() ? "shape " + t.shape.str() : std::string("unknown rank"), ", expected rank ",
                     rank, or_rank == 0 ? std::string() : " or " + std::to_string(or_rank)));
}

void Nodes::expect_both(int a, int b, std::string_view names) {
  if (c.has_input(a) == c.has_input(b)) return;
  expect(load_error("input ", c.has_input(a) ? a : b, " is given and input ", c.has_input(a) ? b : a,
                    " is not, expected both or neither of ", names));
}

int64_t Nodes::integer(std::string_view name, std::optional<int64_t> otherwise) {
  auto value = c.int_attribute(name, otherwise);
  if (value.ok()) return *value;
  expect(std::move(value).status());
  return 0;
}

float Nodes::number(std::string_view name, std::optional<float> otherwise) {
  auto value = c.float_attribute(name, otherwise);
  if (value.ok()) return *value;
  expect(std::move(value).status());
  return 0;
}

std::vector<ValueId> Nodes::add(Op op, std::initializer_list<ValueId> inputs, int outputs) {
  if (failed_.ok()) {
    auto values = c.add(std::move(op), inputs, outputs);
    if (values.ok()) return *std::move(values);
    failed_ = std::move(values).status();
  }
  return std::vector<ValueId>(static_cast<size_t>(outputs), kNone);
}

ValueId Nodes::unary(ops::Unary::Kind kind, ValueId x, float alpha) { return add(ops::Unary{kind, alpha}, {x}); }
ValueId Nodes::binary(B kind, ValueId a, ValueId b) { return add(ops::Binary{kind}, {a, b}); }
ValueId Nodes::where(ValueId condition, ValueId a, ValueId b) { return add(ops::Where{}, {condition, a, b}); }
ValueId Nodes::cast(ValueId x, DType to) { return dtype(x) == to ? x : add(ops::Cast{to}, {x}); }
ValueId Nodes::reshape(ValueId x, std::initializer_list<int64_t> dims) { return add(ops::Reshape{}, {x, ints(dims)}); }
ValueId Nodes::unsqueeze(ValueId x, int64_t axis) { return add(ops::Unsqueeze{}, {x, ints({axis})}); }
ValueId Nodes::transpose(ValueId x, std::vector<int64_t> perm) { return add(ops::Transpose{std::move(perm)}, {x}); }
ValueId Nodes::concat(int64_t axis, std::initializer_list<ValueId> parts) { return add(ops::Concat{axis}, parts); }
ValueId Nodes::slice(ValueId x, ValueId start, ValueId end, int64_t axis) { return add(ops::Slice{}, {x, start, end, ints({axis})}); }
ValueId Nodes::shape(ValueId x, int64_t start, int64_t end) { return add(ops::ShapeOf{start, end}, {x}); }
ValueId Nodes::whole(int64_t value) { return c.constant(Tensor::scalar<int64_t>(value)); }
ValueId Nodes::places(ValueId x, int64_t dim) { return add(ops::Range{}, {whole(0), add(ops::Squeeze{}, {size(x, dim)}), whole(1)}); }

ValueId Nodes::scalar(DType dtype, double value) {
  switch (dtype) {
    case DType::kFloat16: return c.constant(Tensor::scalar(Float16(static_cast<float>(value))));
    case DType::kBFloat16: return c.constant(Tensor::scalar(BFloat16(static_cast<float>(value))));
    case DType::kFloat64: return c.constant(Tensor::scalar(value));
    default: return c.constant(Tensor::scalar(static_cast<float>(value)));
  }
}

DType Nodes::dtype(ValueId x) const { return x == kNone ? DType::kUndefined : c.graph().type(x).dtype; }
int Nodes::rank(ValueId x) const { return x == kNone || !c.graph().type(x).ranked() ? -1 : c.graph().type(x).rank(); }
Dim Nodes::dim(ValueId x, size_t i) const { return static_cast<int>(i) < rank(x) ? c.graph().type(x).shape[i] : Dim::unknown(); }

ValueId Nodes::cut_heads(ValueId x, int64_t heads, std::string_view attribute) {
  const Dim width = dim(x, 2);
  if (heads <= 0) expect(shape_error("attribute '", attribute, "' is ", heads, ", expected a positive number"));
  if (!failed_.ok()) return kNone;
  if (!width.is_const()) return reshape(x, {0, 0, heads, -1});
  if (width.value() % heads != 0) {
    expect(shape_error("'", c.graph().value(x).name, "' has ", width.value(), " elements a row, expected a multiple of ", heads,
                       " (attribute '", attribute, "')"));
  }
  return reshape(x, {0, 0, heads, width.value() / heads});
}

ValueId Nodes::join_heads(ValueId x) {
  const Dim width = dim(x, 2) * dim(x, 3);
  return reshape(x, {0, 0, width.is_const() ? width.value() : -1});
}

ValueId Nodes::after_past(ValueId past, ValueId x) { return past == kNone ? add(ops::Identity{}, {x}) : concat(2, {past, x}); }

Status Nodes::become(const std::vector<ValueId>& outputs) { return failed_.ok() ? c.set_outputs(outputs) : std::move(failed_); }

namespace {

/// Every head of x [batch, heads, rows, size] `times` times.
ValueId repeated_heads(Nodes& n, ValueId x, int64_t heads, int64_t times) {
  const ValueId one = n.unsqueeze(x, 2);
  const ValueId wide = n.add(ops::Expand{}, {one, n.ints({1, 1, times, 1, 1})});
  const ValueId batch = n.size(x, 0);
  const ValueId matrix = n.shape(x, 2, 4);
  const ValueId shape = n.concat(0, {batch, n.ints({heads * times}), matrix});
  return n.add(ops::Reshape{.allow_zero = true}, {wide, shape});
}

}  // namespace

void allow(Nodes& n, Heads& heads, ValueId condition) {
  if (heads.allowed != kNone) {
    condition = n.binary(B::kAnd, heads.allowed, condition);
  }
  heads.allowed = condition;
}

void allow_near(Nodes& n, Heads& heads, ValueId offset, int64_t left, int64_t right) {
  if (left < 0 && right < 0) return;
  const ValueId queries = n.places(heads.q, 2);
  ValueId own = n.unsqueeze(queries, 1);
  if (offset != kNone) {
    own = n.binary(B::kAdd, own, offset);
  }
  const ValueId keys = n.places(heads.k, 2);
  const ValueId apart = n.binary(B::kSub, keys, own);
  if (right >= 0) {
    const ValueId seen = n.binary(B::kLessOrEqual, apart, n.whole(right));
    allow(n, heads, seen);
  }
  if (left >= 0) {
    const ValueId seen = n.binary(B::kGreaterOrEqual, apart, n.whole(-left));
    allow(n, heads, seen);
  }
}

Attended attend(Nodes& n, Heads heads) {
  const DType dtype = n.dtype(heads.q);
  if (!heads.scale) {
    const Dim size = n.dim(heads.q, 3);
    const bool known = size.is_const() && size.value() > 0;
    if (!known) n.expect(shape_error("queries have heads of ", size.str(), " elements, expected a known size"));
    heads.scale = known ? static_cast<float>(1 / std::sqrt(static_cast<double>(size.value()))) : 1.0f;
  }
  const ValueId scaled = n.binary(B::kMul, heads.q, n.scalar(dtype, static_cast<double>(*heads.scale)));
  const Dim hq = n.dim(heads.q, 1), hk = n.dim(heads.k, 1), hv = n.dim(heads.v, 1);
  if (hq.is_const() && hk.is_const() && !(hq == hk)) {
    if (hk.value() == 0 || hq.value() % hk.value() != 0 || !(hk == hv)) {
      n.expect(
          shape_error("queries have ", hq.str(), " heads, expected a multiple of those of keys and values, ", hk.str(), " and ", hv.str()));
      return {};
    }
    heads.k = repeated_heads(n, heads.k, hk.value(), hq.value() / hk.value());
    heads.v = repeated_heads(n, heads.v, hk.value(), hq.value() / hk.value());
  }
  Attended out;
  const ValueId keys = n.transpose(heads.k, {0, 1, 3, 2});
  out.product = n.add(ops::MatMul{}, {scaled, keys});
  out.capped = out.product;
  if (heads.softcap != 0) {
    const ValueId cap = n.scalar(dtype, static_cast<double>(heads.softcap));
    out.capped = n.binary(B::kDiv, out.capped, cap);
    out.capped = n.unary(ops::Unary::Kind::kTanh, out.capped);
    out.capped = n.binary(B::kMul, out.capped, cap);
  }
  out.biased = out.capped;
  const ValueId nothing = n.scalar(dtype, -std::numeric_limits<double>::infinity());
  if (heads.bias != kNone) {
    ValueId bias = n.cast(heads.bias, dtype);
    if (heads.allowed != kNone) {
      bias = n.where(heads.allowed, bias, nothing);
    }
    out.biased = n.binary(B::kAdd, out.capped, bias);
  } else if (heads.allowed != kNone) {
    out.biased = n.where(heads.allowed, out.capped, nothing);
  }
  const DType precision = heads.precision != DType::kUndefined ? heads.precision : dtype;
  const ValueId exact = n.cast(out.biased, precision);
  ValueId p = n.add(ops::Softmax{}, {exact});
  if (heads.zero_rows) {
    const ValueId none = n.unary(ops::Unary::Kind::kIsNaN, p);
    p = n.where(none, n.scalar(precision, 0), p);
  }
  out.probabilities = n.cast(p, dtype);
  out.y = n.add(ops::MatMul{}, {out.probabilities, heads.v});
  return out;
}

ValueId rotate(Nodes& n, Rotation r) {
  const DType dtype = n.dtype(r.x);
  const bool flat = n.rank(r.x) == 3;
  if (flat) r.x = n.cut_heads(r.x, r.heads, "num_heads");
  ValueId inputs[] = {r.x, r.cos, r.sin};
  for (int i = 0; i < 3; ++i) {
    if (i > 0 && r.positions != kNone) {
      inputs[i] = n.add(ops::Gather{.axis = 0}, {inputs[i], r.positions});
    }
    if (i > 0 && (flat || n.rank(inputs[i]) != 2)) {
      inputs[i] = n.unsqueeze(inputs[i], flat ? -2 : 1);
    }
    inputs[i] = n.cast(inputs[i], DType::kFloat32);
  }
  ValueId y = n.add(r.op, {inputs[0], inputs[1], inputs[2]});
  y = n.cast(y, dtype);
  return flat ? n.join_heads(y) : y;
}

Rotation rotation(Nodes& n) {
  Rotation r;
  r.x = n.c.input(0);
  n.expect_rank(0, 3, 4);
  const DType dtype = n.c.type(0).dtype;
  if (dtype != DType::kFloat32 && dtype != DType::kFloat16 && dtype != DType::kBFloat16) {
    n.expect(shape_error("input 0 is ", name_of(dtype), ", expected float32, float16 or bfloat16"));
  }
  r.heads = n.integer("num_heads", 0);
  r.op.rotary_dim = n.integer("rotary_embedding_dim", 0);
  const int64_t interleaved = n.integer("interleaved", 0);
  r.op.interleaved = interleaved != 0;
  return r;
}

namespace {

/// Rows of a mask that ends before the keys do, up to their number.
ValueId padded_mask(Nodes& n, ValueId mask, ValueId keys) {
  const int last = n.rank(mask) - 1;
  const Dim have = n.dim(mask, static_cast<size_t>(last));
  if (last < 0 || have.is(1) || have == n.dim(keys, 2)) return mask;
  const ValueId wanted = n.size(keys, 2);
  const ValueId given = n.size(mask, last);
  const ValueId missing = n.binary(B::kSub, wanted, given);
  const ValueId none = n.c.ints(std::vector<int64_t>(static_cast<size_t>(2 * last + 1), 0));
  const ValueId pads = n.concat(0, {none, missing});
  return n.add(ops::Pad{}, {mask, pads});
}

/// Queries that see no key give 0, as the specification wants it; so do those whose scores are NaN.
Status attention(NodeContext& c) {
  Nodes n(c);
  Heads heads;
  if (c.has_attribute("scale")) {
    heads.scale = n.number("scale", {});
  }
  heads.softcap = n.number("softcap", 0.0f);
  const int64_t causal = n.integer("is_causal", 0);
  const int64_t q_heads = n.integer("q_num_heads", 0);
  const int64_t kv_heads = n.integer("kv_num_heads", 0);
  const int64_t mode = n.integer("qk_matmul_output_mode", 0);
  const int64_t precision = n.integer("softmax_precision", 0);
  const int64_t left = n.integer("left_window_size", -1);
  const int64_t right = n.integer("right_window_size", -1);
  if (mode < 0 || mode > 3) return load_error("attribute 'qk_matmul_output_mode' is ", mode, ", expected 0 to 3");
  heads.precision = static_cast<DType>(precision);
  if (precision < 0 || precision > INT32_MAX || (precision != 0 && !is_float(heads.precision))) {
    return load_error("attribute 'softmax_precision' is ", precision, ", expected a floating-point data type");
  }
  n.expect_rank(0, 3, 4);
  const bool flat = n.rank(c.input(0)) == 3;
  ValueId in[3];
  for (int i = 0; i < 3; ++i) {
    n.expect_rank(i, flat ? 3 : 4);
    in[i] = c.input(i);
    if (!flat) continue;
    in[i] = n.swap(n.cut_heads(in[i], i == 0 ? q_heads : kv_heads, i == 0 ? "q_num_heads" : "kv_num_heads"));
  }
  n.expect_both(4, 5, "past_key and past_value");
  heads.q = in[0];
  heads.k = n.after_past(c.input(4), in[1]);
  heads.v = n.after_past(c.input(5), in[2]);
  ValueId offset = kNone;
  if (c.has_input(4)) {
    n.expect_rank(4, 4);
    n.expect_rank(5, 4);
    offset = n.size(c.input(4), 2);
  }
  if (c.has_input(6)) {
    if (c.has_input(4)) return load_error("input 6 (nonpad_kv_seqlen) is given beside input 4 (past_key), expected one of them");
    const ValueId valid = n.reshape(c.input(6), {-1, 1, 1, 1});
    const ValueId keys = n.places(heads.k, 2);
    const ValueId given = n.binary(B::kLess, keys, valid);
    allow(n, heads, given);
    const ValueId queries = n.size(heads.q, 2);
    offset = n.binary(B::kSub, valid, queries);
  }
  allow_near(n, heads, offset, left, right);
  if (causal != 0) allow_near(n, heads, offset, -1, 0);
  if (c.has_input(3)) {
    ValueId mask = c.input(3);
    if (c.has_input(6)) {
      mask = padded_mask(n, mask, heads.k);
    }
    if (c.type(3).dtype == DType::kBool) {
      allow(n, heads, mask);
    } else {
      heads.bias = mask;
    }
  }
  heads.zero_rows = c.has_input(3) || c.has_input(6) || left >= 0 || right >= 0;
  const Attended out = attend(n, heads);
  ValueId y = out.y;
  if (flat) {
    y = n.join_heads(n.swap(y));
  }
  ValueId scores = kNone;
  if (c.has_output(3)) {
    const ValueId of_mode[] = {out.product, out.capped, out.biased, out.probabilities};
    scores = n.add(ops::Identity{}, {of_mode[mode]});
  }
  return n.become({y, heads.k, heads.v, scores});
}

Status rotary_embedding(NodeContext& c) {
  Nodes n(c);
  Rotation r = rotation(n);
  r.cos = c.input(1), r.sin = c.input(2), r.positions = c.input(3);
  for (int i = 1; i < 3; ++i) n.expect_rank(i, r.positions != kNone ? 2 : 3);
  const ValueId y = rotate(n, r);
  return n.become({y});
}

constexpr Operator kOperators[] = {
    {"", "Attention", 23, 3, 7, 4, attention},
    {"", "RotaryEmbedding", 23, 3, 4, 1, rotary_embedding},
};

}  // namespace

std::span<const Operator> attention_operators() { return kOperators; }

}  // namespace tenon::onnx

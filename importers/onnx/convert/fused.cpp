// What onnxruntime's optimiser puts in the place of ONNX's operators (com.microsoft), taken apart again: passes fuse it their way.
#include "importers/onnx/convert/attention.h"
#include "ops/layer_normalization.h"
#include "ops/matmul.h"
#include "ops/rms_normalization.h"
#include "ops/scatter_elements.h"

namespace tenon::onnx {

namespace {

using U = ops::Unary::Kind;
using B = ops::Binary::Kind;

/// f(x), or f(x + bias) with a second input.
Status biased(NodeContext& c, U kind) {
  Nodes n(c);
  const ValueId x = c.has_input(1) ? n.binary(B::kAdd, c.input(0), c.input(1)) : c.input(0);
  return n.become({n.unary(kind, x)});
}
Status gelu(NodeContext& c) { return biased(c, U::kGelu); }
Status fast_gelu(NodeContext& c) { return biased(c, U::kGeluTanh); }

Status quick_gelu(NodeContext& c) {
  Nodes n(c);
  const float alpha = n.number("alpha", 1.702f);
  return n.become({n.unary(U::kSwish, c.input(0), alpha)});
}

/// input + skip + bias, of which bias is input `bias` where the node has it.
ValueId sum_of(Nodes& n, int bias) {
  const ValueId sum = n.binary(B::kAdd, n.c.input(0), n.c.input(1));
  return n.c.has_input(bias) ? n.binary(B::kAdd, sum, n.c.input(bias)) : sum;
}

Status skip_layer_normalization(NodeContext& c) {
  Nodes n(c);
  ops::LayerNormalization op;
  op.epsilon = n.number("epsilon", 1e-12f);
  const ValueId sum = sum_of(n, 4);
  const bool statistics = c.has_output(1) || c.has_output(2);
  const std::vector<ValueId> y = n.add(op, {sum, c.input(2), c.input(3)}, statistics ? 3 : 1);
  return n.become({y[0], statistics ? y[1] : kNone, statistics ? y[2] : kNone, sum});
}

Status skip_simplified_layer_normalization(NodeContext& c) {
  Nodes n(c);
  ops::RMSNormalization op;
  op.epsilon = n.number("epsilon", 1e-12f);
  const ValueId sum = sum_of(n, 3);
  return n.become({n.add(op, {sum, c.input(2)}), kNone, kNone, sum});
}

/// An attribute of which one value alone is supported.
void expect_attribute(Nodes& n, std::string_view name, int64_t expected) {
  const int64_t value = n.integer(name, expected);
  if (value != expected) n.expect(load_error("attribute '", name, "' is ", value, ", expected ", expected));
}

void expect_absent(Nodes& n, int input, std::string_view name) {
  if (n.c.has_input(input)) n.expect(load_error("input ", input, " (", name, ") is given, expected none"));
}

void expect_given(Nodes& n, int input, std::string_view name) {
  if (!n.c.has_input(input)) n.expect(load_error("input ", input, " (", name, ") is left out, expected an input of its own"));
}

Status simplified_layer_normalization(NodeContext& c) {
  Nodes n(c);
  ops::RMSNormalization op;
  op.axis = n.integer("axis", -1);
  op.epsilon = n.number("epsilon", 1e-5f);
  expect_attribute(n, "stash_type", static_cast<int64_t>(DType::kFloat32));
  return n.become({n.add(op, {c.input(0), c.input(1)})});
}

Status fused_matmul(NodeContext& c) {
  Nodes n(c);
  ops::MatMul op;
  op.alpha = n.number("alpha", 1.0f);
  op.trans_a = n.integer("transA", 0) != 0;
  op.trans_b = n.integer("transB", 0) != 0;
  expect_attribute(n, "transBatchA", 0);
  expect_attribute(n, "transBatchB", 0);
  return n.become({n.add(op, {c.input(0), c.input(1)})});
}

Status rotary_embedding(NodeContext& c) {
  Nodes n(c);
  Rotation r = rotation(n);
  expect_attribute(n, "is_packed_batching", 0);
  const float scale = n.number("scale", 1.0f);
  if (scale != 1) n.expect(load_error("attribute 'scale' is ", scale, ", expected 1"));
  n.expect_rank(1, 1, 2);
  for (int i = 2; i < 4; ++i) n.expect_rank(i, 2);
  r.positions = c.input(1), r.cos = c.input(2), r.sin = c.input(3);
  const bool flat = n.rank(r.x) == 3;
  if (flat && r.heads == 0) {
    const Dim width = n.dim(r.x, 2), size = n.dim(r.cos, 1) * Dim(2);
    const bool known = width.is_const() && size.is_const() && size.value() > 0;
    if (!known) n.expect(shape_error("attribute 'num_heads' is missing and does not follow from input 0 of shape ", c.type(0).shape.str()));
    r.heads = known ? width.value() / size.value() : 1;
  }
  if (n.rank(r.positions) == 1) {  // of the first row
    if (ops::dims_equal(n.dim(r.positions, 0), 1) == false) {
      n.expect(shape_error("input 1 (position_ids) has shape ", c.type(1).shape.str(), ", expected one position, or one for every row"));
    }
    r.positions = n.binary(B::kAdd, n.places(r.x, flat ? 1 : 2), r.positions);
  }
  return n.become({rotate(n, r)});
}

/// Adds elements [*from, *from + width of x) of the bias to x.
ValueId with_bias(Nodes& n, ValueId x, ValueId bias, int64_t* from) {
  const Dim end = n.dim(x, 2) + Dim(*from);
  if (!end.is_const()) {
    n.expect(shape_error("input 3 (bias) is given, expected a known last dim of inputs 0, 1 and 2, got ", n.dim(x, 2).str()));
    return kNone;
  }
  const ValueId part = n.slice(bias, n.ints({*from}), n.ints({end.value()}), 0);
  *from = end.value();
  return n.binary(B::kAdd, x, part);
}

Status multi_head_attention(NodeContext& c) {
  Nodes n(c);
  Heads heads;
  const int64_t count = n.integer("num_heads", {});
  const float scale = n.number("scale", 0.0f);
  const float masked = n.number("mask_filter_value", -10000.0f);
  const int64_t causal = n.integer("unidirectional", 0);
  if (scale != 0) heads.scale = scale;
  expect_given(n, 1, "key");
  expect_given(n, 2, "value");
  expect_absent(n, 8, "past_sequence_length");
  expect_absent(n, 9, "cache_indirection");
  n.expect_both(6, 7, "past_key and past_value");
  for (int i = 6; i < 8; ++i) {
    if (c.has_input(i)) n.expect_rank(i, 4);
  }
  ValueId in[3];
  int64_t from = 0;
  for (int i = 0; i < 3; ++i) {
    n.expect_rank(i, 3, i == 0 ? 3 : 4);
    in[i] = c.input(i);
    if (n.rank(in[i]) == 4) continue;
    if (c.has_input(3)) in[i] = with_bias(n, in[i], c.input(3), &from);
    in[i] = n.swap(n.cut_heads(in[i], count, "num_heads"));
  }
  heads.q = in[0];
  heads.k = n.after_past(c.input(6), in[1]);
  heads.v = n.after_past(c.input(7), in[2]);
  heads.bias = c.input(5);
  if (c.has_input(4)) {
    n.expect_rank(4, 2, 3);
    const DType dtype = n.dtype(heads.q);
    const ValueId wide = n.add(ops::Unsqueeze{}, {c.input(4), n.rank(c.input(4)) == 2 ? n.ints({1, 2}) : n.ints({1})});
    const ValueId mask = n.where(n.cast(wide, DType::kBool), n.scalar(dtype, 0), n.scalar(dtype, static_cast<double>(masked)));
    heads.bias = c.has_input(5) ? n.binary(B::kAdd, c.input(5), mask) : mask;
  }
  if (causal != 0) allow_near(n, heads, c.has_input(6) ? n.size(c.input(6), 2) : kNone, -1, 0);
  const Attended out = attend(n, heads);
  const ValueId y = n.join_heads(n.swap(out.y));
  return n.become({y, heads.k, heads.v});
}

/// The cache with the new rows in it, [batch, heads, rows, size]: from row `first` [batch, 1, 1, 1] on, in max(rows of past, total) rows.
ValueId updated_cache(Nodes& n, ValueId past, ValueId x, ValueId first, ValueId total) {
  const ValueId before = n.size(past, 2);
  const ValueId rows = n.binary(B::kMax, before, total);
  const ValueId both = n.after_past(past, x);
  const ValueId cache = n.slice(both, n.ints({0}), rows, 2);
  const ValueId place = n.places(x, 2);
  const ValueId column = n.unsqueeze(place, 1);
  const ValueId row = n.binary(B::kAdd, column, first);
  const ValueId dims = n.add(ops::ShapeOf{}, {x});
  const ValueId indices = n.add(ops::Expand{}, {row, dims});
  return n.add(ops::ScatterElements{.axis = 2}, {cache, indices, x});
}

/// Sequences of a batch may be of several lengths, seqlens_k + 1 with the new rows, and the past may be a buffer with room for more.
Status group_query_attention(NodeContext& c) {
  Nodes n(c);
  Heads heads;
  const int64_t q_heads = n.integer("num_heads", {});
  const int64_t kv_heads = n.integer("kv_num_heads", {});
  const float scale = n.number("scale", 0.0f);
  heads.softcap = n.number("softcap", 0.0f);
  const int64_t rotary = n.integer("do_rotary", 0);
  const int64_t interleaved = n.integer("rotary_interleaved", 0);
  const int64_t window = n.integer("local_window_size", -1);
  if (scale != 0) heads.scale = scale;
  expect_attribute(n, "causal", 1);
  expect_attribute(n, "smooth_softmax", 0);
  expect_attribute(n, "qk_output", 0);
  expect_attribute(n, "sliding_window_cache", 0);
  expect_attribute(n, "kv_cache_bit_width", 0);
  for (const std::string_view name : {"k_quant_type", "v_quant_type"}) {
    TENON_ASSIGN(const std::string kind, c.string_attribute(name, "NONE"));
    if (kind != "NONE") return load_error("attribute '", name, "' is '", kind, "', expected 'NONE'");
  }
  for (const std::string_view name : {"qk_norm_epsilon", "q_norm_epsilon", "k_norm_epsilon"}) n.number(name, 0.0f);  // of refused inputs
  constexpr std::string_view kGiven[] = {"query", "key", "value", "past_key", "past_value"};
  for (int i = 0; i < 5; ++i) {
    expect_given(n, i, kGiven[i]);
    n.expect_rank(i, i < 3 ? 3 : 4);
  }
  constexpr std::string_view kAbsent[] = {"position_ids", "", "head_sink", "k_scale", "v_scale", "q_norm_weight", "k_norm_weight",
                                          "query_seqlens"};
  for (int i = 9; i < 17; ++i) {
    if (i != 10) expect_absent(n, i, kAbsent[i - 9]);
  }

  // Rows that were there before the new ones, [batch, 1, 1, 1]; none where all rows are new.
  const ValueId last = n.cast(c.input(5), DType::kInt64);
  const ValueId ends = n.reshape(last, {-1, 1, 1, 1});
  const ValueId wide_total = n.cast(c.input(6), DType::kInt64);
  const ValueId total = n.reshape(wide_total, {1});
  const ValueId rows = n.size(c.input(0), 1);
  const ValueId after = n.binary(B::kAdd, ends, n.ints({1}));
  const ValueId begins = n.binary(B::kSub, after, rows);
  const ValueId prompt = n.binary(B::kEqual, rows, total);
  const ValueId first = n.where(prompt, n.ints({0}), begins);

  ValueId in[3] = {c.input(0), c.input(1), c.input(2)};
  for (int i = 0; i < 3; ++i) {
    const int64_t count = i == 0 ? q_heads : kv_heads;
    if (rotary != 0 && i < 2) {
      expect_given(n, 7, "cos_cache");
      expect_given(n, 8, "sin_cache");
      for (int angles = 7; angles < 9; ++angles) n.expect_rank(angles, 2);
      Rotation r{.x = in[i], .cos = c.input(7), .sin = c.input(8), .heads = count};
      r.op.interleaved = interleaved != 0;
      const Dim turned = n.dim(r.cos, 1) * Dim(2);
      if (!turned.is_const()) n.expect(shape_error("input 7 has shape ", c.type(7).shape.str(), ", expected a known last dim"));
      r.op.rotary_dim = turned.is_const() ? turned.value() : 0;
      const ValueId row = n.places(in[i], 1);
      const ValueId start = n.reshape(first, {-1, 1});
      r.positions = n.binary(B::kAdd, start, row);
      in[i] = rotate(n, r);
    }
    in[i] = n.swap(n.cut_heads(in[i], count, i == 0 ? "num_heads" : "kv_num_heads"));
  }
  heads.q = in[0];
  const ValueId keys = updated_cache(n, c.input(3), in[1], first, total);
  const ValueId values = updated_cache(n, c.input(4), in[2], first, total);
  heads.k = n.slice(keys, n.ints({0}), total, 2);
  heads.v = n.slice(values, n.ints({0}), total, 2);
  allow_near(n, heads, first, window > 0 ? window - 1 : -1, 0);
  heads.bias = c.input(10);
  const Attended out = attend(n, heads);
  const ValueId y = n.join_heads(n.swap(out.y));
  return n.become({y, keys, values});
}

constexpr Operator kOperators[] = {
    {"com.microsoft", "BiasGelu", 1, 2, 2, 1, gelu},
    {"com.microsoft", "FastGelu", 1, 1, 2, 1, fast_gelu},
    {"com.microsoft", "FusedMatMul", 1, 2, 2, 1, fused_matmul},
    {"com.microsoft", "Gelu", 1, 1, 1, 1, gelu},
    {"com.microsoft", "GroupQueryAttention", 1, 7, 17, 4, group_query_attention},
    {"com.microsoft", "MultiHeadAttention", 1, 1, 10, 4, multi_head_attention},
    {"com.microsoft", "QuickGelu", 1, 1, 1, 1, quick_gelu},
    {"com.microsoft", "RotaryEmbedding", 1, 4, 4, 1, rotary_embedding},
    {"com.microsoft", "SkipLayerNormalization", 1, 3, 5, 4, skip_layer_normalization},
    {"com.microsoft", "SkipSimplifiedLayerNormalization", 1, 3, 4, 4, skip_simplified_layer_normalization},
    {"", "SimplifiedLayerNormalization", 1, 2, 2, 2, simplified_layer_normalization},
};

}  // namespace

std::span<const Operator> fused_operators() { return kOperators; }

}  // namespace tenon::onnx

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
Status biased(NodeContext& c, const ops::Unary& f) {
  ValueId x = c.input(0);
  if (c.has_input(1)) {
    TENON_ASSIGN(x, binary(c, B::kAdd, x, c.input(1)));
  }
  TENON_ASSIGN(const ValueId y, c.add1(f, {x}));
  return c.set_outputs({y});
}

Status gelu(NodeContext& c) { return biased(c, {U::kGelu}); }
Status fast_gelu(NodeContext& c) { return biased(c, {U::kGeluTanh}); }

Status quick_gelu(NodeContext& c) {
  TENON_ASSIGN(const float alpha, c.float_attribute("alpha", 1.702f));
  return c.become(ops::Unary{U::kSwish, alpha});
}

/// input + skip + bias, of which bias is input `bias` where the node has it.
Result<ValueId> sum_of(NodeContext& c, int bias) {
  TENON_ASSIGN(const ValueId sum, binary(c, B::kAdd, c.input(0), c.input(1)));
  return c.has_input(bias) ? binary(c, B::kAdd, sum, c.input(bias)) : Result<ValueId>(sum);
}

Status skip_layer_normalization(NodeContext& c) {
  ops::LayerNormalization op;
  TENON_ASSIGN(op.epsilon, c.float_attribute("epsilon", 1e-12f));
  TENON_ASSIGN(const ValueId sum, sum_of(c, 4));
  std::vector<ValueId> inputs{sum, c.input(2)};
  if (c.has_input(3)) inputs.push_back(c.input(3));
  TENON_ASSIGN(const auto y, c.add(op, inputs, c.has_output(1) || c.has_output(2) ? 3 : 1));
  return c.set_outputs({y[0], y.size() > 1 ? y[1] : kNone, y.size() > 1 ? y[2] : kNone, sum});
}

Status skip_simplified_layer_normalization(NodeContext& c) {
  ops::RMSNormalization op;
  TENON_ASSIGN(op.epsilon, c.float_attribute("epsilon", 1e-12f));
  TENON_ASSIGN(const ValueId sum, sum_of(c, 3));
  TENON_ASSIGN(const ValueId y, c.add1(op, {sum, c.input(2)}));
  return c.set_outputs({y, kNone, kNone, sum});
}

Status simplified_layer_normalization(NodeContext& c) {
  ops::RMSNormalization op;
  TENON_ASSIGN(op.axis, c.int_attribute("axis", -1));
  TENON_ASSIGN(op.epsilon, c.float_attribute("epsilon", 1e-5f));
  TENON_ASSIGN(const int64_t stash, c.int_attribute("stash_type", 1));
  if (stash != static_cast<int64_t>(DType::kFloat32)) return load_error("attribute 'stash_type' is ", stash, ", expected 1 (float32)");
  TENON_ASSIGN(const ValueId y, c.add1(op, {c.input(0), c.input(1)}));
  return c.set_outputs({y});
}

/// An attribute that is read so that its only supported value is told from others.
Status expect_attribute(NodeContext& c, std::string_view name, int64_t expected) {
  TENON_ASSIGN(const int64_t value, c.int_attribute(name, expected));
  if (value == expected) return {};
  return load_error("attribute '", name, "' is ", value, ", expected ", expected);
}

Status expect_absent(const NodeContext& c, int input, std::string_view name) {
  if (!c.has_input(input)) return {};
  return load_error("input ", input, " (", name, ") is given, expected none");
}

Status fused_matmul(NodeContext& c) {
  ops::MatMul op;
  TENON_ASSIGN(op.alpha, c.float_attribute("alpha", 1.0f));
  TENON_ASSIGN(const int64_t trans_a, c.int_attribute("transA", 0));
  TENON_ASSIGN(const int64_t trans_b, c.int_attribute("transB", 0));
  op.trans_a = trans_a != 0, op.trans_b = trans_b != 0;
  TENON_TRY(expect_attribute(c, "transBatchA", 0));
  TENON_TRY(expect_attribute(c, "transBatchB", 0));
  return c.become(op);
}

Status rotary_embedding(NodeContext& c) {
  TENON_ASSIGN(Rotation r, rotation(c));
  TENON_TRY(expect_attribute(c, "is_packed_batching", 0));
  TENON_ASSIGN(const float scale, c.float_attribute("scale", 1.0f));
  if (scale != 1) return load_error("attribute 'scale' is ", scale, ", expected 1");
  TENON_TRY(expect_rank(c, 1, 1, 2));
  for (int i = 2; i < 4; ++i) TENON_TRY(expect_rank(c, i, 2));
  r.cos = c.input(2), r.sin = c.input(3), r.positions = c.input(1);
  const bool flat = c.type(0).rank() == 3;
  if (flat && r.heads == 0) {
    const Dim width = c.type(0).shape[2], size = c.type(2).shape[1] * Dim(2);
    if (!width.is_const() || !size.is_const() || size.value() == 0) {
      return shape_error("attribute 'num_heads' is missing and does not follow from input 0 of shape ", c.type(0).shape.str());
    }
    r.heads = width.value() / size.value();
  }
  if (c.type(1).rank() == 1) {  // of the first row
    if (ops::dims_equal(c.type(1).shape[0], 1) == false) {
      return shape_error("input 1 (position_ids) has shape ", c.type(1).shape.str(), ", expected one position, or one for every row");
    }
    TENON_ASSIGN(const ValueId rows, places(c, r.x, flat ? 1 : 2));
    TENON_ASSIGN(r.positions, binary(c, B::kAdd, rows, c.input(1)));
  }
  TENON_ASSIGN(const ValueId y, rotate(c, r));
  return c.set_outputs({y});
}

/// Adds elements [*from, *from + width of x) of the bias to x.
Result<ValueId> with_bias(NodeContext& c, ValueId x, ValueId bias, int64_t* from) {
  const Dim width = c.graph().type(x).shape[2], end = width + Dim(*from);
  if (!end.is_const()) return shape_error("input 3 (bias) is given, expected a known last dim of input 0, 1 and 2, got ", width.str());
  TENON_ASSIGN(const ValueId part, c.add1(ops::Slice{}, {bias, c.ints({*from}), c.ints({end.value()}), c.ints({0})}));
  *from = end.value();
  return binary(c, B::kAdd, x, part);
}

Status multi_head_attention(NodeContext& c) {
  Heads heads;
  TENON_ASSIGN(const int64_t count, c.int_attribute("num_heads"));
  TENON_ASSIGN(const float scale, c.float_attribute("scale", 0.0f));
  TENON_ASSIGN(const float masked, c.float_attribute("mask_filter_value", -10000.0f));
  TENON_ASSIGN(const int64_t causal, c.int_attribute("unidirectional", 0));
  if (scale != 0) heads.scale = scale;
  for (int i = 1; i < 3; ++i) {
    if (!c.has_input(i)) return load_error("input ", i, " is left out, expected queries, keys and values in inputs of their own");
  }
  TENON_TRY(expect_absent(c, 8, "past_sequence_length"));
  TENON_TRY(expect_absent(c, 9, "cache_indirection"));
  TENON_TRY(expect_both(c, 6, 7, "past_key and past_value"));
  for (int i = 6; i < 8; ++i) {
    if (c.has_input(i)) TENON_TRY(expect_rank(c, i, 4));
  }
  ValueId in[3];
  int64_t from = 0;
  for (int i = 0; i < 3; ++i) {
    TENON_TRY(expect_rank(c, i, 3, i == 0 ? 3 : 4));
    in[i] = c.input(i);
    if (c.type(i).rank() == 4) continue;
    if (c.has_input(3)) {
      TENON_ASSIGN(in[i], with_bias(c, in[i], c.input(3), &from));
    }
    TENON_ASSIGN(in[i], split_heads(c, in[i], count, "num_heads"));
  }
  heads.q = in[0];
  TENON_ASSIGN(heads.k, after_past(c, c.input(6), in[1]));
  TENON_ASSIGN(heads.v, after_past(c, c.input(7), in[2]));
  heads.bias = c.input(5);
  if (c.has_input(4)) {
    TENON_TRY(expect_rank(c, 4, 2, 3));
    const DType dtype = c.type(0).dtype;
    TENON_ASSIGN(const ValueId wide, c.add1(ops::Unsqueeze{}, {c.input(4), c.type(4).rank() == 2 ? c.ints({1, 2}) : c.ints({1})}));
    TENON_ASSIGN(const ValueId kept, c.add1(ops::Cast{DType::kBool}, {wide}));
    TENON_ASSIGN(const ValueId mask,
                 c.add1(ops::Where{}, {kept, c.constant(scalar_of(dtype, 0)), c.constant(scalar_of(dtype, static_cast<double>(masked)))}));
    heads.bias = mask;
    if (c.has_input(5)) {
      TENON_ASSIGN(heads.bias, binary(c, B::kAdd, c.input(5), mask));
    }
  }
  if (causal != 0) {
    ValueId offset = kNone;
    if (c.has_input(6)) {
      TENON_ASSIGN(offset, size_of(c, c.input(6), 2));
    }
    TENON_TRY(allow_near(c, heads, offset, -1, 0));
  }
  TENON_ASSIGN(const Attended out, attend(c, heads));
  TENON_ASSIGN(const ValueId y, merge_heads(c, out.y));
  return c.set_outputs({y, heads.k, heads.v});
}

/// The cache with the new rows in it, [batch, heads, rows, size]: from row `first` [batch, 1, 1, 1] on, in max(rows of past, total) rows.
Result<ValueId> updated_cache(NodeContext& c, ValueId past, ValueId x, ValueId first, ValueId total) {
  TENON_ASSIGN(const ValueId before, size_of(c, past, 2));
  TENON_ASSIGN(const ValueId rows, binary(c, B::kMax, before, total));
  TENON_ASSIGN(const ValueId both, after_past(c, past, x));
  TENON_ASSIGN(const ValueId cache, c.add1(ops::Slice{}, {both, c.ints({0}), rows, c.ints({2})}));
  TENON_ASSIGN(const ValueId place, places(c, x, 2));
  TENON_ASSIGN(const ValueId column, c.add1(ops::Unsqueeze{}, {place, c.ints({1})}));
  TENON_ASSIGN(const ValueId row, binary(c, B::kAdd, column, first));
  TENON_ASSIGN(const ValueId dims, c.add1(ops::ShapeOf{}, {x}));
  TENON_ASSIGN(const ValueId indices, c.add1(ops::Expand{}, {row, dims}));
  return c.add1(ops::ScatterElements{.axis = 2}, {cache, indices, x});
}

/// Sequences of a batch may be of several lengths, seqlens_k + 1 with the new rows, and the past may be a buffer with room for more.
Status group_query_attention(NodeContext& c) {
  Heads heads;
  TENON_ASSIGN(const int64_t q_heads, c.int_attribute("num_heads"));
  TENON_ASSIGN(const int64_t kv_heads, c.int_attribute("kv_num_heads"));
  TENON_ASSIGN(const float scale, c.float_attribute("scale", 0.0f));
  TENON_ASSIGN(heads.softcap, c.float_attribute("softcap", 0.0f));
  TENON_ASSIGN(const int64_t rotary, c.int_attribute("do_rotary", 0));
  TENON_ASSIGN(const int64_t interleaved, c.int_attribute("rotary_interleaved", 0));
  TENON_ASSIGN(const int64_t window, c.int_attribute("local_window_size", -1));
  if (scale != 0) heads.scale = scale;
  TENON_TRY(expect_attribute(c, "causal", 1));
  TENON_TRY(expect_attribute(c, "smooth_softmax", 0));
  TENON_TRY(expect_attribute(c, "qk_output", 0));
  TENON_TRY(expect_attribute(c, "sliding_window_cache", 0));
  TENON_TRY(expect_attribute(c, "kv_cache_bit_width", 0));
  for (const std::string_view name : {"k_quant_type", "v_quant_type"}) {
    TENON_ASSIGN(const std::string kind, c.string_attribute(name, "NONE"));
    if (kind != "NONE") return load_error("attribute '", name, "' is '", kind, "', expected 'NONE'");
  }
  for (const std::string_view name : {"qk_norm_epsilon", "q_norm_epsilon", "k_norm_epsilon"}) {  // of inputs that are refused
    if (c.has_attribute(name)) TENON_TRY(c.float_attribute(name));
  }
  for (int i = 0; i < 5; ++i) {
    if (!c.has_input(i)) return load_error("input ", i, " is left out, expected query, key, value, past_key and past_value");
    TENON_TRY(expect_rank(c, i, i < 3 ? 3 : 4));
  }
  constexpr std::string_view kAbsent[] = {"position_ids", "", "head_sink", "k_scale", "v_scale", "q_norm_weight", "k_norm_weight",
                                          "query_seqlens"};
  for (int i = 9; i < 17; ++i) {
    if (i != 10) TENON_TRY(expect_absent(c, i, kAbsent[i - 9]));
  }

  // Rows that were there before the new ones, [batch, 1, 1, 1]; none where all rows are new.
  TENON_ASSIGN(const ValueId last, c.add1(ops::Cast{DType::kInt64}, {c.input(5)}));
  TENON_ASSIGN(const ValueId ends, c.add1(ops::Reshape{}, {last, c.ints({-1, 1, 1, 1})}));
  TENON_ASSIGN(const ValueId wide_total, c.add1(ops::Cast{DType::kInt64}, {c.input(6)}));
  TENON_ASSIGN(const ValueId total, c.add1(ops::Reshape{}, {wide_total, c.ints({1})}));
  TENON_ASSIGN(const ValueId rows, size_of(c, c.input(0), 1));
  TENON_ASSIGN(const ValueId after, binary(c, B::kAdd, ends, c.ints({1})));
  TENON_ASSIGN(const ValueId begins, binary(c, B::kSub, after, rows));
  TENON_ASSIGN(const ValueId prompt, binary(c, B::kEqual, rows, total));
  TENON_ASSIGN(const ValueId first, c.add1(ops::Where{}, {prompt, c.ints({0}), begins}));

  ValueId in[3] = {c.input(0), c.input(1), c.input(2)};
  for (int i = 0; i < 3; ++i) {
    const int64_t count = i == 0 ? q_heads : kv_heads;
    if (rotary != 0 && i < 2) {
      if (!c.has_input(7) || !c.has_input(8))
        return load_error("input ", c.has_input(7) ? 8 : 7, " is left out, expected cosines and sines");
      for (int angles = 7; angles < 9; ++angles) TENON_TRY(expect_rank(c, angles, 2));
      Rotation r{.x = in[i], .cos = c.input(7), .sin = c.input(8), .heads = count};
      r.op.interleaved = interleaved != 0;
      const Dim turned = c.type(7).shape[1] * Dim(2);
      if (!turned.is_const()) return shape_error("input 7 has shape ", c.type(7).shape.str(), ", expected a known last dim");
      r.op.rotary_dim = turned.value();
      TENON_ASSIGN(const ValueId row, places(c, in[i], 1));
      TENON_ASSIGN(const ValueId start, c.add1(ops::Reshape{}, {first, c.ints({-1, 1})}));
      TENON_ASSIGN(r.positions, binary(c, B::kAdd, start, row));
      TENON_ASSIGN(in[i], rotate(c, r));
    }
    TENON_ASSIGN(in[i], split_heads(c, in[i], count, i == 0 ? "num_heads" : "kv_num_heads"));
  }
  heads.q = in[0];
  TENON_ASSIGN(const ValueId keys, updated_cache(c, c.input(3), in[1], first, total));
  TENON_ASSIGN(const ValueId values, updated_cache(c, c.input(4), in[2], first, total));
  TENON_ASSIGN(heads.k, c.add1(ops::Slice{}, {keys, c.ints({0}), total, c.ints({2})}));
  TENON_ASSIGN(heads.v, c.add1(ops::Slice{}, {values, c.ints({0}), total, c.ints({2})}));
  TENON_TRY(allow_near(c, heads, first, window > 0 ? window - 1 : -1, 0));
  heads.bias = c.input(10);
  TENON_ASSIGN(const Attended out, attend(c, heads));
  TENON_ASSIGN(const ValueId y, merge_heads(c, out.y));
  return c.set_outputs({y, keys, values});
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

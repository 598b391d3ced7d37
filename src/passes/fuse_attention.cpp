#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "passes/attention_scores.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// The multiplication by a constant scalar in front of a Reshape: what is multiplied, and the factor; kNone when there is none.
struct Reshaped {
  ValueId x = kNone;
  double scale = 1;
};
Reshaped scale_before_reshape(const Graph& graph, ValueId value) {
  const Node* reshape = made_by<ops::Reshape>(graph, value);
  if (reshape == nullptr) return {};
  Reshaped found{reshape->inputs[0], 1};
  return take_scale(graph, found.x, found.scale) ? found : Reshaped{};
}

/// Steps over Transpose with this permutation. The transposed value may have other readers: the transpose then stays for them.
bool take_transpose(const Graph& graph, ValueId& value, std::initializer_list<int64_t> perm) {
  const auto* transpose = graph.producer_as<ops::Transpose>(value);
  if (transpose == nullptr || !graph.type(value).ranked()) return false;
  const auto full = ops::full_perm(*transpose, graph.type(value).rank());
  if (!full.ok() || !std::equal(full->begin(), full->end(), perm.begin(), perm.end())) return false;
  value = graph.node(graph.value(value).producer).inputs[0];
  return true;
}

/// Steps over a Transpose of the last two of three or four dims.
bool take_swap(const Graph& graph, ValueId& value) {
  return take_transpose(graph, value, {0, 2, 1}) || take_transpose(graph, value, {0, 1, 3, 2});
}

/// Steps over Reshape, Transpose(0, 2, 1), Reshape where these swap the last two dims of [b, h, s, d] with b and h run together.
bool take_flat_transpose(const Graph& graph, ValueId& value) {
  const Node* outer = made_by<ops::Reshape>(graph, value);
  if (outer == nullptr) return false;
  ValueId inside = outer->inputs[0];
  if (!graph.single_use(inside) || !take_transpose(graph, inside, {0, 2, 1}) || !graph.single_use(inside)) return false;
  const Node* inner = made_by<ops::Reshape>(graph, inside);
  if (inner == nullptr) return false;
  const ValueId source = inner->inputs[0];
  const Type &before = graph.type(source), &flat = graph.type(inside), &after = graph.type(value);
  if (!before.ranked() || !after.ranked() || !flat.ranked() || before.rank() != 4 || after.rank() != 4 || flat.rank() != 3) return false;
  const bool swaps = before.shape[0] == after.shape[0] && before.shape[1] == after.shape[1] && before.shape[2] == after.shape[3] &&
                     before.shape[3] == after.shape[2] && flat.shape[1] == before.shape[2] && flat.shape[2] == before.shape[3];
  if (swaps) value = source;
  return swaps;
}

/// What Expand, Tile or Concat makes several of; kNone where Concat joins different ones. The caller checks the types.
ValueId repeated(const Graph& graph, ValueId value) {
  const NodeId id = producer(graph, value);
  if (id == kNone) return kNone;
  const Node& node = graph.node(id);
  if (std::holds_alternative<ops::Concat>(node.op)) {
    return std::equal(node.inputs.begin() + 1, node.inputs.end(), node.inputs.begin()) ? node.inputs[0] : kNone;
  }
  return std::holds_alternative<ops::Expand>(node.op) || std::holds_alternative<ops::Tile>(node.op) ? node.inputs[0] : kNone;
}

/// Steps over the repetition of heads: [b, h, s, d] to [b, h, 1, s, d], of which Expand, Tile or Concat makes [b, h, g, s, d], Reshape
/// to [b, h * g, s, d].
bool take_repeat(const Graph& graph, ValueId& value) {
  const auto* reshape = graph.producer_as<ops::Reshape>(value);
  if (reshape == nullptr) return false;
  const ValueId wide = graph.node(graph.value(value).producer).inputs[0];
  const ValueId one = repeated(graph, wide);
  if (graph.producer_as<ops::Unsqueeze>(one) == nullptr && graph.producer_as<ops::Reshape>(one) == nullptr) return false;
  const ValueId source = graph.node(graph.value(one).producer).inputs[0];
  const Type &a = graph.type(source), &b = graph.type(wide), &c = graph.type(value), &u = graph.type(one);
  if (!a.ranked() || !b.ranked() || !c.ranked() || !u.ranked() || a.rank() != 4 || u.rank() != 5 || b.rank() != 5 || c.rank() != 4)
    return false;
  const Dim &h = a.shape[1], &g = b.shape[2];
  const bool repeats = u.shape[0] == a.shape[0] && u.shape[1] == h && u.shape[2].is(1) && u.shape[3] == a.shape[2] && h.is_const() &&
                       g.is_const() && a.shape[0] == b.shape[0] && h == b.shape[1] && a.shape[2] == b.shape[3] &&
                       a.shape[3] == b.shape[4] && c.shape[0] == b.shape[0] && c.shape[1] == h * g && c.shape[2] == b.shape[3] &&
                       c.shape[3] == b.shape[4];
  if (repeats) value = source;
  return repeats;
}

bool plain_product(const Node& node) {
  const auto& op = std::get<ops::MatMul>(node.op);
  for (size_t i = 2; i < node.inputs.size(); ++i) {
    if (node.inputs[i] != kNone) return false;
  }
  return !op.trans_a && op.activation.none() && !op.matrices;
}

}  // namespace

/// MatMul(Softmax(MatMul(q, k^T) * scale + mask), v) -> Attention(q, k, v, mask), with the transposes, scalings and repeated heads in front
/// of q, k and v taken in, in the ways exporters write them, and no other readers in between. Scores may be capped by a Tanh between two
/// scalings, have a factor a head, which goes to q, and be masked by a Where, or by two sums or differences, of windows too.
/// MatMul(v, Softmax(...)^T) -> Attention(q, k, v^T)^T. float16 and bfloat16 are computed in float32 and rounded once.
Result<bool> fuse_attention(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (!std::holds_alternative<ops::MatMul>(node.op) || !plain_product(node)) return false;
  const auto& product = std::get<ops::MatMul>(node.op);
  if (product.alpha != 1) return false;
  ops::Attention op;
  ValueId softmax = product.trans_b ? kNone : softmax_of(graph, node.inputs[0], &op.nan_to_zero), v = node.inputs[1];
  const bool turned = softmax == kNone;
  if (turned) {
    ValueId p = node.inputs[1];
    if (!product.trans_b && (!graph.single_use(p) || !take_swap(graph, p))) return false;
    softmax = softmax_of(graph, p, &op.nan_to_zero);
    v = node.inputs[0];
  }
  const DType dtype = graph.type(v).dtype;
  if (softmax == kNone || !is_attention_dtype(dtype)) return false;

  double scale = 1;
  ValueId scores = skip_casts(graph, graph.node(graph.value(softmax).producer).inputs[0]);
  // The scores of heads that run together with the batch are cut for their mask and put together again.
  const ValueId cut = before_reshape(graph, scores);
  const bool mask_of_heads = cut != kNone && graph.single_use(scores) && graph.type(cut).rank() == 4;
  const auto masked = take_mask(graph, mask_of_heads ? cut : scores);
  if (!masked) return false;
  scores = skip_casts(graph, masked->scores);
  if (mask_of_heads) {
    if (!graph.single_use(scores)) return false;
    scores = before_reshape(graph, scores);
    if (scores == kNone) return false;
  }
  scores = skip_scales(graph, scores, scale);
  if (const ValueId inside = skip_tanh(graph, scores); inside != scores) {
    op.softcap = static_cast<float>(scale);
    if (!std::isnormal(op.softcap)) return false;
    scale = 1;
    scores = skip_scales(graph, inside, scale);
  }
  const ValueId head_factor = take_head_factor(graph, scores);
  if (head_factor != kNone) scores = skip_scales(graph, scores, scale);
  const Node* first = made_by<ops::MatMul>(graph, scores);
  if (first == nullptr || !plain_product(*first) || first->region != node.region) return false;
  const auto& first_op = std::get<ops::MatMul>(first->op);
  scale *= static_cast<double>(first_op.alpha);

  ValueId q = first->inputs[0], k = first->inputs[1];
  int rank = graph.type(scores).ranked() ? graph.type(scores).rank() : 0;
  if (rank != 3 && rank != 4) return false;
  // From [batch, rows, heads, size], or [rows, heads, size].
  const auto take_by_row = [&graph, &rank](ValueId& value) {
    return rank == 4 ? take_transpose(graph, value, {0, 2, 1, 3}) : take_transpose(graph, value, {1, 0, 2});
  };
  take_scale(graph, q, scale);
  op.q_by_row = head_factor == kNone && take_by_row(q);
  const auto take_turned_by_row = [&graph, &rank](ValueId& value) {
    return rank == 4 ? take_transpose(graph, value, {0, 2, 3, 1}) : take_transpose(graph, value, {1, 2, 0});
  };
  op.v_by_row = turned && take_turned_by_row(v);
  const bool turn_v = turned && !op.v_by_row && !take_swap(graph, v);
  if (!turn_v && !op.v_by_row) op.v_by_row = take_by_row(v);
  take_scale(graph, q, scale);
  take_scale(graph, k, scale);
  op.k_transposed = !first_op.trans_b;
  if (op.k_transposed) {
    if (take_turned_by_row(k)) {
      op.k_transposed = false;
      op.k_by_row = true;
    } else if (take_swap(graph, k) || (rank == 4 && take_flat_transpose(graph, k))) {
      op.k_transposed = false;
    }
  }
  take_scale(graph, k, scale);
  if (!op.k_transposed && !op.k_by_row) {
    ValueId k0 = k, v0 = v;
    if (rank == 4 && !turned && !op.v_by_row && take_repeat(graph, k0) && take_repeat(graph, v0)) {
      k = k0;
      v = v0;
      op.v_by_row = take_by_row(v);
    }
    op.k_by_row = take_by_row(k);
  }
  take_scale(graph, k, scale);

  // Heads that run together with the batch are cut where they were put together; the result is put together as q was.
  ops::Reshape together;
  ValueId flat_shape = kNone;
  const ValueId q4 = before_reshape(graph, q), k4 = before_reshape(graph, k), v4 = before_reshape(graph, v);
  const auto of_few_dims = [&graph](ValueId mask) { return mask == kNone || graph.type(mask).rank() < 3; };
  const bool masks_all_heads = of_few_dims(masked->condition) && std::all_of(masked->addends.begin(), masked->addends.end(),
                                                                             [&](const auto& a) { return of_few_dims(a.value); });
  const auto same_heads = [&graph](ValueId a, ValueId b) {
    const Shape &x = graph.type(a).shape, &y = graph.type(b).shape;
    return x.rank() == 4 && x.rank() == y.rank() && x[0] == y[0] && x[1] == y[1];
  };
  if (rank == 3 && !turned && head_factor == kNone && !op.q_by_row && !op.k_by_row && !op.v_by_row && !op.k_transposed && q4 != kNone &&
      k4 != kNone && v4 != kNone && same_heads(q4, k4) && same_heads(q4, v4) && (mask_of_heads ? same_heads(q4, cut) : masks_all_heads) &&
      graph.type(q).shape[2] == graph.type(v).shape[2]) {
    together = *graph.producer_as<ops::Reshape>(q);
    flat_shape = graph.node(producer(graph, q)).inputs[1];
    rank = 4;
    q = q4;
    k = k4;
    v = v4;
    op.q_by_row = take_by_row(q);
    op.k_by_row = take_by_row(k);
    op.v_by_row = take_by_row(v);
  } else if (mask_of_heads) {
    return false;
  }
  const Reshaped behind[] = {scale_before_reshape(graph, q), scale_before_reshape(graph, k)};
  op.scale = static_cast<float>(scale * behind[0].scale * behind[1].scale);

  // What batched products would broadcast, attention does not.
  const Type &tq = graph.type(q), &tk = graph.type(k), &tv = graph.type(v);
  if (!tq.ranked() || !tk.ranked() || !tv.ranked() || tq.rank() != rank || tk.rank() != rank || tv.rank() != rank) return false;
  const size_t at = rank == 4 ? 1 : 0;
  const Dim &hq = tq.shape[at + (op.q_by_row ? 1 : 0)], &hk = tk.shape[at + (op.k_by_row ? 1 : 0)],
            &hv = tv.shape[at + (op.v_by_row ? 1 : 0)];
  const Dim& size = tq.shape[at + 2];
  if (!size.is_const() || size.value() > kernels::kAttentionSize || size.value() == 0) return false;
  if (rank == 4 && !(tq.shape[0] == tk.shape[0] && tq.shape[0] == tv.shape[0])) return false;
  const bool grouped = hq.is_const() && hk.is_const() && hk.value() > 0 && hq.value() % hk.value() == 0;
  if (!(hk == hv) || !(hq == hk || grouped) || (head_factor != kNone && !fits(graph.type(head_factor), tq))) return false;

  Patch patch(graph, id);
  std::vector<ValueId> inputs{q, k, v};
  for (size_t i = 0; i < 2; ++i) {
    if (behind[i].x == kNone) continue;
    const Node& reshape = graph.node(graph.value(inputs[i]).producer);
    TENON_ASSIGN(inputs[i], patch.add1(reshape.op, {behind[i].x, reshape.inputs[1]}));
  }
  const ops::Transpose swap{rank == 4 ? std::vector<int64_t>{0, 1, 3, 2} : std::vector<int64_t>{0, 2, 1}};
  if (turn_v) {
    TENON_ASSIGN(inputs[2], patch.add1(swap, {v}));
  }
  for (ValueId& input : inputs) {
    TENON_ASSIGN(input, widened(graph, patch, input));
  }
  if (head_factor != kNone) {
    TENON_ASSIGN(const ValueId factor, widened(graph, patch, head_factor));
    TENON_ASSIGN(inputs[0], patch.add1(ops::Binary{ops::Binary::Kind::kMul}, {inputs[0], factor}));
  }
  op.mask_replaces = masked->condition != kNone;
  TENON_ASSIGN(const ValueId mask, mask_input(graph, patch, *masked));
  if (mask != kNone) inputs.push_back(mask);
  if (dtype == DType::kFloat32 && flat_shape == kNone && !turned) return patch.apply(op, std::move(inputs));
  TENON_ASSIGN(ValueId y, patch.add1(op, std::move(inputs)));
  if (flat_shape == kNone && !turned) return patch.apply(ops::Cast{dtype}, {y});
  if (dtype != DType::kFloat32) {
    TENON_ASSIGN(y, patch.add1(ops::Cast{dtype}, {y}));
  }
  return turned ? patch.apply(swap, {y}) : patch.apply(together, {y, flat_shape});
}

}  // namespace tenon::passes

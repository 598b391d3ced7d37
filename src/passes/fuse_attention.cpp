#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "ops/evaluate.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

/// The node's input behind `value` when X produced it and nothing else reads it, else null.
template <class X>
const Node* made_by(const Graph& graph, ValueId value) {
  return graph.producer_as<X>(value) != nullptr && graph.single_use(value) ? &graph.node(graph.value(value).producer) : nullptr;
}

bool is_attention_dtype(DType dtype) { return dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

/// Steps over casts that do not change the dtype, or that only round or widen: what is fused computes in float32 throughout.
ValueId skip_casts(const Graph& graph, ValueId value) {
  for (const Node* cast = made_by<ops::Cast>(graph, value); cast != nullptr; cast = made_by<ops::Cast>(graph, value)) {
    if (!is_attention_dtype(graph.type(cast->inputs[0]).dtype) || !is_attention_dtype(graph.type(value).dtype)) break;
    value = cast->inputs[0];
  }
  return value;
}

/// Steps over a multiplication or division by a constant scalar, which goes into `scale`.
bool take_scale(const Graph& graph, ValueId& value, double& scale) {
  const Node* node = made_by<ops::Binary>(graph, value);
  if (node == nullptr) return false;
  const auto kind = std::get<ops::Binary>(node->op).kind;
  const bool div = kind == ops::Binary::Kind::kDiv;
  if (!div && kind != ops::Binary::Kind::kMul) return false;
  for (size_t side = 0; side < (div ? 1u : 2u); ++side) {
    const auto factor = scalar_constant(graph, node->inputs[1 - side]);
    const ValueId other = node->inputs[side];
    if (!factor || *factor == 0 || !graph.type(other).ranked() || graph.type(node->inputs[1 - side]).rank() > graph.type(other).rank())
      continue;
    scale = div ? scale / *factor : scale * *factor;
    value = other;
    return true;
  }
  return false;
}

/// Steps over all scalings, and the casts among them.
ValueId skip_scales(const Graph& graph, ValueId value, double& scale) {
  do {
    value = skip_casts(graph, value);
  } while (take_scale(graph, value, scale));
  return value;
}

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

/// The value in float32.
Result<ValueId> widened(const Graph& graph, Patch& patch, ValueId value) {
  if (graph.type(value).dtype == DType::kFloat32) return value;
  const ops::Cast widen{DType::kFloat32};
  const Tensor* known = constant(graph, value);
  if (known == nullptr) return patch.add1(widen, {value});
  TENON_ASSIGN(const auto wide, evaluate(widen, {known}));
  return patch.constant(wide[0]);
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

/// Whether `flat` [b * h, m, n] is `wide` [b, h, m, n] with b and h run together.
bool runs_together(const Type& wide, const Type& flat) {
  if (!wide.ranked() || !flat.ranked() || wide.rank() != 4 || flat.rank() != 3) return false;
  return wide.shape[0] * wide.shape[1] == flat.shape[0] && wide.shape[2] == flat.shape[1] && wide.shape[3] == flat.shape[2];
}

/// x where `value` is a Reshape of it between [b, h, m, n] and [b * h, m, n], else kNone.
ValueId before_reshape(const Graph& graph, ValueId value) {
  if (graph.producer_as<ops::Reshape>(value) == nullptr) return kNone;
  const ValueId x = graph.node(producer(graph, value)).inputs[0];
  return runs_together(graph.type(x), graph.type(value)) || runs_together(graph.type(value), graph.type(x)) ? x : kNone;
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

/// Broadcasts to the scores without making them larger. Along the keys, whose number that of the values tells, it cannot.
bool fits(const Type& mask, const Type& scores) {
  if (!mask.ranked() || !scores.ranked() || mask.rank() > scores.rank() || !mask.layout.plain()) return false;
  for (int i = 0; i < mask.rank(); ++i) {
    const Dim &have = mask.shape[static_cast<size_t>(mask.rank() - 1 - i)],
              &want = scores.shape[static_cast<size_t>(scores.rank() - 1 - i)];
    if (!have.is(1) && !(have == want) && (i > 0 || ops::dims_equal(have, want) == false)) return false;
  }
  return true;
}

/// The argument of a Tanh that nothing else reads, else the value itself.
ValueId skip_tanh(const Graph& graph, ValueId value) {
  const Node* node = made_by<ops::Unary>(graph, value);
  return node != nullptr && std::get<ops::Unary>(node->op).kind == ops::Unary::Kind::kTanh ? node->inputs[0] : value;
}

/// Steps over the multiplication of a product by one number a head: those numbers, kNone when there are none.
ValueId take_head_factor(const Graph& graph, ValueId& value) {
  const Node* node = made_by<ops::Binary>(graph, value);
  if (node == nullptr || std::get<ops::Binary>(node->op).kind != ops::Binary::Kind::kMul) return kNone;
  for (size_t side = 0; side < 2; ++side) {
    const ValueId scores = node->inputs[side], factor = node->inputs[1 - side];
    const Type& own = graph.type(factor);
    double ignored = 1;
    if (!fits(own, graph.type(scores)) || own.rank() < 2 || !own.shape[static_cast<size_t>(own.rank() - 1)].is(1) ||
        !own.shape[static_cast<size_t>(own.rank() - 2)].is(1) ||
        made_by<ops::MatMul>(graph, skip_scales(graph, scores, ignored)) == nullptr)
      continue;
    value = scores;
    return factor;
  }
  return kNone;
}

constexpr int kMostAddends = 2;

/// The sum or difference with one reader that gives `value`, else null.
const Node* sum_of(const Graph& graph, ValueId value) {
  const Node* node = made_by<ops::Binary>(graph, value);
  if (node == nullptr) return nullptr;
  const auto kind = std::get<ops::Binary>(node->op).kind;
  return kind == ops::Binary::Kind::kAdd || kind == ops::Binary::Kind::kSub ? node : nullptr;
}

/// The mask of scores [windows of b images, heads, m, n] that is added where these are [b, windows, heads, m, n] for it alone.
struct OfWindows {
  ValueId scores = kNone, mask = kNone;
  int64_t images = 0;
  bool subtracted = false;
};
std::optional<OfWindows> mask_of_windows(const Graph& graph, ValueId value) {
  const Node* back = made_by<ops::Reshape>(graph, value);
  const Node* sum = back != nullptr ? sum_of(graph, back->inputs[0]) : nullptr;
  if (sum == nullptr) return std::nullopt;
  const bool subtracts = std::get<ops::Binary>(sum->op).kind == ops::Binary::Kind::kSub;
  for (size_t side = 0; side < (subtracts ? 1u : 2u); ++side) {
    const Node* cut = made_by<ops::Reshape>(graph, sum->inputs[side]);
    if (cut == nullptr) continue;
    const ValueId scores = cut->inputs[0], mask = sum->inputs[1 - side];
    const Type &flat = graph.type(scores), &wide = graph.type(sum->inputs[side]), &own = graph.type(mask);
    if (!flat.same_as(graph.type(value)) || !flat.ranked() || flat.rank() != 4 || !wide.ranked() || wide.rank() != 5 ||
        own.dtype != flat.dtype || !fits(own, wide) || !wide.shape[0].is_const() || wide.shape[0].value() <= 0)
      continue;
    bool cuts = wide.shape[0] * wide.shape[1] == flat.shape[0];
    for (size_t i = 1; i < 4; ++i) cuts = cuts && wide.shape[i + 1] == flat.shape[i];
    if (!cuts || (own.rank() == 5 && !own.shape[0].is(1))) continue;
    return OfWindows{scores, mask, wide.shape[0].value(), subtracts};
  }
  return std::nullopt;
}

/// Whether a product of matrices is behind casts, scalings, a cap, a cut of the batch into heads and at most `addends` sums.
bool are_scores(const Graph& graph, ValueId value, int addends = 0) {
  value = skip_casts(graph, value);
  if (const Node* sum = addends > 0 ? sum_of(graph, value) : nullptr; sum != nullptr) {
    return are_scores(graph, sum->inputs[0], addends - 1) || are_scores(graph, sum->inputs[1], addends - 1);
  }
  if (const auto windows = addends > 0 ? mask_of_windows(graph, value) : std::nullopt)
    return are_scores(graph, windows->scores, addends - 1);
  double ignored = 1;
  if (const ValueId x = before_reshape(graph, value); x != kNone && graph.single_use(value)) value = x;
  value = skip_scales(graph, value, ignored);
  value = skip_scales(graph, skip_tanh(graph, value), ignored);
  if (take_head_factor(graph, value) != kNone) value = skip_scales(graph, value, ignored);
  return made_by<ops::MatMul>(graph, value) != nullptr;
}

/// Scores and their mask: addends, some of which are subtracted, or a condition with the number that stands for the scores where it is
/// false (or true).
struct Masked {
  ValueId scores = kNone, condition = kNone;
  float fill = 0;
  bool where_true = false;
  struct Addend {
    ValueId value = kNone;
    bool subtracted = false;
    int64_t images = 0;  ///< not 0: the mask is that of the windows of each of so many images
  };
  std::vector<Addend> addends = {};  ///< the last one's sum first
};

/// Adds what one Add or Sub does to the scores behind it; false when it is no mask.
bool take_addend(const Graph& graph, const Node& sum, int more, Masked& masked) {
  const bool subtracts = std::get<ops::Binary>(sum.op).kind == ops::Binary::Kind::kSub;
  for (size_t side = 0; side < (subtracts ? 1u : 2u); ++side) {
    const ValueId scores = sum.inputs[side], addend = sum.inputs[1 - side];
    if (graph.type(addend).dtype != graph.type(scores).dtype || !fits(graph.type(addend), graph.type(scores)) ||
        !are_scores(graph, scores, more))
      continue;
    masked.scores = scores;
    masked.addends.push_back({addend, subtracts});
    return true;
  }
  return false;
}

/// Sums with one or two addends, of all scores or of those of windows, Where(condition, scores, fill) or Where(condition, fill, scores) with a constant fill; nullopt for other
/// sums and choices, and no mask when there is neither.
std::optional<Masked> take_mask(const Graph& graph, ValueId value) {
  Masked masked{value};
  for (int more = kMostAddends; more > 0; --more) {
    const ValueId scores = skip_casts(graph, masked.scores);
    if (const auto windows = mask_of_windows(graph, scores)) {
      masked.scores = windows->scores;
      masked.addends.push_back({windows->mask, windows->subtracted, windows->images});
      continue;
    }
    const Node* sum = sum_of(graph, scores);
    if (sum == nullptr) break;
    if (!take_addend(graph, *sum, more - 1, masked)) return std::nullopt;
  }
  const Node* where = made_by<ops::Where>(graph, value);
  if (where == nullptr) return masked;
  for (size_t side = 1; side < 3; ++side) {
    const ValueId scores = where->inputs[side];
    const auto fill = scalar_constant(graph, where->inputs[3 - side]);
    ValueId condition = where->inputs[0];
    if (const Node* expand = made_by<ops::Expand>(graph, condition)) condition = expand->inputs[0];
    // A mask of 0 leaves the score, and the fill does not add dims.
    if (!fill || *fill != *fill || static_cast<float>(*fill) == 0 || !graph.type(scores).ranked() ||
        graph.type(where->inputs[3 - side]).rank() > graph.type(scores).rank() || !fits(graph.type(condition), graph.type(scores)) ||
        !are_scores(graph, scores))
      continue;
    return Masked{scores, condition, static_cast<float>(*fill), side == 2};
  }
  return std::nullopt;
}

/// The softmax behind the probabilities: itself, or as written to give 0 where it is NaN: Where(IsNaN(p), 0, p).
ValueId softmax_of(const Graph& graph, ValueId probabilities, bool* nan_to_zero) {
  ValueId value = skip_casts(graph, probabilities);
  if (const Node* where = made_by<ops::Where>(graph, value)) {
    const auto zero = scalar_constant(graph, where->inputs[1]);
    const ValueId p = where->inputs[2];
    const auto* test = graph.producer_as<ops::Unary>(where->inputs[0]);
    if (!zero || *zero != 0 || test == nullptr || test->kind != ops::Unary::Kind::kIsNaN || !graph.single_use(where->inputs[0]))
      return kNone;
    if (graph.node(graph.value(where->inputs[0]).producer).inputs[0] != p) return kNone;
    if (graph.value(p).users.size() != 2 || graph.value(p).output_uses != 0) return kNone;
    *nan_to_zero = true;
    value = p;
  } else if (!graph.single_use(value)) {
    return kNone;
  }
  const auto* softmax = graph.producer_as<ops::Softmax>(value);
  if (softmax == nullptr || softmax->kind != ops::Softmax::Kind::kSoftmax || !graph.type(value).ranked()) return kNone;
  // Of the last dim alone there is nothing to flatten.
  const int rank = graph.type(value).rank();
  return softmax->axis == -1 || softmax->axis == rank - 1 ? value : kNone;
}

/// The mask of an Attention whose other inputs are float32; kNone without one.
Result<ValueId> mask_input(const Graph& graph, Patch& patch, const Masked& masked) {
  if (masked.condition != kNone) {
    std::vector<ValueId> choice{masked.condition, patch.constant(Tensor::of<float>({}, {0})),
                                patch.constant(Tensor::of<float>({}, {masked.fill}))};
    if (masked.where_true) std::swap(choice[1], choice[2]);
    return patch.add1(ops::Where{}, std::move(choice));
  }
  ValueId sum = kNone;
  for (auto it = masked.addends.rbegin(); it != masked.addends.rend(); ++it) {
    TENON_ASSIGN(ValueId addend, widened(graph, patch, it->value));
    if (it->images > 0 && graph.type(addend).rank() == 5) {
      TENON_ASSIGN(addend, patch.add1(ops::Squeeze{}, {addend, patch.constant(Tensor::of<int64_t>({1}, {0}))}));
    }
    if (it->images > 1 && graph.type(addend).rank() == 4 && !graph.type(addend).shape[0].is(1)) {
      TENON_ASSIGN(addend, patch.add1(ops::Tile{}, {addend, patch.constant(Tensor::of<int64_t>({4}, {it->images, 1, 1, 1}))}));
    }
    if (sum != kNone) {
      using B = ops::Binary::Kind;
      TENON_ASSIGN(sum, patch.add1(ops::Binary{it->subtracted ? B::kSub : B::kAdd}, {sum, addend}));
    } else if (it->subtracted) {
      TENON_ASSIGN(sum, patch.add1(ops::Unary{ops::Unary::Kind::kNeg}, {addend}));
    } else {
      sum = addend;
    }
  }
  return sum;
}

}  // namespace

/// MatMul(Softmax(MatMul(q, k^T) * scale + mask), v) -> Attention(q, k, v, mask), with the transposes, scalings and repeated heads in front
/// of q, k and v taken in, in the ways exporters write them, and no other readers in between. Scores may be capped by a Tanh between two
/// scalings, have a factor a head, which goes to q, and be masked by a Where, or by two sums or differences, of windows too. MatMul(v, Softmax(...)^T) -> Attention(q, k, v^T)^T.
/// float16 and bfloat16 are computed in float32 and rounded once.
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

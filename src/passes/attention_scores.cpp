#include "passes/attention_scores.h"

#include <algorithm>

#include "ops/evaluate.h"

namespace tenon {

bool is_attention_dtype(DType dtype) { return dtype == DType::kFloat32 || dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

ValueId skip_casts(const Graph& graph, ValueId value) {
  for (const Node* cast = made_by<ops::Cast>(graph, value); cast != nullptr; cast = made_by<ops::Cast>(graph, value)) {
    if (!is_attention_dtype(graph.type(cast->inputs[0]).dtype) || !is_attention_dtype(graph.type(value).dtype)) break;
    value = cast->inputs[0];
  }
  return value;
}

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

ValueId skip_scales(const Graph& graph, ValueId value, double& scale) {
  do {
    value = skip_casts(graph, value);
  } while (take_scale(graph, value, scale));
  return value;
}

ValueId skip_tanh(const Graph& graph, ValueId value) {
  const Node* node = made_by<ops::Unary>(graph, value);
  return node != nullptr && std::get<ops::Unary>(node->op).kind == ops::Unary::Kind::kTanh ? node->inputs[0] : value;
}

namespace {

/// Whether `flat` [b * h, m, n] is `wide` [b, h, m, n] with b and h run together.
bool runs_together(const Type& wide, const Type& flat) {
  if (!wide.ranked() || !flat.ranked() || wide.rank() != 4 || flat.rank() != 3) return false;
  return wide.shape[0] * wide.shape[1] == flat.shape[0] && wide.shape[2] == flat.shape[1] && wide.shape[3] == flat.shape[2];
}

}  // namespace

ValueId before_reshape(const Graph& graph, ValueId value) {
  if (graph.producer_as<ops::Reshape>(value) == nullptr) return kNone;
  const ValueId x = graph.node(producer(graph, value)).inputs[0];
  return runs_together(graph.type(x), graph.type(value)) || runs_together(graph.type(value), graph.type(x)) ? x : kNone;
}

bool fits(const Type& mask, const Type& scores) {
  if (!mask.ranked() || !scores.ranked() || mask.rank() > scores.rank() || !mask.layout.plain()) return false;
  for (int i = 0; i < mask.rank(); ++i) {
    const Dim &have = mask.shape[static_cast<size_t>(mask.rank() - 1 - i)],
              &want = scores.shape[static_cast<size_t>(scores.rank() - 1 - i)];
    if (!have.is(1) && !(have == want) && (i > 0 || ops::dims_equal(have, want) == false)) return false;
  }
  return true;
}

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

namespace {

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

}  // namespace

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

Result<ValueId> widened(const Graph& graph, Patch& patch, ValueId value) {
  if (graph.type(value).dtype == DType::kFloat32) return value;
  const ops::Cast widen{DType::kFloat32};
  const Tensor* known = constant(graph, value);
  if (known == nullptr) return patch.add1(widen, {value});
  TENON_ASSIGN(const auto wide, evaluate(widen, {known}));
  return patch.constant(wide[0]);
}

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

}  // namespace tenon

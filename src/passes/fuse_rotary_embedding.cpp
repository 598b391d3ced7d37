#include "passes/part.h"
#include "passes/passes.h"
#include "passes/product.h"

namespace tenon::passes {

namespace {

using Kind = ops::Binary::Kind;

const Node* made_by(const Graph& graph, ValueId value, Kind kind) {
  const auto* op = graph.producer_as<ops::Binary>(value);
  return op != nullptr && op->kind == kind && graph.single_use(value) ? &graph.node(producer(graph, value)) : nullptr;
}

/// What is turned, and by which angles.
struct Rotary {
  ValueId x = kNone, cos = kNone, sin = kNone;
  bool interleaved = false;
  bool paired_angles = false;  ///< both elements of a pair have angles of their own
};

/// The elements of pairs: two halves of a tensor's last dim, or every second of its elements.
struct Pairs {
  ValueId first = kNone, second = kNone;
  bool interleaved = false;
};

/// The tensor whose last dim falls into these pairs, else kNone.
ValueId whole_of(const Graph& graph, const Pairs& pairs) {
  const auto cut = pairs.interleaved ? every_second : [](const Graph& g, ValueId value) { return part_of(g, value); };
  const auto a = cut(graph, pairs.first), b = cut(graph, pairs.second);
  if (!a || !b || a->source != b->source || a->first != 0 || b->first != (pairs.interleaved ? 1 : a->count) || a->count != b->count)
    return kNone;
  return graph.type(a->source).shape.dims().back().is(2 * a->count) ? a->source : kNone;
}

/// The two inputs of a Concat along the last dim; nullptr for anything else.
const Node* concat_of_two(const Graph& graph, ValueId value) {
  const auto* concat = graph.producer_as<ops::Concat>(value);
  if (concat == nullptr || !graph.type(value).ranked()) return nullptr;
  const Node& node = graph.node(producer(graph, value));
  return node.inputs.size() == 2 && (concat->axis == -1 || concat->axis == graph.type(value).rank() - 1) ? &node : nullptr;
}

/// x where `value` is x with a last dim of 1 more.
ValueId before_unsqueeze(const Graph& graph, ValueId value) {
  if (graph.producer_as<ops::Unsqueeze>(value) == nullptr && graph.producer_as<ops::Reshape>(value) == nullptr) return kNone;
  const ValueId x = graph.node(producer(graph, value)).inputs[0];
  if (!graph.type(x).ranked() || !graph.type(value).ranked()) return kNone;
  DimList dims = graph.type(x).shape.dims();
  dims.emplace_back(1);
  return graph.type(value).shape == Shape(std::move(dims)) ? x : kNone;
}

/// What `value` is put together from: Concat(first, second), or Reshape(Concat) of both with a last dim of 1 more.
std::optional<Pairs> joined(const Graph& graph, ValueId value) {
  if (const Node* concat = concat_of_two(graph, value)) return Pairs{concat->inputs[0], concat->inputs[1]};
  if (graph.producer_as<ops::Reshape>(value) == nullptr) return std::nullopt;
  const ValueId stacked = graph.node(producer(graph, value)).inputs[0];
  const Node* concat = graph.single_use(stacked) ? concat_of_two(graph, stacked) : nullptr;
  if (concat == nullptr) return std::nullopt;
  const Pairs pairs{before_unsqueeze(graph, concat->inputs[0]), before_unsqueeze(graph, concat->inputs[1]), true};
  return pairs.first != kNone && pairs.second != kNone ? std::optional(pairs) : std::nullopt;
}

/// The pairs of x where `value` is x with (-second, first) for every pair (first, second).
std::optional<Pairs> rotated(const Graph& graph, ValueId value) {
  if (!graph.single_use(value)) return std::nullopt;
  const auto pairs = joined(graph, value);
  if (!pairs) return std::nullopt;
  const Product negative = product_of(graph, pairs->first, {});
  if (negative.scale != -1 || negative.factors.size() != 1) return std::nullopt;
  return Pairs{pairs->second, negative.factors[0], pairs->interleaved};
}

/// x * cos + rotated(x) * sin.
Rotary by_rotation(const Graph& graph, const Node& add) {
  for (size_t side = 0; side < 2; ++side) {
    const Node *straight = made_by(graph, add.inputs[side], Kind::kMul), *turned = made_by(graph, add.inputs[1 - side], Kind::kMul);
    if (straight == nullptr || turned == nullptr) return {};
    for (size_t i = 0; i < 2; ++i) {
      const auto pairs = rotated(graph, turned->inputs[i]);
      const ValueId x = pairs && same_type(graph, turned->inputs[i], add.outputs[0]) ? whole_of(graph, *pairs) : kNone;
      if (x == kNone) continue;
      for (size_t j = 0; j < 2; ++j)
        if (straight->inputs[j] == x) return {x, straight->inputs[1 - j], turned->inputs[1 - i], pairs->interleaved, true};
    }
  }
  return {};
}

/// Whether `value` is a * b, in either order.
bool is_product(const Graph& graph, ValueId value, ValueId a, ValueId b) {
  const Node* mul = made_by(graph, value, Kind::kMul);
  return mul != nullptr && ((mul->inputs[0] == a && mul->inputs[1] == b) || (mul->inputs[0] == b && mul->inputs[1] == a));
}

/// (a * cos - b * sin, b * cos + a * sin) of the pairs (a, b) of x.
Rotary by_pairs(const Graph& graph, const Node& node) {
  const auto pairs = joined(graph, node.outputs[0]);
  if (!pairs) return {};
  const Node *difference = made_by(graph, pairs->first, Kind::kSub), *sum = made_by(graph, pairs->second, Kind::kAdd);
  if (difference == nullptr || sum == nullptr) return {};
  const Node *ac = made_by(graph, difference->inputs[0], Kind::kMul), *bs = made_by(graph, difference->inputs[1], Kind::kMul);
  if (ac == nullptr || bs == nullptr) return {};
  for (size_t i = 0; i < 2; ++i) {
    for (size_t j = 0; j < 2; ++j) {
      const ValueId a = ac->inputs[i], cos = ac->inputs[1 - i], b = bs->inputs[j], sin = bs->inputs[1 - j];
      const ValueId x = whole_of(graph, {a, b, pairs->interleaved});
      if (x == kNone) continue;
      for (size_t side = 0; side < 2; ++side)
        if (is_product(graph, sum->inputs[side], b, cos) && is_product(graph, sum->inputs[1 - side], a, sin))
          return {x, cos, sin, pairs->interleaved};
    }
  }
  return {};
}

/// Takes a Transpose 0 2 1 3 in front of x into the operator.
bool take_transpose(const Graph& graph, ops::RotaryEmbedding& op, ValueId& x) {
  const auto* transpose = graph.producer_as<ops::Transpose>(x);
  if (op.swap || transpose == nullptr || transpose->perm != std::vector<int64_t>{0, 2, 1, 3}) return false;
  op.swap = true;
  x = graph.node(producer(graph, x)).inputs[0];
  return true;
}

bool is_half(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

/// The node as a RotaryEmbedding of these inputs, computed in float32 whatever their dtype.
Result<bool> become_rotary(Graph& graph, NodeId id, const ops::RotaryEmbedding& op, std::vector<ValueId> inputs) {
  const DType dtype = graph.type(graph.node(id).outputs[0]).dtype;
  if (!is_half(dtype)) return become(graph, id, op, std::move(inputs));
  Patch patch(graph, id);
  for (ValueId& input : inputs) {
    if (graph.type(input).dtype == DType::kFloat32) continue;
    TENON_ASSIGN(input, patch.add1(ops::Cast{DType::kFloat32}, {input}));
  }
  TENON_ASSIGN(const ValueId y, patch.add1(op, std::move(inputs)));
  return patch.apply(ops::Cast{dtype}, {y});
}

/// The input of a Cast between float32 and `dtype`, or `value` itself.
ValueId before_cast(const Graph& graph, ValueId value, DType dtype) {
  if (!is_half(dtype) || graph.producer_as<ops::Cast>(value) == nullptr) return value;
  const ValueId x = graph.node(producer(graph, value)).inputs[0];
  return graph.type(x).dtype == dtype || graph.type(x).dtype == DType::kFloat32 ? x : value;
}

/// Concat(RotaryEmbedding of the first elements of x, the others).
Result<bool> take_rest(Graph& graph, NodeId id) {
  const Node* concat = concat_of_two(graph, graph.node(id).outputs[0]);
  if (concat == nullptr) return false;
  const ValueId y = concat->outputs[0];
  const DType dtype = graph.type(y).dtype;
  const ValueId turned = before_cast(graph, concat->inputs[0], dtype);
  const auto* rotary = graph.producer_as<ops::RotaryEmbedding>(turned);
  if (rotary == nullptr || rotary->swap || rotary->rotary_dim != 0 || !graph.single_use(turned) || !graph.single_use(concat->inputs[0]))
    return false;
  std::vector<ValueId> inputs = graph.node(producer(graph, turned)).inputs;
  const auto first = part_of(graph, before_cast(graph, inputs[0], dtype)), rest = part_of(graph, concat->inputs[1]);
  if (!first || !rest || first->source != rest->source || first->first != 0 || rest->first != first->count || rest->count == 0 ||
      !same_type(graph, first->source, y))
    return false;
  ops::RotaryEmbedding op = *rotary;
  op.rotary_dim = first->count;
  inputs[0] = first->source;
  take_transpose(graph, op, inputs[0]);
  return become_rotary(graph, id, op, std::move(inputs));
}

}  // namespace

/// x * cos + (-b, a) * sin for the pairs (a, b) of x -> RotaryEmbedding(x, cos, sin), and the same with the elements of pairs worked out
/// one by one; pairs are halves of the last dim, or neighbours. Of rank 4. What is joined to it from the same tensor goes in, and so does a
/// Transpose 0 2 1 3 in front. float16 and bfloat16 are computed in float32 and rounded once.
Result<bool> fuse_rotary_embedding(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (const auto* rotary = std::get_if<ops::RotaryEmbedding>(&node.op)) {
    ops::RotaryEmbedding op = *rotary;
    std::vector<ValueId> inputs = node.inputs;
    return take_transpose(graph, op, inputs[0]) ? become(graph, id, op, std::move(inputs)) : false;
  }
  const auto* binary = std::get_if<ops::Binary>(&node.op);
  Rotary found;
  if (binary != nullptr && binary->kind == Kind::kAdd) {
    found = by_rotation(graph, node);
  } else if (std::holds_alternative<ops::Concat>(node.op) || std::holds_alternative<ops::Reshape>(node.op)) {
    found = by_pairs(graph, node);
  }
  if (found.x == kNone) return std::holds_alternative<ops::Concat>(node.op) ? take_rest(graph, id) : false;
  if (!same_type(graph, found.x, node.outputs[0])) return false;
  const Type &x = graph.type(found.x), &cos = graph.type(found.cos), &sin = graph.type(found.sin);
  const auto fits = [&](const Type& t) {
    return t.dtype == x.dtype && (is_half(x.dtype) || t.dtype == DType::kFloat32) && t.layout.plain() && t.ranked() && t.rank() <= 4;
  };
  if (!fits(x) || !fits(cos) || !fits(sin) || x.rank() != 4 || cos.rank() == 0 || sin.rank() == 0) return false;
  const Dim angles = found.paired_angles ? x.shape[3] : Dim(x.shape[3].value() / 2);
  if (!(cos.shape.dims().back() == angles) || !(sin.shape.dims().back() == angles)) return false;
  ops::RotaryEmbedding op{.interleaved = found.interleaved};
  take_transpose(graph, op, found.x);
  return become_rotary(graph, id, op, {found.x, found.cos, found.sin});
}

}  // namespace tenon::passes

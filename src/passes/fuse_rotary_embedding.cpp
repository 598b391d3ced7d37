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
};

/// The tensor whose halves `first` and `second` are, else kNone.
ValueId whole_of(const Graph& graph, ValueId first, ValueId second) {
  const auto a = part_of(graph, first), b = part_of(graph, second);
  if (!a || !b || a->source != b->source || a->first != 0 || b->first != a->count || a->count != b->count) return kNone;
  const Dim& size = graph.type(a->source).shape.dims().back();
  return size.is(2 * a->count) ? a->source : kNone;
}

/// x where `value` is the second half of x negated, then the first.
ValueId rotated(const Graph& graph, ValueId value) {
  const auto* concat = graph.producer_as<ops::Concat>(value);
  if (concat == nullptr || !graph.single_use(value) || !graph.type(value).ranked()) return kNone;
  const Node& node = graph.node(producer(graph, value));
  if (node.inputs.size() != 2 || (concat->axis != -1 && concat->axis != graph.type(value).rank() - 1)) return kNone;
  const Product negative = product_of(graph, node.inputs[0], {});
  if (negative.scale != -1 || negative.factors.size() != 1) return kNone;
  return whole_of(graph, node.inputs[1], negative.factors[0]);
}

/// x * cos + rotated(x) * sin.
Rotary by_rotation(const Graph& graph, const Node& add) {
  for (size_t side = 0; side < 2; ++side) {
    const Node *straight = made_by(graph, add.inputs[side], Kind::kMul), *turned = made_by(graph, add.inputs[1 - side], Kind::kMul);
    if (straight == nullptr || turned == nullptr) return {};
    for (size_t i = 0; i < 2; ++i) {
      const ValueId x = rotated(graph, turned->inputs[i]);
      if (x == kNone) continue;
      for (size_t j = 0; j < 2; ++j)
        if (straight->inputs[j] == x) return {x, straight->inputs[1 - j], turned->inputs[1 - i]};
    }
  }
  return {};
}

/// Whether `value` is a * b, in either order.
bool is_product(const Graph& graph, ValueId value, ValueId a, ValueId b) {
  const Node* mul = made_by(graph, value, Kind::kMul);
  return mul != nullptr && ((mul->inputs[0] == a && mul->inputs[1] == b) || (mul->inputs[0] == b && mul->inputs[1] == a));
}

/// Concat(a * cos - b * sin, b * cos + a * sin) of the halves a and b of x.
Rotary by_halves(const Graph& graph, const Node& concat) {
  if (concat.inputs.size() != 2) return {};
  const Node *difference = made_by(graph, concat.inputs[0], Kind::kSub), *sum = made_by(graph, concat.inputs[1], Kind::kAdd);
  if (difference == nullptr || sum == nullptr) return {};
  const Node *ac = made_by(graph, difference->inputs[0], Kind::kMul), *bs = made_by(graph, difference->inputs[1], Kind::kMul);
  if (ac == nullptr || bs == nullptr) return {};
  for (size_t i = 0; i < 2; ++i) {
    for (size_t j = 0; j < 2; ++j) {
      const ValueId a = ac->inputs[i], cos = ac->inputs[1 - i], b = bs->inputs[j], sin = bs->inputs[1 - j];
      const ValueId x = whole_of(graph, a, b);
      if (x == kNone) continue;
      for (size_t side = 0; side < 2; ++side)
        if (is_product(graph, sum->inputs[side], b, cos) && is_product(graph, sum->inputs[1 - side], a, sin)) return {x, cos, sin};
    }
  }
  return {};
}

}  // namespace

/// x * cos + Concat(-second half of x, first half) * sin -> RotaryEmbedding(x, cos, sin), and the same with the halves worked out one by
/// one; of rank 4. A Transpose 0 2 1 3 in front goes too. float16 and bfloat16 are computed in float32 and rounded once.
Result<bool> fuse_rotary_embedding(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* binary = std::get_if<ops::Binary>(&node.op);
  const auto* concat = std::get_if<ops::Concat>(&node.op);
  Rotary found;
  if (binary != nullptr && binary->kind == Kind::kAdd) {
    found = by_rotation(graph, node);
  } else if (concat != nullptr && (concat->axis == -1 || concat->axis == 3)) {
    found = by_halves(graph, node);
  }
  if (found.x == kNone || !same_type(graph, found.x, node.outputs[0])) return false;
  const Type &x = graph.type(found.x), &cos = graph.type(found.cos), &sin = graph.type(found.sin);
  const bool half = x.dtype == DType::kFloat16 || x.dtype == DType::kBFloat16;
  const auto fits = [&](const Type& t) {
    return t.dtype == x.dtype && (half || t.dtype == DType::kFloat32) && t.layout.plain() && t.ranked() && t.rank() <= 4;
  };
  if (!fits(x) || !fits(cos) || !fits(sin) || x.rank() != 4 || cos.rank() == 0 || sin.rank() == 0) return false;
  // Halves worked out one by one share their angles.
  const Dim angles = concat != nullptr ? Dim(x.shape[3].value() / 2) : x.shape[3];
  if (!(cos.shape.dims().back() == angles) || !(sin.shape.dims().back() == angles)) return false;

  ops::RotaryEmbedding op;
  const auto* transpose = graph.producer_as<ops::Transpose>(found.x);
  if (transpose != nullptr && transpose->perm == std::vector<int64_t>{0, 2, 1, 3}) {
    op.swap = true;
    found.x = graph.node(producer(graph, found.x)).inputs[0];
  }
  if (!half) return become(graph, id, op, {found.x, found.cos, found.sin});
  const DType dtype = x.dtype;
  std::vector<ValueId> inputs{found.x, found.cos, found.sin};
  Patch patch(graph, id);
  for (ValueId& input : inputs) {
    TENON_ASSIGN(input, patch.add1(ops::Cast{DType::kFloat32}, {input}));
  }
  TENON_ASSIGN(const ValueId y, patch.add1(op, std::move(inputs)));
  return patch.apply(ops::Cast{dtype}, {y});
}

}  // namespace tenon::passes

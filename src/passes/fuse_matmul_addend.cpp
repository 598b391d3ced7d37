#include "passes/passes.h"

namespace tenon::passes {

namespace {

enum class Fit { kNo, kStretches, kSame };

/// Whether `addend` has the product's shape, or surely broadcasts to it without making it larger.
Fit fit(const Type& addend, const Type& product) {
  if (!addend.ranked() || !product.ranked() || addend.rank() > product.rank()) return Fit::kNo;
  bool same = addend.rank() == product.rank();
  for (int i = 0; i < addend.rank(); ++i) {
    const Dim& have = addend.shape[static_cast<size_t>(addend.rank() - 1 - i)];
    const Dim& want = product.shape[static_cast<size_t>(product.rank() - 1 - i)];
    if (have == want) continue;
    if (!have.is(1)) return Fit::kNo;
    same = false;
  }
  return same ? Fit::kSame : Fit::kStretches;
}

bool fuses(DType dtype) {
  return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 || dtype == DType::kBFloat16;
}

/// Add(Reshape(MatMul(a, b, c)), r) -> Reshape(MatMul(a, b, c, Reshape(r))), where the product is a matrix and r has the shape it is
/// reshaped to.
Result<bool> through_reshape(Graph& graph, NodeId id, size_t side) {
  const Node& node = graph.node(id);
  const ValueId reshaped = node.inputs[side], addend = node.inputs[1 - side];
  const auto* reshape = graph.producer_as<ops::Reshape>(reshaped);
  if (reshape == nullptr || !graph.single_use(reshaped)) return false;
  const Node& middle = graph.node(producer(graph, reshaped));
  const ValueId product = middle.inputs[0];
  const auto* found = graph.producer_as<ops::MatMul>(product);
  if (found == nullptr || !graph.single_use(product) || !found->activation.none() || !graph.type(product).ranked()) return false;
  const Node& source = graph.node(producer(graph, product));
  const Type &matrix = graph.type(product), &wide = graph.type(reshaped), &other = graph.type(addend);
  if (source.region != node.region || middle.region != node.region || !fuses(matrix.dtype) || matrix.rank() != 2 ||
      !matrix.shape[1].is_const())
    return false;
  if (matrix.shape[1].value() <= 0 || !other.layout.plain() || fit(other, wide) != Fit::kSame) return false;
  std::vector<ValueId> inputs = source.inputs;
  inputs.resize(4, kNone);
  if (inputs[3] != kNone) return false;
  const ops::MatMul op = *found;
  const ops::Reshape back = *reshape;
  const ValueId shape = middle.inputs[1];
  const int64_t columns = matrix.shape[1].value();
  Patch patch(graph, id);
  TENON_ASSIGN(inputs[3], patch.add1(ops::Reshape{}, {addend, patch.constant(Tensor::of<int64_t>({2}, {-1, columns}))}));
  TENON_ASSIGN(const ValueId sum, patch.add1(op, std::move(inputs)));
  return patch.apply(back, {sum, shape});
}

}  // namespace

/// Add(MatMul(a, b), c) -> MatMul(a, b, c), and MatMul(a, b, c) + r -> MatMul(a, b, c, r), where the product has no other reader and c
/// broadcasts to it (r has its shape).
Result<bool> fuse_matmul_addend(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* add = std::get_if<ops::Binary>(&node.op);
  if (add == nullptr || add->kind != ops::Binary::Kind::kAdd) return false;
  for (size_t side = 0; side < 2; ++side) {
    TENON_ASSIGN(const bool moved, through_reshape(graph, id, side));
    if (moved) return true;
    const ValueId product = node.inputs[side], addend = node.inputs[1 - side];
    const auto* found = graph.producer_as<ops::MatMul>(product);
    if (found == nullptr || !graph.single_use(product) || !found->activation.none()) continue;
    const Node& source = graph.node(producer(graph, product));
    if (source.region != node.region || !fuses(graph.type(product).dtype)) continue;
    ops::MatMul op = *found;
    std::vector<ValueId> inputs = source.inputs;
    inputs.resize(4, kNone);
    const Fit how = fit(graph.type(addend), graph.type(product));
    if (how == Fit::kNo || !graph.type(addend).layout.plain()) continue;
    if (inputs[2] == kNone && inputs[3] == kNone && (how == Fit::kStretches || constant(graph, addend) != nullptr)) {
      inputs[2] = addend;
      op.beta = 1;
    } else if (inputs[3] == kNone && how == Fit::kSame) {
      inputs[3] = addend;
    } else if (inputs[2] == kNone && how == Fit::kStretches) {
      inputs[2] = addend;
      op.beta = 1;
    } else {
      continue;
    }
    return become(graph, id, op, std::move(inputs));
  }
  return false;
}

}  // namespace tenon::passes

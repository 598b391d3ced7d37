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

bool fuses(DType dtype) { return dtype == DType::kFloat32 || dtype == DType::kFloat64 || dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

}  // namespace

/// Add(MatMul(a, b), c) -> MatMul(a, b, c), and MatMul(a, b, c) + r -> MatMul(a, b, c, r), where the product has no other reader and c
/// broadcasts to it (r has its shape).
Result<bool> fuse_matmul_addend(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* add = std::get_if<ops::Binary>(&node.op);
  if (add == nullptr || add->kind != ops::Binary::Kind::kAdd) return false;
  for (size_t side = 0; side < 2; ++side) {
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
    Patch patch(graph, id);
    TENON_TRY(patch.become(op, std::move(inputs)));
    return patch.apply();
  }
  return false;
}

}  // namespace tenon::passes

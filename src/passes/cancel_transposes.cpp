#include <algorithm>

#include "ops/evaluate.h"
#include "passes/passes.h"

namespace tenon::passes {

namespace {

constexpr int kMaxDepth = 16;  // operators between two transposes
constexpr int kMaxValues = 64;

/// A tree of elementwise operators whose leaves are transposed alike or constant, so that the transposition can be done after it.
class Tree {
 public:
  Tree(const Graph& graph, RegionId region) : graph_(graph), region_(region) {}

  /// The perm shared by the leaves; empty when the tree is not of that sort.
  const std::vector<int64_t>& perm() const { return perm_; }

  bool accepts(ValueId value, int depth = 0) {
    if (value == kNone || depth > kMaxDepth || ++values_ > kMaxValues) return false;
    const Type& type = graph_.type(value);
    if (!type.ranked() || !type.layout.plain()) return false;
    if (const auto* transpose = graph_.producer_as<ops::Transpose>(value)) {
      const auto perm = ops::full_perm(*transpose, type.rank());
      if (!perm.ok() || (!perm_.empty() && *perm != perm_)) return false;
      perm_ = *perm;
      return true;
    }
    if (constant(graph_, value)) return true;
    const NodeId id = producer(graph_, value);
    // What others read as well would be computed twice.
    if (id == kNone || graph_.node(id).region != region_ || !graph_.single_use(value)) return false;
    const Node& node = graph_.node(id);
    return std::all_of(node.inputs.begin(), node.inputs.begin() + moved_inputs(node), [&](ValueId v) { return accepts(v, depth + 1); });
  }

  /// Constants are of the rank of the tree at most, and something is transposed.
  bool fits(ValueId value, int rank) const {
    if (perm_.size() != static_cast<size_t>(rank)) return false;
    if (is_leaf(value)) return graph_.type(value).rank() <= rank;
    const Node& node = graph_.node(producer(graph_, value));
    return moved_inputs(node) > 0 && graph_.type(value).rank() == rank &&
           std::all_of(node.inputs.begin(), node.inputs.begin() + moved_inputs(node), [&](ValueId v) { return fits(v, rank); });
  }

  /// The same tree of the untransposed leaves.
  Result<ValueId> rebuild(Patch& patch, ValueId value) const {
    if (graph_.producer_as<ops::Transpose>(value)) return graph_.node(producer(graph_, value)).inputs[0];
    if (constant(graph_, value)) return untransposed(patch, value);
    // Copies: adding nodes moves the graph's.
    Op op = graph_.node(producer(graph_, value)).op;
    std::vector<ValueId> inputs = graph_.node(producer(graph_, value)).inputs;
    const size_t moved = static_cast<size_t>(moved_inputs(graph_.node(producer(graph_, value))));
    if (auto* concat = std::get_if<ops::Concat>(&op)) {
      concat->axis = perm_[static_cast<size_t>(concat->axis < 0 ? concat->axis + static_cast<int64_t>(perm_.size()) : concat->axis)];
    }
    for (size_t i = 0; i < moved; ++i) {
      TENON_ASSIGN(inputs[i], rebuild(patch, inputs[i]));
    }
    return patch.add1(std::move(op), std::move(inputs));
  }

 private:
  bool is_leaf(ValueId value) const { return graph_.producer_as<ops::Transpose>(value) || constant(graph_, value); }

  /// How many leading inputs share the shape of the output; 0 for operators that are not elementwise.
  static int moved_inputs(const Node& node) {
    const Op& op = node.op;
    const int n = static_cast<int>(node.inputs.size());
    if (std::holds_alternative<ops::Unary>(op) || std::holds_alternative<ops::Cast>(op) || std::holds_alternative<ops::Clip>(op)) return 1;
    if (std::holds_alternative<ops::Binary>(op) || std::holds_alternative<ops::Where>(op) || std::holds_alternative<ops::Concat>(op))
      return n;
    return 0;
  }

  /// A constant that gives `value` when transposed by perm().
  Result<ValueId> untransposed(Patch& patch, ValueId value) const {
    const Tensor& tensor = *constant(graph_, value);
    if (tensor.count() == 1) return value;
    Dims dims(perm_.size() - tensor.dims().size(), 1);
    dims.insert(dims.end(), tensor.dims().begin(), tensor.dims().end());
    std::vector<int64_t> inverse(perm_.size());
    for (size_t i = 0; i < perm_.size(); ++i) inverse[static_cast<size_t>(perm_[i])] = static_cast<int64_t>(i);
    const Tensor full = tensor.reshaped(std::move(dims));
    TENON_ASSIGN(auto moved, evaluate(ops::Transpose{inverse}, {&full}));
    return patch.constant(std::move(moved[0]));
  }

  const Graph& graph_;
  RegionId region_;
  std::vector<int64_t> perm_;
  int values_ = 0;
};

}  // namespace

/// Transpose(f(Transpose(x), ...)) -> Transpose(f(x, ...)), or f(x, ...) where the two cancel; f is nothing, or elementwise operators
/// and Concats read by nobody else, all of whose inputs are transposed alike or constant.
Result<bool> cancel_transposes(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* second = std::get_if<ops::Transpose>(&node.op);
  if (second == nullptr || !graph.type(node.outputs[0]).ranked()) return false;
  const ValueId middle = node.inputs[0], result = node.outputs[0];
  const int rank = graph.type(result).rank();
  Tree tree(graph, node.region);
  if (constant(graph, middle) || !tree.accepts(middle) || tree.perm().empty() || !tree.fits(middle, rank)) return false;

  TENON_ASSIGN(const auto perm, ops::full_perm(*second, rank));
  std::vector<int64_t> both;
  for (const int64_t p : perm) both.push_back(tree.perm()[static_cast<size_t>(p)]);
  Patch patch(graph, id);
  TENON_ASSIGN(ValueId out, tree.rebuild(patch, middle));
  if (!std::is_sorted(both.begin(), both.end())) {
    TENON_ASSIGN(out, patch.add1(ops::Transpose{both}, {out}));
  }
  patch.replace(result, out);
  return patch.apply();
}

}  // namespace tenon::passes

#include <algorithm>

#include "passes/passes.h"

namespace tenon::passes {

namespace {

using Labels = std::vector<int>;

bool in(const Labels& labels, int label) { return std::find(labels.begin(), labels.end(), label) != labels.end(); }
Labels joined(Labels a, const Labels& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// An operand, or the result: a value and what its axes are called.
struct Operand {
  ValueId value = kNone;
  Labels labels;
};

/// The labels of a product of two matrices, or stacks of them, in the order of the result.
struct ProductLabels {
  Labels batch, rows, columns, summed;
};

/// nullopt when a label is twice in one operand, or in one alone and not kept.
std::optional<ProductLabels> product_labels(const Labels& a, const Labels& b, const Labels& y) {
  ProductLabels found;
  for (const Labels* own : {&a, &b}) {
    const Labels& other = own == &a ? b : a;
    for (const int label : *own) {
      if (std::count(own->begin(), own->end(), label) != 1 || (!in(other, label) && !in(y, label))) return std::nullopt;
      if (own == &a && in(other, label) && !in(y, label)) found.summed.push_back(label);
    }
  }
  for (const int label : y) (in(a, label) ? in(b, label) ? found.batch : found.rows : found.columns).push_back(label);
  return found;
}

class Lowering {
 public:
  Lowering(Graph& graph, NodeId id, Operand a, Operand b, Labels y)
      : graph_(graph), patch_(graph, id), id_(id), a_(std::move(a)), b_(std::move(b)), y_(std::move(y)) {
    // What is last in the result is a column.
    if (!y_.empty() && in(a_.labels, y_.back()) && !in(b_.labels, y_.back())) std::swap(a_, b_);
  }

  Result<bool> run() {
    const auto labels = product_labels(a_.labels, b_.labels, y_);
    if (!labels || !sizes_agree() || labels->summed.empty() || labels->rows.empty() || labels->columns.empty()) return false;
    return labels->batch.empty() ? matrices(*labels) : stacks(*labels);
  }

 private:
  const Dim& size(const Operand& of, int label) const {
    const auto at = std::find(of.labels.begin(), of.labels.end(), label) - of.labels.begin();
    return graph_.type(of.value).shape[static_cast<size_t>(at)];
  }
  bool sizes_agree() const {
    return std::all_of(a_.labels.begin(), a_.labels.end(),
                       [&](int label) { return !in(b_.labels, label) || size(a_, label) == size(b_, label); });
  }
  /// The number of elements along the labels; nullopt when it is open, or 0.
  std::optional<int64_t> count(const Operand& of, const Labels& labels) const {
    int64_t product = 1;
    for (const int label : labels) {
      const Dim& dim = size(of, label);
      const auto next = dim.is_const() && dim.value() > 0 ? checked_mul(product, dim.value()) : std::nullopt;
      if (!next) return std::nullopt;
      product = *next;
    }
    return product;
  }
  Result<ValueId> reshaped(ValueId value, const Dims& dims) {
    if (const Tensor* t = constant(graph_, value); t != nullptr && std::find(dims.begin(), dims.end(), 0) == dims.end())
      return patch_.constant(t->reshaped(dims));
    return patch_.add1(ops::Reshape{}, {value, patch_.constant(Tensor::of<int64_t>({static_cast<int64_t>(dims.size())}, dims))});
  }

  /// [rows..., summed...] times [summed..., columns...] or [columns..., summed...], with the many run together.
  Result<bool> matrices(const ProductLabels& labels) {
    // The summed ones are in the order of one operand; it must be that of both.
    const auto last = static_cast<std::ptrdiff_t>(labels.rows.size());
    const Labels summed(a_.labels.begin() + std::min(last, static_cast<std::ptrdiff_t>(a_.labels.size())), a_.labels.end());
    const bool trans_b = b_.labels == joined(labels.columns, summed);
    const auto k = count(a_, labels.summed), n = count(b_, labels.columns);
    if (a_.labels != joined(labels.rows, summed) || (!trans_b && b_.labels != joined(summed, labels.columns)) ||
        y_ != joined(labels.rows, labels.columns) || !k || !n)
      return false;
    const Dims rows(labels.rows.size(), 0);
    Dims wide = rows;
    for (const int label : labels.columns) wide.push_back(size(b_, label).value());
    if (summed.size() > 1) {
      Dims dims = rows;
      dims.push_back(*k);
      TENON_ASSIGN(a_.value, reshaped(a_.value, dims));
    }
    if (b_.labels.size() > 2) {
      TENON_ASSIGN(b_.value, reshaped(b_.value, trans_b ? Dims{*n, *k} : Dims{*k, *n}));
    }
    const ops::MatMul product{.trans_b = trans_b};
    if (labels.columns.size() == 1) return patch_.apply(product, {a_.value, b_.value});
    TENON_ASSIGN(const ValueId y, patch_.add1(product, {a_.value, b_.value}));
    return patch_.apply(ops::Reshape{}, {y, patch_.constant(Tensor::of<int64_t>({static_cast<int64_t>(wide.size())}, wide))});
  }

  /// How to get an operand's axes into the order `to`.
  static std::vector<int64_t> perm(const Labels& from, const Labels& to) {
    std::vector<int64_t> out;
    for (const int label : to) out.push_back(std::find(from.begin(), from.end(), label) - from.begin());
    return out;
  }

  /// One label each of rows, columns and what is summed: a product of stacks, which attention is made of.
  Result<bool> stacks(const ProductLabels& labels) {
    if (labels.rows.size() != 1 || labels.columns.size() != 1 || labels.summed.size() != 1) return false;
    const Labels a = joined(joined(labels.batch, labels.rows), labels.summed),
                 y = joined(joined(labels.batch, labels.rows), labels.columns);
    const Labels plain = joined(joined(labels.batch, labels.summed), labels.columns),
                 turned = joined(joined(labels.batch, labels.columns), labels.summed);
    const bool trans_b = b_.labels == turned, moves = a_.labels != a || (!trans_b && b_.labels != plain) || y_ != y;
    if (moves && !in_attention()) return false;
    if (a_.labels != a) {
      TENON_ASSIGN(a_.value, patch_.add1(ops::Transpose{perm(a_.labels, a)}, {a_.value}));
    }
    if (!trans_b && b_.labels != plain) {
      TENON_ASSIGN(b_.value, patch_.add1(ops::Transpose{perm(b_.labels, plain)}, {b_.value}));
    }
    const ops::MatMul product{.trans_b = trans_b};
    if (y_ == y) return patch_.apply(product, {a_.value, b_.value});
    TENON_ASSIGN(const ValueId result, patch_.add1(product, {a_.value, b_.value}));
    return patch_.apply(ops::Transpose{perm(y, y_)}, {result});
  }

  static bool passes_scores(const Op& op) {
    return std::holds_alternative<ops::Binary>(op) || std::holds_alternative<ops::Unary>(op) || std::holds_alternative<ops::Where>(op) ||
           std::holds_alternative<ops::Cast>(op);
  }
  /// Whether a softmax is near: the scores go into it, or probabilities come out of it.
  bool in_attention() const {
    constexpr int kNear = 8;
    ValueId value = graph_.node(id_).outputs[0];
    for (int i = 0; i < kNear && graph_.single_use(value); ++i) {
      const Node& user = graph_.node(graph_.value(value).users[0]);
      if (std::holds_alternative<ops::Softmax>(user.op)) return true;
      if (!passes_scores(user.op) || user.outputs[0] == kNone) break;
      value = user.outputs[0];
    }
    for (ValueId operand : graph_.node(id_).inputs) {
      for (int i = 0; i < 3 && producer(graph_, operand) != kNone; ++i) {
        const Node& source = graph_.node(producer(graph_, operand));
        if (std::holds_alternative<ops::Softmax>(source.op)) return true;
        if (!std::holds_alternative<ops::Cast>(source.op) && !std::holds_alternative<ops::Where>(source.op)) break;
        operand = source.inputs.back();
      }
    }
    return false;
  }

  Graph& graph_;
  Patch patch_;
  NodeId id_;
  Operand a_, b_;
  Labels y_;
};

}  // namespace

/// Einsum of two operands -> MatMul, with views of operands whose rows, columns or summed dims are several; of stacks of matrices whose
/// dims would have to move only around a Softmax, where attention takes the Transposes in.
Result<bool> lower_einsum(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  const auto* einsum = std::get_if<ops::Einsum>(&node.op);
  if (einsum == nullptr || node.inputs.size() != 2 || node.outputs[0] == kNone || !is_float(graph.type(node.inputs[0]).dtype)) return false;
  const Type &a = graph.type(node.inputs[0]), &b = graph.type(node.inputs[1]);
  if (!a.ranked() || !b.ranked() || !a.layout.plain() || !b.layout.plain()) return false;
  const auto terms = ops::parse_equation(einsum->equation);
  if (!terms.ok() || terms->inputs.size() != 2) return false;
  const auto spelled = ops::spell(*terms, {a.rank(), b.rank()});
  if (!spelled.ok()) return false;
  return Lowering(graph, id, {node.inputs[0], spelled->inputs[0]}, {node.inputs[1], spelled->inputs[1]}, spelled->output).run();
}

}  // namespace tenon::passes

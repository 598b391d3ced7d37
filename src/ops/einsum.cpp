#include "ops/einsum.h"

#include <algorithm>
#include <map>

#include "kernels/einsum/einsum.h"
#include "ops/elements.h"
#include "ops/matmul.h"

namespace tenon::ops {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

Result<std::vector<int>> parse_term(const std::string& equation, std::string_view term) {
  std::vector<int> labels;
  bool ellipsis = false;
  for (size_t i = 0; i < term.size(); ++i) {
    if (term[i] == ' ') continue;
    if (term.substr(i, 3) == "...") {
      if (ellipsis) return shape_error("attribute equation '", equation, "' has two ellipses in one term");
      ellipsis = true;
      labels.push_back(EinsumTerms::kEllipsis);
      i += 2;
    } else if (is_letter(term[i])) {
      labels.push_back(term[i]);
    } else {
      return shape_error("attribute equation '", equation, "' has '", std::string(1, term[i]),
                         "', expected letters, ',', '...', and one '->'");
    }
  }
  return labels;
}

}  // namespace

Result<EinsumTerms> parse_equation(const std::string& equation) {
  EinsumTerms terms;
  const size_t arrow = equation.find("->");
  std::string_view left = std::string_view(equation).substr(0, arrow);
  while (true) {
    const size_t comma = left.find(',');
    TENON_ASSIGN(auto term, parse_term(equation, left.substr(0, comma)));
    terms.inputs.push_back(std::move(term));
    if (comma == std::string_view::npos) break;
    left.remove_prefix(comma + 1);
  }
  std::map<int, int> seen;
  for (const auto& term : terms.inputs) {
    for (int label : term) ++seen[label];
  }
  if (arrow == std::string::npos) {  // the ellipsis, then labels that occur once, in order of their letters
    if (seen.count(EinsumTerms::kEllipsis) != 0) terms.output.push_back(EinsumTerms::kEllipsis);
    for (const auto& [label, count] : seen) {
      if (label != EinsumTerms::kEllipsis && count == 1) terms.output.push_back(label);
    }
    return terms;
  }
  TENON_ASSIGN(terms.output, parse_term(equation, std::string_view(equation).substr(arrow + 2)));
  for (size_t i = 0; i < terms.output.size(); ++i) {
    const int label = terms.output[i];
    if (label != EinsumTerms::kEllipsis && seen.count(label) == 0) {
      return shape_error("attribute equation '", equation, "' has '", std::string(1, static_cast<char>(label)),
                         "' in the output but in no input");
    }
    if (std::find(terms.output.begin(), terms.output.begin() + static_cast<std::ptrdiff_t>(i), label) !=
        terms.output.begin() + static_cast<std::ptrdiff_t>(i)) {
      return shape_error("attribute equation '", equation, "' has a label twice in the output");
    }
  }
  return terms;
}

namespace {

/// Labels of ellipsis dims: -2 is the last of them, -3 the one before, and so on.
int ellipsis_label(int from_right) { return -2 - from_right; }

}  // namespace

Result<EinsumTerms> spell(const EinsumTerms& terms, const std::vector<int>& ranks) {
  EinsumTerms s;
  int widest = 0;
  for (size_t i = 0; i < terms.inputs.size(); ++i) {
    const auto& term = terms.inputs[i];
    const bool ellipsis = std::find(term.begin(), term.end(), EinsumTerms::kEllipsis) != term.end();
    const int named = static_cast<int>(term.size()) - (ellipsis ? 1 : 0), dots = ranks[i] - named;
    if (dots < 0 || (dots > 0 && !ellipsis)) {
      return input_error(static_cast<int>(i), "has rank ", ranks[i], ", but the equation gives it ", named, ellipsis ? " or more" : "",
                         " labels");
    }
    widest = std::max(widest, dots);
    std::vector<int>& labels = s.inputs.emplace_back();
    for (int label : term) {
      if (label != EinsumTerms::kEllipsis) {
        labels.push_back(label);
      } else {
        for (int j = dots; j-- > 0;) labels.push_back(ellipsis_label(j));
      }
    }
  }
  for (int label : terms.output) {
    if (label != EinsumTerms::kEllipsis) {
      s.output.push_back(label);
    } else {
      for (int j = widest; j-- > 0;) s.output.push_back(ellipsis_label(j));
    }
  }
  return s;
}

namespace {

/// The size of each label: equal wherever it occurs, or 1 where it is broadcast.
Result<std::map<int, Dim>> sizes_of(const EinsumTerms& s, const std::vector<Shape>& shapes) {
  std::map<int, Dim> sizes;
  for (size_t i = 0; i < s.inputs.size(); ++i) {
    for (size_t j = 0; j < s.inputs[i].size(); ++j) {
      const Dim& dim = shapes[i][j];
      const auto [it, fresh] = sizes.emplace(s.inputs[i][j], dim);
      if (fresh || dim == it->second || dim.is(1)) continue;
      if (it->second.is(1)) {
        it->second = dim;
      } else if (dims_equal(dim, it->second) == false) {
        return input_error(static_cast<int>(i), "has shape ", shapes[i].str(), ": dim ", j, " is ", dim.str(), ", expected ",
                           it->second.str(), " as elsewhere under the same label of the equation");
      } else if (dim.is_const()) {
        it->second = dim;
      }
    }
  }
  return sizes;
}

}  // namespace

Result<Types> infer(const Einsum& op, const Types& in) {
  TENON_ASSIGN(const EinsumTerms terms, parse_equation(op.equation));
  const int operands = static_cast<int>(terms.inputs.size());
  if (static_cast<int>(in.size()) != operands) {
    return shape_error("has ", in.size(), " inputs, but attribute equation '", op.equation, "' has ", operands, " terms");
  }
  TENON_TRY(expect_inputs(in, operands));
  TENON_TRY(expect_plain(in));
  TENON_TRY(expect_numeric(in, 0));
  for (int i = 1; i < operands; ++i) TENON_TRY(expect_same_dtype(in, 0, i));
  std::vector<int> ranks;
  std::vector<Shape> shapes;
  for (size_t i = 0; i < in.size(); ++i) {
    Shape shape = in[i].shape;
    if (!shape.ranked()) {
      const auto& term = terms.inputs[i];
      if (std::find(term.begin(), term.end(), EinsumTerms::kEllipsis) != term.end()) return Types{Type::unranked(in[0].dtype)};
      DimList dims;
      for (size_t j = 0; j < term.size(); ++j) dims.push_back(Dim::unknown());
      shape = Shape(std::move(dims));
    }
    ranks.push_back(shape.rank());
    shapes.push_back(std::move(shape));
  }
  TENON_ASSIGN(const EinsumTerms s, spell(terms, ranks));
  TENON_ASSIGN(const auto sizes, sizes_of(s, shapes));
  DimList out;
  for (int label : s.output) out.push_back(sizes.at(label));
  return Types{Type::of(in[0].dtype, Shape(std::move(out)))};
}

namespace {

struct Label {
  int64_t size = 1, out = 0;  ///< out: stride of the output, 0 when summed
  bool kept = false;
  std::vector<int64_t> strides;  ///< of each operand; 0 where it is absent or broadcast
  bool in(size_t i) const { return strides[i] != 0; }
};

/// The stride of operand `which`, or of the output for kOut.
constexpr int kOut = -1;
int64_t stride(const Label& l, int which) { return which == kOut ? l.out : l.strides[static_cast<size_t>(which)]; }

/// Takes from `group` a run of labels that two tensors walk as one, from the label with the smallest stride in the second of them on;
/// the rest stays.
struct Run {
  int64_t size = 1, first = 0, second = 0;
};
Run take_run(std::vector<const Label*>& group, int first, int second) {
  if (group.empty()) return {};
  const auto smallest =
      std::min_element(group.begin(), group.end(), [&](const Label* a, const Label* b) { return stride(*a, second) < stride(*b, second); });
  Run run{(*smallest)->size, stride(**smallest, first), stride(**smallest, second)};
  group.erase(smallest);
  const auto continues = [&](const Label* l) {
    return stride(*l, first) == run.first * run.size && stride(*l, second) == run.second * run.size;
  };
  for (auto next = std::find_if(group.begin(), group.end(), continues); next != group.end();
       next = std::find_if(group.begin(), group.end(), continues)) {
    run.size *= (*next)->size;
    group.erase(next);
  }
  return run;
}

bool multiplies(DType dtype) {
  static constexpr DType kTypes[] = {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16,
                                     DType::kInt32,   DType::kInt64,   DType::kUint32,  DType::kUint64};
  return std::find(std::begin(kTypes), std::end(kTypes), dtype) != std::end(kTypes);
}

/// The product of two operands as a batched matrix product; nullopt when it is none. Labels of one operand that do not fit into its rows or
/// columns, and labels of both that are kept, become batch dims.
std::optional<Result<Step>> as_product(const std::vector<Label>& labels, DType dtype, const BindContext& ctx) {
  if (!multiplies(dtype)) return {};
  kernels::GemmParams p{.dtype = dtype, .m = 1, .n = 1, .k = 1};
  for (const Label& l : labels) {
    if (l.size == 0) return {};
    if (l.size == 1 || !l.kept || l.out != 1) continue;
    if (l.in(0) && l.in(1)) return {};  // columns of the result must be contiguous, and this is a batch dim
    p.swapped = l.in(0);
  }
  const int a = p.swapped ? 1 : 0, b = 1 - a;
  std::vector<const Label*> rows, columns, summed;
  std::vector<BatchDim> batch;
  for (const Label& l : labels) {
    if (l.size == 1) continue;
    const bool in_a = l.in(static_cast<size_t>(a)), in_b = l.in(static_cast<size_t>(b));
    if (!l.kept && !(in_a && in_b)) return {};  // summed over one operand only
    if (!l.kept) {
      summed.push_back(&l);
    } else if (in_a && in_b) {
      batch.push_back({l.size, stride(l, a), stride(l, b), l.out, 0});
    } else {
      (in_a ? rows : columns).push_back(&l);
    }
  }
  if (summed.empty() && (rows.empty() || columns.empty())) return {};
  const Run k = take_run(summed, b, a), m = take_run(rows, a, kOut), n = take_run(columns, b, kOut);
  if (!summed.empty() || (n.size > 1 && n.second != 1)) return {};
  for (const Label* l : rows) batch.push_back({l->size, stride(*l, a), 0, l->out, 0});
  for (const Label* l : columns) batch.push_back({l->size, 0, stride(*l, b), l->out, 0});
  if (batch.size() > static_cast<size_t>(kernels::kGemmBatchDims)) return {};
  std::sort(batch.begin(), batch.end(), [](const BatchDim& x, const BatchDim& y) { return x.c > y.c; });
  p.m = m.size;
  p.n = n.size;
  p.k = k.size;
  p.a_m = m.first;
  p.a_k = k.second;
  p.b_k = k.first;
  p.b_n = n.size > 1 ? n.first : 1;
  p.c_m = m.second;
  return product_step(p, std::move(batch), ctx);
}

}  // namespace

Result<Step> bind(const Einsum& op, const BindContext& ctx) {
  TENON_ASSIGN(const EinsumTerms terms, parse_equation(op.equation));
  const size_t operands = terms.inputs.size();
  std::vector<int> ranks;
  std::vector<Shape> shapes;
  for (size_t i = 0; i < operands; ++i) {
    shapes.push_back(Shape::of(ctx.dims(static_cast<int>(i))));
    ranks.push_back(shapes.back().rank());
  }
  TENON_ASSIGN(const EinsumTerms s, spell(terms, ranks));
  TENON_ASSIGN(const auto sizes, sizes_of(s, shapes));

  std::vector<int> order = s.output;
  for (const auto& [label, size] : sizes) {
    if (std::find(s.output.begin(), s.output.end(), label) == s.output.end()) order.push_back(label);
  }
  std::map<int, size_t> position;
  std::vector<Label> labels;
  for (int label : order) {
    position[label] = labels.size();
    labels.push_back(
        {.size = sizes.at(label).value(), .kept = labels.size() < s.output.size(), .strides = std::vector<int64_t>(operands, 0)});
  }
  int64_t step = 1;
  for (size_t i = s.output.size(); i-- > 0;) {
    labels[i].out = step;
    step *= labels[i].size;
  }
  for (size_t i = 0; i < operands; ++i) {
    int64_t stride = 1;
    for (size_t j = s.inputs[i].size(); j-- > 0;) {
      const int64_t dim = shapes[i][j].value();
      if (dim != 1) labels[position[s.inputs[i][j]]].strides[i] += stride;
      stride *= dim;
    }
  }
  if (operands == 2) {
    if (auto product = as_product(labels, ctx.dtype(0), ctx)) return *std::move(product);
  }

  if (operands > kernels::kEinsumOperands || labels.size() > kernels::kEinsumLabels) {
    return limit_error("has ", operands, " operands and ", labels.size(), " labels, expected at most ", kernels::kEinsumOperands, " and ",
                       kernels::kEinsumLabels);
  }
  kernels::EinsumParams p;
  p.dtype = ctx.dtype(0);
  p.operands = static_cast<int32_t>(operands);
  p.out_rank = static_cast<int32_t>(s.output.size());
  p.rank = static_cast<int32_t>(labels.size());
  double terms_each = static_cast<double>(operands);
  for (size_t l = 0; l < labels.size(); ++l) {
    p.dims[l] = labels[l].size;
    if (!labels[l].kept) terms_each *= static_cast<double>(std::max<int64_t>(1, labels[l].size));
    for (size_t i = 0; i < operands; ++i) p.strides[i][l] = labels[l].strides[i];
  }
  p.count = count_of(ctx.out_dims(0));
  const Cut c = cut(p.count, 2 + terms_each);
  p.chunk = c.chunk;
  Step result;
  result.kernel = "Einsum";
  if (p.count > 0) result.phases.push_back(Step::phase<kernels::EinsumParams>(kernels::EinsumPointer(), p, c.parts, c.nanoseconds));
  return result;
}

}  // namespace tenon::ops

#include <algorithm>
#include <limits>

#include "ops/elementwise.h"
#include "passes/passes.h"
#include "passes/product.h"

namespace tenon::passes {

namespace {

using P = kernels::ProgramStep;

/// A node as a program over the values it reads.
struct Program {
  std::vector<ValueId> inputs;
  std::vector<P> steps;
};

int operands(const P& step) { return step.kind == P::Kind::kWhere ? 3 : step.kind == P::Kind::kBinary ? 2 : 1; }

bool is_truth(const Graph& graph, ValueId v) { return graph.type(v).dtype == DType::kBool; }
bool is_float32(const Graph& graph, ValueId v) { return graph.type(v).dtype == DType::kFloat32; }

/// The program of one node; no steps when it is none that a program can hold.
Program program_of(const Graph& graph, const Node& node) {
  Program out;
  P step;
  const auto use = [&](ValueId v) {
    const auto at = std::find(out.inputs.begin(), out.inputs.end(), v);
    if (at != out.inputs.end()) return static_cast<int8_t>(at - out.inputs.begin());
    out.inputs.push_back(v);
    return static_cast<int8_t>(out.inputs.size() - 1);
  };
  if (const auto* fused = std::get_if<ops::Elementwise>(&node.op)) return {node.inputs, fused->steps};
  for (const ValueId v : node.inputs)
    if (v != kNone && !is_float32(graph, v) && !is_truth(graph, v)) return {};
  if (const auto* unary = std::get_if<ops::Unary>(&node.op)) {
    const bool truth = unary->kind == ops::Unary::Kind::kNot;
    if (!kernels::program_takes(unary->kind) || is_truth(graph, node.inputs[0]) != truth) return {};
    step = {.kind = P::Kind::kUnary, .unary = unary->kind, .a = use(node.inputs[0]), .alpha = unary->alpha, .beta = unary->beta};
  } else if (const auto* binary = std::get_if<ops::Binary>(&node.op)) {
    using B = ops::Binary::Kind;
    const bool truth = binary->kind == B::kAnd || binary->kind == B::kOr || binary->kind == B::kXor;
    if (!kernels::program_takes(binary->kind) || (is_truth(graph, node.inputs[0]) && !truth && binary->kind != B::kEqual)) return {};
    if (is_truth(graph, node.inputs[0]) != is_truth(graph, node.inputs[1])) return {};
    const int8_t a = use(node.inputs[0]);
    step = {.kind = P::Kind::kBinary, .binary = binary->kind, .a = a, .b = use(node.inputs[1])};
  } else if (std::holds_alternative<ops::Clip>(node.op)) {
    if (!is_float32(graph, node.inputs[0])) return {};
    step = {.kind = P::Kind::kClip,
            .a = use(node.inputs[0]),
            .alpha = -std::numeric_limits<float>::infinity(),
            .beta = std::numeric_limits<float>::infinity()};
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNone) continue;
      const auto bound = scalar_constant(graph, node.inputs[i]);
      if (!bound || *bound != *bound) return {};
      (i == 1 ? step.alpha : step.beta) = static_cast<float>(*bound);
    }
  } else if (std::holds_alternative<ops::Where>(node.op)) {
    if (!is_float32(graph, node.inputs[1])) return {};
    const int8_t a = use(node.inputs[0]), b = use(node.inputs[1]);
    step = {.kind = P::Kind::kWhere, .a = a, .b = b, .c = use(node.inputs[2])};
  } else {
    return {};
  }
  out.steps.push_back(step);
  return out;
}

/// `outer` with its input `at` computed by `inner`; no steps when that is too large.
Program inlined(const Program& outer, size_t at, const Program& inner) {
  Program out;
  out.inputs = inner.inputs;
  std::vector<int8_t> map(outer.inputs.size());
  for (size_t i = 0; i < outer.inputs.size(); ++i) {
    if (i == at) continue;
    const auto found = std::find(out.inputs.begin(), out.inputs.end(), outer.inputs[i]);
    map[i] = static_cast<int8_t>(found - out.inputs.begin());
    if (found == out.inputs.end()) out.inputs.push_back(outer.inputs[i]);
  }
  const size_t n = out.inputs.size();
  if (n > kernels::kMaxProgramInputs || inner.steps.size() + outer.steps.size() > kernels::kMaxProgramSteps) return {};
  const auto append = [&](P step, auto to) {
    int8_t* read[] = {&step.a, &step.b, &step.c};
    for (int k = 0; k < operands(step); ++k) *read[k] = to(*read[k]);
    out.steps.push_back(step);
  };
  for (const P& step : inner.steps) {
    append(step, [&](int8_t r) {
      return static_cast<int8_t>(
          static_cast<size_t>(r) < inner.inputs.size() ? r : r - static_cast<int8_t>(inner.inputs.size()) + static_cast<int8_t>(n));
    });
  }
  map[at] = static_cast<int8_t>(n + inner.steps.size() - 1);
  for (const P& step : outer.steps) {
    append(step, [&](int8_t r) {
      const auto i = static_cast<size_t>(r);
      return i < outer.inputs.size() ? map[i] : static_cast<int8_t>(i - outer.inputs.size() + n + inner.steps.size());
    });
  }
  return out;
}

/// The layouts that one program can walk: all inputs in the output's, or plain with one element.
bool layouts_agree(const Graph& graph, const Program& program, const Type& out) {
  if (out.layout.plain()) {
    return std::all_of(program.inputs.begin(), program.inputs.end(), [&](ValueId v) { return graph.type(v).layout.plain(); });
  }
  for (const ValueId v : program.inputs) {
    const Type& t = graph.type(v);
    const bool blocked = t.layout == out.layout && t.ranked() && t.rank() == out.rank() && t.shape[1] == out.shape[1];
    const bool scalar =
        t.layout.plain() && t.is_static() && std::all_of(t.shape.begin(), t.shape.end(), [](const Dim& d) { return d.is(1); });
    if (!blocked && !scalar) return false;
  }
  return true;
}

}  // namespace

/// f(g(x, ...), ...) -> Elementwise(x, ...) for float32 unary, binary, clip and where operators (and truth values between them), where
/// the value in between has the shape of the result and no other reader.
Result<bool> fuse_elementwise(Graph& graph, NodeId id) {
  const Node& node = graph.node(id);
  if (node.outputs.empty() || node.outputs[0] == kNone || !is_float32(graph, node.outputs[0])) return false;
  const Type& out = graph.type(node.outputs[0]);
  if (!out.ranked()) return false;
  const Program outer = program_of(graph, node);
  for (size_t i = 0; i < outer.inputs.size() && !outer.steps.empty(); ++i) {
    const ValueId v = outer.inputs[i];
    const NodeId from = producer(graph, v);
    if (from == kNone || graph.node(from).region != node.region || graph.value(v).output_uses != 0) continue;
    // All its readings are by this node.
    if (!std::all_of(graph.value(v).users.begin(), graph.value(v).users.end(), [&](NodeId user) { return user == id; })) continue;
    const Type& type = graph.type(v);
    if (!type.ranked() || !(type.shape == out.shape) || !(type.layout == out.layout)) continue;
    const Program inner = program_of(graph, graph.node(from));
    if (inner.steps.empty()) continue;
    Program both = inlined(outer, i, inner);
    if (both.steps.empty() || !layouts_agree(graph, both, out)) continue;
    return become(graph, id, ops::Elementwise{std::move(both.steps)}, both.inputs);
  }
  return false;
}

}  // namespace tenon::passes

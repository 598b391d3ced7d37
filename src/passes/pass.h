// Passes: each is one rewrite rule with a name, tried at every node until nothing changes.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "graph/patch.h"

namespace tenon {

/// A rule tried at node `id`. True when it changed the graph (through a Patch); false when it does not match here. An error stops the
/// load and is a defect of the rule.
using NodeRule = Result<bool> (*)(Graph& graph, NodeId id);
/// A rewrite of the whole graph.
using GraphRule = Result<bool> (*)(Graph& graph);

struct Pass {
  const char* name;
  NodeRule rule = nullptr;  ///< one of the two
  GraphRule whole = nullptr;
  bool repeat = true;  ///< node rules: go over the graph again until nothing matches
};

/// The order in which passes run: first those that do not know the CPU, then those that specialise.
std::span<const Pass> all_passes();

/// Sanitizer and debug builds infer the whole graph again after every pass.
#if defined(TENON_VALIDATE)
inline constexpr bool kValidatePasses = true;
#else
inline constexpr bool kValidatePasses = false;
#endif

struct PassOptions {
  bool enabled = true;                          ///< false: only what running needs
  std::set<std::string, std::less<>> disabled;  ///< names of passes to leave out
  std::set<std::string, std::less<>> only;      ///< when not empty: nothing but these
  int64_t step_limit = -1;                      ///< stop after so many rewrites in all: bisects a bad one
  bool validate = kValidatePasses;              ///< run the validator after every pass
  std::function<Status()> check;                ///< asked between passes: cancel and deadline
};

struct PassReport {
  struct Row {
    std::string name;
    int64_t rewrites = 0;
    double milliseconds = 0;
  };
  std::vector<Row> rows;
  int64_t steps = 0;
};

Result<PassReport> run_passes(Graph& graph, const PassOptions& options);
/// One pass over the whole graph; for tests.
Result<int64_t> run_pass(Graph& graph, const Pass& pass, int64_t step_limit = -1);

// Helpers for matchers.

/// The node that computes `value`, kNone for inputs and constants.
inline NodeId producer(const Graph& g, ValueId value) { return value == kNone ? kNone : g.value(value).producer; }
/// Whether the node has its optional input `i`.
inline bool given(const Node& node, size_t i) { return node.inputs.size() > i && node.inputs[i] != kNone; }
/// Whether anything reads output `i` of the node, which it may not have.
inline bool is_read(const Graph& g, const Node& node, size_t i) {
  if (node.outputs.size() <= i || node.outputs[i] == kNone) return false;
  return !g.value(node.outputs[i]).users.empty() || g.value(node.outputs[i]).output_uses > 0;
}
/// The constant tensor behind `value`, null when it is not one (or is packed).
inline const Tensor* constant(const Graph& g, ValueId value) {
  return value == kNone || !g.type(value).layout.plain() ? nullptr : g.value(value).constant.get();
}
/// The one element of a constant scalar (or one-element) float tensor.
std::optional<double> scalar_constant(const Graph& g, ValueId value);

}  // namespace tenon

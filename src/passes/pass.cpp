#include "passes/pass.h"

#include <chrono>

#include "passes/passes.h"

namespace tenon {

std::optional<double> scalar_constant(const Graph& g, ValueId value) {
  const Tensor* t = constant(g, value);
  if (!t || t->count() != 1 || !is_numeric(t->dtype())) return std::nullopt;
  return t->to_doubles()[0];
}

std::span<const Pass> all_passes() {
  static constexpr Pass passes[] = {
#define PASS(name) {#name, passes::name, nullptr, true},
#define GRAPH_PASS(name) {#name, nullptr, passes::name, false},
#include "passes/passes.inc"
#undef PASS
#undef GRAPH_PASS
  };
  return passes;
}

Result<int64_t> run_pass(Graph& graph, const Pass& pass, int64_t step_limit) {
  int64_t steps = 0;
  if (pass.whole) {
    if (step_limit == 0) return steps;
    TENON_ASSIGN(const bool changed, pass.whole(graph));
    return int64_t{changed};
  }
  // A rule that undid itself would go on for ever: far more sweeps than any chain of rewrites needs.
  constexpr int kMaxSweeps = 64;
  for (int sweep = 0; sweep < kMaxSweeps; ++sweep) {
    bool changed = false;
    for (RegionId r = 0; r < graph.regions(); ++r) {
      const std::vector<NodeId> list = graph.region(r).nodes;
      for (const NodeId id : list) {
        if (step_limit >= 0 && steps >= step_limit) return steps;
        if (graph.node(id).dead) continue;
        TENON_ASSIGN(const bool hit, pass.rule(graph, id));
        if (hit) {
          changed = true;
          ++steps;
        }
      }
    }
    if (!changed || !pass.repeat) break;
  }
  return steps;
}

Result<PassReport> run_passes(Graph& graph, const PassOptions& options) {
  PassReport report;
  for (const Pass& pass : all_passes()) {
    if (!options.enabled || options.disabled.count(pass.name)) continue;
    if (!options.only.empty() && !options.only.count(pass.name)) continue;
    if (options.check) TENON_TRY(options.check());
    const int64_t left = options.step_limit < 0 ? -1 : options.step_limit - report.steps;
    if (left == 0) break;
    const auto start = std::chrono::steady_clock::now();
    auto steps = run_pass(graph, pass, left);
    if (!steps.ok()) {
      Status s = std::move(steps).status();
      if (ErrorInfo* info = s.mutable_info()) info->text = "pass " + std::string(pass.name) + ": " + info->text;
      return s;
    }
    graph.remove_dead();
    if (graph.faults) TENON_TRY(graph.faults->first());
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    report.rows.push_back({pass.name, *steps, took.count()});
    report.steps += *steps;
    if (options.validate) {
      Status s = validate(graph);
      if (ErrorInfo* info = s.mutable_info()) {
        info->text = "after pass " + std::string(pass.name) + ": " + info->text;
        return s;
      }
    }
  }
  return report;
}

}  // namespace tenon

#include "importers/onnx/functions.h"

#include <algorithm>

#include "base/dim.h"
#include "importers/onnx/utf8.h"

namespace tenon::onnx {

namespace {

std::string key(std::string_view domain, std::string_view name, std::string_view overload) {
  std::string k(normal_domain(domain));
  k += '\0';
  k += name;
  k += '\0';
  k += overload;
  return k;
}

/// Calls visit on every node, those of subgraphs included. The depth of subgraphs was limited when the file was scanned.
template <class Nodes, class F>
void for_each_node(const Nodes& nodes, const F& visit) {
  for (const onnxpb::NodeProto& node : nodes) {
    visit(node);
    for (const onnxpb::AttributeProto& a : node.attribute()) {
      if (a.has_g()) for_each_node(a.g().node(), visit);
      for (const onnxpb::GraphProto& g : a.graphs()) for_each_node(g.node(), visit);
    }
  }
}

struct Calls {
  int64_t own_nodes = 0;     // that are not calls
  std::vector<int> callees;  // one entry a call
};

int64_t saturating_add(int64_t a, int64_t b) { return checked_add(a, b).value_or(INT64_MAX); }

}  // namespace

std::string_view normal_domain(std::string_view domain) { return domain == "ai.onnx" ? std::string_view{} : domain; }

int Functions::index(const onnxpb::NodeProto& node) const {
  if (by_name_.empty()) return -1;
  const auto found = by_name_.find(key(node.domain(), node.op_type(), node.overload()));
  return found == by_name_.end() ? -1 : found->second;
}

const onnxpb::FunctionProto* Functions::find(const onnxpb::NodeProto& node) const {
  const int i = index(node);
  return i < 0 ? nullptr : functions_[static_cast<size_t>(i)];
}

Result<Functions> Functions::of(const onnxpb::ModelProto& model, const Limits& limits) {
  Functions out;
  for (const onnxpb::FunctionProto& f : model.functions()) {
    if (f.name().empty()) return load_error("a function has no name");
    if (!out.by_name_.emplace(key(f.domain(), f.name(), f.overload()), static_cast<int>(out.functions_.size())).second) {
      return load_error("function '", printable(f.name()), "' is defined twice");
    }
    out.functions_.push_back(&f);
  }
  const auto calls_of = [&](const auto& nodes) {
    Calls calls;
    for_each_node(nodes, [&](const onnxpb::NodeProto& node) {
      const int callee = out.index(node);
      if (callee < 0) {
        ++calls.own_nodes;
      } else {
        calls.callees.push_back(callee);
      }
    });
    return calls;
  };
  const size_t n = out.functions_.size();
  std::vector<Calls> calls(n);
  for (size_t i = 0; i < n; ++i) calls[i] = calls_of(out.functions_[i]->node());

  // Depth-first over the calls with an explicit stack; a function met again while it is open calls itself.
  enum : uint8_t { kNew, kOpen, kDone };
  std::vector<uint8_t> state(n, kNew);
  std::vector<int64_t> expanded(n, 0);
  std::vector<int> depth(n, 1);
  struct Frame {
    size_t function;
    size_t next;
  };
  std::vector<Frame> stack;
  for (size_t root = 0; root < n; ++root) {
    if (state[root] != kNew) continue;
    stack.push_back({root, 0});
    state[root] = kOpen;
    while (!stack.empty()) {
      Frame& top = stack.back();
      const Calls& c = calls[top.function];
      if (top.next < c.callees.size()) {
        const auto callee = static_cast<size_t>(c.callees[top.next++]);
        if (state[callee] == kOpen) {
          return load_error("function '", printable(out.functions_[callee]->name()), "' is recursive: it is called again by '",
                            printable(out.functions_[top.function]->name()), "'");
        }
        if (state[callee] == kNew) {
          state[callee] = kOpen;
          stack.push_back({callee, 0});
        }
        continue;
      }
      int64_t nodes = c.own_nodes;
      for (const int callee : c.callees) {
        nodes = saturating_add(nodes, expanded[static_cast<size_t>(callee)]);
        depth[top.function] = std::max(depth[top.function], depth[static_cast<size_t>(callee)] + 1);
      }
      expanded[top.function] = nodes;
      state[top.function] = kDone;
      stack.pop_back();
    }
  }
  for (size_t i = 0; i < n; ++i) {
    if (depth[i] > limits.function_depth) {
      return limit_error("calls from function '", printable(out.functions_[i]->name()), "' nest ", depth[i],
                         " deep, the function depth limit is ", limits.function_depth);
    }
  }
  const Calls main = calls_of(model.graph().node());
  int64_t total = main.own_nodes;
  for (const int callee : main.callees) total = saturating_add(total, expanded[static_cast<size_t>(callee)]);
  if (total > limits.nodes) {
    return limit_error("the model has ", total == INT64_MAX ? "more than 2^63" : std::to_string(total),
                       " nodes after its functions are expanded, the limit is ", limits.nodes, " nodes");
  }
  return out;
}

}  // namespace tenon::onnx

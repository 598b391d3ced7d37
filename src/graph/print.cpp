#include <map>
#include <sstream>

#include "graph/graph.h"
#include "ops/regions.h"

namespace tenon {

namespace {

std::string name_of_value(const Graph& g, ValueId v) { return v == kNone ? "none" : "%" + g.value(v).name; }

void dump_region(const Graph& g, RegionId id, const std::string& indent, std::ostringstream& out) {
  const Region& r = g.region(id);
  out << indent << "(";
  for (size_t i = 0; i < r.inputs.size(); ++i) {
    out << (i ? ", " : "") << name_of_value(g, r.inputs[i]) << ": " << g.type(r.inputs[i]).str();
  }
  out << ") {\n";
  for (const NodeId nid : r.nodes) {
    const Node& n = g.node(nid);
    out << indent << "  ";
    for (size_t i = 0; i < n.outputs.size(); ++i) {
      out << (i ? ", " : "") << name_of_value(g, n.outputs[i]);
      if (n.outputs[i] != kNone) out << ": " << g.type(n.outputs[i]).str();
    }
    out << " = " << op_name(n.op) << "(";
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      out << (i ? ", " : "") << name_of_value(g, n.inputs[i]);
      if (n.inputs[i] != kNone && g.value(n.inputs[i]).constant) out << ": const " << g.type(n.inputs[i]).str();
    }
    out << ")";
    if (!n.name.empty()) out << "  // '" << n.name << "'";
    out << "\n";
    for (const RegionId inner : ops::regions_of(n.op)) dump_region(g, inner, indent + "    ", out);
  }
  out << indent << "} -> (";
  for (size_t i = 0; i < r.outputs.size(); ++i) out << (i ? ", " : "") << name_of_value(g, r.outputs[i]);
  out << ")\n";
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string dump(const Graph& graph) {
  std::ostringstream out;
  out << "graph '" << graph.name << "' ";
  dump_region(graph, 0, "", out);
  return out.str();
}

std::string to_dot(const Graph& graph) {
  std::ostringstream out;
  out << "digraph tenon {\n  node [shape=box, style=\"rounded,filled\", fillcolor=\"#eef3fa\", fontname=\"Helvetica\"];\n"
         "  edge [fontname=\"Helvetica\", fontsize=10];\n";
  const auto source = [&](ValueId v) {
    return graph.value(v).producer == kNone ? "i" + std::to_string(v) : "n" + std::to_string(graph.value(v).producer);
  };
  const auto label = [&](ValueId v) { return escaped(graph.type(v).str()); };
  for (RegionId r = 0; r < graph.regions(); ++r) {
    const Region& region = graph.region(r);
    if (r > 0 && region.nodes.empty() && region.outputs.empty()) continue;
    if (r > 0) out << "  subgraph cluster_" << r << " {\n  label=\"" << escaped(region.name) << "\";\n";
    for (const ValueId v : region.inputs) {
      out << "  i" << v << " [label=\"" << escaped(graph.value(v).name) << "\", shape=ellipse, fillcolor=\"#e4f4e4\"];\n";
    }
    for (const NodeId id : region.nodes) {
      const Node& n = graph.node(id);
      out << "  n" << id << " [label=\"" << op_name(n.op) << (n.name.empty() ? "" : "\\n" + escaped(n.name)) << "\"];\n";
    }
    if (r > 0) out << "  }\n";
    for (const NodeId id : region.nodes) {
      for (const ValueId v : graph.node(id).inputs) {
        if (v == kNone || graph.value(v).constant) continue;
        out << "  " << source(v) << " -> n" << id << " [label=\"" << label(v) << "\"];\n";
      }
    }
  }
  for (size_t i = 0; i < graph.region(0).outputs.size(); ++i) {
    const ValueId v = graph.region(0).outputs[i];
    out << "  o" << i << " [label=\"" << escaped(graph.output_names[i]) << "\", shape=ellipse, fillcolor=\"#faeede\"];\n";
    if (!graph.value(v).constant) out << "  " << source(v) << " -> o" << i << " [label=\"" << label(v) << "\"];\n";
  }
  out << "}\n";
  return out.str();
}

}  // namespace tenon

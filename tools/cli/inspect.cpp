// tenon inspect: what a model takes, gives, holds and is made of, and which kernel does each node.
#include <algorithm>
#include <iostream>
#include <map>

#include "app.h"
#include "graphviz.h"

namespace tenon::cli {
namespace {

struct Inspect {
  ModelOptions model;
  std::string dot, svg;
  bool kernels = false, nodes = false, text = false;

  void add_to(CLI::App& app);
  int operator()();

 private:
  void print(const Model& m, const std::vector<NodeInfo>& nodes) const;
  Json describe(const Model& m, const std::vector<NodeInfo>& nodes) const;
};

void Inspect::add_to(CLI::App& app) {
  model.add_to(app);
  app.add_flag("--nodes", nodes, "List the nodes of the optimised graph");
  app.add_flag("--kernels", kernels, "The kernel of every node and why better ones were refused (sizes of symbols: --dim)");
  app.add_flag("--text", text, "Print the optimised graph as text");
  app.add_option("--dot", dot, "Write the graph for Graphviz")->type_name("FILE");
  app.add_option("--svg", svg, "Draw the graph (needs Graphviz's dot)")->type_name("FILE");
}

std::string operator_name(const NodeInfo& n) {
  return n.domain.empty() ? std::string(n.op) : std::string(n.domain) + "." + std::string(n.op);
}

std::vector<std::pair<std::string, size_t>> operator_counts(const std::vector<NodeInfo>& nodes) {
  std::map<std::string, size_t> counts;
  for (const NodeInfo& n : nodes) ++counts[operator_name(n)];
  std::vector<std::pair<std::string, size_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return sorted;
}

std::string joined(const std::vector<std::string_view>& names) {
  std::string line;
  for (const auto& name : names) line += (line.empty() ? "" : ", ") + (name.empty() ? std::string("-") : std::string(name));
  return line;
}

/// "batch = seq = 1": the named dims of inputs that --dim has not fixed, which explain takes as 1.
std::string open_dims(const Model& m) {
  std::vector<std::string> names;
  for (const ValueInfo& v : m.inputs()) {
    for (size_t i = 0; i < v.dims.size(); ++i) {
      const std::string name(v.symbols[i]);
      if (v.dims[i] < 0 && name != "?" && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  std::string text;
  for (const auto& name : names) text += name + " = ";
  return text.empty() ? text : text + "1";
}

Json Inspect::describe(const Model& m, const std::vector<NodeInfo>& all) const {
  const tenon_model_info info = m.info();
  const tenon_stats stats = m.stats();
  Json j = {{"model", model.path},
            {"name", std::string(view(info.name))},
            {"producer", std::string(view(info.producer))},
            {"load_seconds", static_cast<double>(info.load_nanoseconds) * 1e-9},
            {"cache_file", std::string(view(info.cache_file))},
            {"cache_bytes", info.cache_bytes},
            {"cache_note", std::string(view(info.cache_note))},
            {"parameters", info.parameter_count},
            {"parameter_bytes", info.parameter_bytes},
            {"weight_bytes", stats.weight_bytes},
            {"resident_bytes", process_memory("VmRSS")},
            {"node_count", info.node_count}};
  j["inputs"] = Json::array(), j["outputs"] = Json::array(), j["metadata"] = Json::object(), j["operators"] = Json::object();
  for (const auto& v : m.inputs()) j["inputs"].push_back(type_json(v));
  for (const auto& v : m.outputs()) j["outputs"].push_back(type_json(v));
  for (const auto& [key, value] : m.metadata()) j["metadata"][key] = value;
  for (const auto& [name, count] : operator_counts(all)) j["operators"][name] = count;
  for (const tenon_pass_info& p : m.passes()) {
    j["passes"].push_back(
        {{"name", std::string(view(p.name))}, {"seconds", static_cast<double>(p.nanoseconds) * 1e-9}, {"rewrites", p.rewrites}});
  }
  if (nodes || kernels) {
    j["nodes"] = Json::array();
    for (const NodeInfo& n : all) {
      Json node = {{"name", std::string(n.name)}, {"op", operator_name(n)}, {"opset", n.opset}, {"types", std::string(n.shape)}};
      node["inputs"] = Json::array(), node["outputs"] = Json::array();
      for (const auto& name : n.inputs) node["inputs"].push_back(std::string(name));
      for (const auto& name : n.outputs) node["outputs"].push_back(std::string(name));
      node["depth"] = n.depth;
      if (kernels) node["kernel"] = std::string(n.kernel), node["refusals"] = std::string(n.refusals), node["note"] = std::string(n.note);
      j["nodes"].push_back(std::move(node));
    }
  }
  return j;
}

void Inspect::print(const Model& m, const std::vector<NodeInfo>& all) const {
  const tenon_model_info info = m.info();
  const tenon_stats stats = m.stats();
  std::cout << bold(model.path);
  if (info.name.size) std::cout << "  '" << view(info.name) << "'";
  if (info.producer.size) std::cout << " by " << view(info.producer);
  std::cout << "\nloaded in " << time_text(static_cast<double>(info.load_nanoseconds) * 1e-9) << "\n";
  if (info.cache_file.size) {
    std::cout << bytes_text(info.cache_bytes) << " of weights mapped from " << view(info.cache_file) << "\n";
    if (info.cache_note.size) std::cout << "not kept for the next load: " << view(info.cache_note) << "\n";
  }
  const auto list = [](const char* title, const std::vector<ValueInfo>& values) {
    std::cout << "\n" << bold(title) << "\n";
    for (const ValueInfo& v : values)
      std::cout << "  " << v.name << ": " << type_text(v) << (v.optional && !v.nullable ? " (has a default)" : "") << "\n";
  };
  list("Inputs", m.inputs());
  list("Outputs", m.outputs());
  if (const auto metadata = m.metadata(); !metadata.empty()) {
    std::cout << "\n" << bold("Metadata") << "\n";
    for (const auto& [key, value] : metadata) std::cout << "  " << key << ": " << value << "\n";
  }
  std::cout << "\n" << bold("Operators") << " (" << all.size() << " nodes after optimisation)\n";
  for (const auto& [name, count] : operator_counts(all)) std::cout << "  " << count << " x " << name << "\n";
  std::cout << "\n"
            << bold("Memory") << "\n  " << count_text(info.parameter_count) << " parameters, "
            << bytes_text(static_cast<double>(info.parameter_bytes)) << "\n  " << bytes_text(static_cast<double>(stats.weight_bytes))
            << " of weights in the form the kernels read; the process holds " << bytes_text(static_cast<double>(process_memory("VmRSS")))
            << "\n";
  if (!nodes && !kernels) return;
  std::cout << "\n" << bold("Nodes");
  if (const std::string ones = kernels ? open_dims(m) : ""; !ones.empty()) std::cout << " (planned with " << ones << "; --dim sets them)";
  std::cout << "\n";
  std::vector<std::vector<std::string>> rows;
  for (const NodeInfo& n : all) {
    std::vector<std::string> row = {std::string(2 * static_cast<size_t>(n.depth), ' ') + std::string(n.name), operator_name(n)};
    const size_t colon = n.kernel.empty() ? n.note.find(": ") : std::string_view::npos;  // "chosen while running: why"
    if (kernels) row.push_back(std::string(n.kernel.empty() ? n.note.empty() ? "-" : n.note.substr(0, colon) : n.kernel));
    row.push_back(std::string(n.shape));
    if (!kernels) row.push_back(joined(n.inputs)), row.push_back(joined(n.outputs));
    rows.push_back(std::move(row));
    if (kernels && colon != std::string_view::npos) rows.push_back({"", "", "  " + std::string(n.note.substr(colon + 2))});
    if (kernels && !n.kernel.empty() && !n.note.empty()) rows.push_back({"", "", "  " + std::string(n.note)});
    std::string_view rest = kernels ? n.refusals : std::string_view();
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size());
      if (end) rows.push_back({"", "", "  not " + std::string(rest.substr(0, end))});
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  if (kernels) print_table({"node", "operator", "kernel", "outputs"}, rows);
  else print_table({"node", "operator", "types", "inputs", "outputs"}, rows);
}

int Inspect::operator()() {
  const Model m = model.load();
  if (kernels) {
    const auto dims = model.dim_values();
    m.explain({dims.begin(), dims.end()});
  }
  const auto all = m.nodes();
  if (model.json) print_json(describe(m, all));
  else if (text) std::cout << m.graph();
  else print(m, all);
  if (!dot.empty()) write_file(dot, m.graph(TENON_GRAPH_DOT));
  if (!svg.empty()) write_svg(svg, m.graph(TENON_GRAPH_DOT));
  return kOk;
}

}  // namespace

Action add_inspect(CLI::App& app) {
  auto command = std::make_shared<Inspect>();
  command->add_to(*app.add_subcommand("inspect", "Print what a model takes, gives, holds and is made of"));
  return [command] { return (*command)(); };
}

}  // namespace tenon::cli

#include "importers/onnx/order.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "importers/onnx/utf8.h"

namespace tenon::onnx {

namespace {

using Names = std::unordered_set<std::string_view>;

/// Adds the names that `graph` reads from outside itself. Depth was limited when the file was scanned.
void outer_names(const onnxpb::GraphProto& graph, std::vector<std::string_view>& out) {
  Names own;
  for (const auto& v : graph.input()) own.insert(v.name());
  for (const auto& t : graph.initializer()) own.insert(t.name());
  for (const auto& t : graph.sparse_initializer()) own.insert(t.values().name());
  for (const auto& node : graph.node()) own.insert(node.output().begin(), node.output().end());
  std::vector<std::string_view> read;
  for (const auto& node : graph.node()) {
    read.insert(read.end(), node.input().begin(), node.input().end());
    for (const auto& a : node.attribute()) {
      if (a.has_g()) outer_names(a.g(), read);
      for (const auto& g : a.graphs()) outer_names(g, read);
    }
  }
  for (const auto& v : graph.output()) read.push_back(v.name());
  for (const std::string_view name : read) {
    if (!own.contains(name)) out.push_back(name);
  }
}

}  // namespace

std::string node_name(const onnxpb::NodeProto& node, int index) {
  return node.name().empty() ? node.op_type() + "_" + std::to_string(index) : node.name();
}

Result<std::vector<int>> computing_order(const google::protobuf::RepeatedPtrField<onnxpb::NodeProto>& nodes) {
  const int n = nodes.size();
  std::unordered_map<std::string_view, int> producer;
  for (int i = 0; i < n; ++i) {
    for (const std::string& name : nodes[i].output()) {
      if (!name.empty()) producer.emplace(name, i);
    }
  }
  std::vector<std::vector<int>> readers(static_cast<size_t>(n));
  std::vector<std::vector<int>> sources(static_cast<size_t>(n));
  std::vector<int> waiting(static_cast<size_t>(n), 0);
  bool sorted = true;
  std::vector<std::string_view> read;
  for (int i = 0; i < n; ++i) {
    read.assign(nodes[i].input().begin(), nodes[i].input().end());
    for (const auto& a : nodes[i].attribute()) {
      if (a.has_g()) outer_names(a.g(), read);
      for (const auto& g : a.graphs()) outer_names(g, read);
    }
    for (const std::string_view name : read) {
      const auto found = name.empty() ? producer.end() : producer.find(name);
      if (found == producer.end()) continue;
      readers[static_cast<size_t>(found->second)].push_back(i);
      sources[static_cast<size_t>(i)].push_back(found->second);
      ++waiting[static_cast<size_t>(i)];
      sorted = sorted && found->second < i;
    }
  }
  std::vector<int> order;
  order.reserve(static_cast<size_t>(n));
  if (sorted) {
    for (int i = 0; i < n; ++i) order.push_back(i);
    return order;
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < n; ++i) {
    if (waiting[static_cast<size_t>(i)] == 0) ready.push(i);
  }
  while (!ready.empty()) {
    const int i = ready.top();
    ready.pop();
    order.push_back(i);
    for (const int r : readers[static_cast<size_t>(i)]) {
      if (--waiting[static_cast<size_t>(r)] == 0) ready.push(r);
    }
  }
  if (static_cast<int>(order.size()) == n) return order;
  // Every node left waits for another one left: walking from source to source must come back somewhere.
  int at = static_cast<int>(std::find_if(waiting.begin(), waiting.end(), [](int w) { return w > 0; }) - waiting.begin());
  std::vector<int> seen(static_cast<size_t>(n), -1);
  std::vector<int> path;
  while (seen[static_cast<size_t>(at)] < 0) {
    seen[static_cast<size_t>(at)] = static_cast<int>(path.size());
    path.push_back(at);
    const auto& s = sources[static_cast<size_t>(at)];
    at = *std::find_if(s.begin(), s.end(), [&](int i) { return waiting[static_cast<size_t>(i)] > 0; });
  }
  std::string text;
  for (auto i = static_cast<size_t>(seen[static_cast<size_t>(at)]); i < path.size() && text.size() < 400; ++i) {
    text += "'" + printable(node_name(nodes[path[i]], path[i])) + "' reads ";
  }
  const onnxpb::NodeProto& node = nodes[at];
  return load_error("the graph has a cycle: ", text, "'", printable(node_name(node, at)), "'")
      .at_node(printable(node_name(node, at)), printable(node.op_type()), printable(node.domain()));
}

}  // namespace tenon::onnx

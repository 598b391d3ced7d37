// The typed graph. A value is typed when it is created, so no untyped graph exists. Ids are indices into arrays the graph owns; they
// stay valid while the graph lives (a removed node stays as a dead entry).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "base/tensor.h"
#include "ops/op.h"
#include "ops/type.h"

namespace tenon {

using ValueId = int32_t;
using NodeId = int32_t;
using RegionId = int32_t;
inline constexpr int32_t kNone = -1;  ///< an input left out, a value without producer

struct Value {
  std::string name;  ///< of the file, or made up; unique among named values
  Type type;         ///< type.constant points into `constant` below. Constants are tensors
  NodeId producer = kNone;
  int output = 0;  ///< which output of the producer
  RegionId region = 0;
  std::shared_ptr<const Tensor> constant;  ///< set for constants
  std::vector<NodeId> users;               ///< nodes that read it, once per reading input, in any region
  int output_uses = 0;                     ///< how often it is an output of a region
};

struct Node {
  std::string name;
  Op op;
  std::vector<ValueId> inputs;   ///< kNone where left out
  std::vector<ValueId> outputs;  ///< kNone where not wanted
  RegionId region = 0;
  bool dead = false;
  /// What the node came from, for error messages: the operator as the model file names it.
  std::string source_op;
  std::string source_domain;
  int64_t source_opset = 0;
};

/// A list of nodes with inputs and outputs: the whole model (region 0) or a body of a control-flow operator. Nodes may read values of
/// enclosing regions.
struct Region {
  std::string name;
  RegionId parent = kNone;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::vector<NodeId> nodes;  ///< in topological order
};

/// Name and origin of a new node.
struct NodeSpec {
  std::string name = {};
  std::string source_op = {}, source_domain = {};
  int64_t source_opset = 0;
  std::vector<std::string> output_names = {};
};

class Graph {
 public:
  using NodeSpec = tenon::NodeSpec;

  Graph();  ///< with the empty region 0

  // Building. Errors name the node, its operator and its inputs.
  Result<ValueId> add_input(RegionId region, std::string name, Type type);
  ValueId add_constant(RegionId region, std::string name, Tensor tensor);
  /// A constant in a layout of its own (packed weights): `type` says what it stands for, `tensor` holds the bytes.
  ValueId add_constant(RegionId region, std::string name, Tensor tensor, Type type);
  RegionId add_region(RegionId parent, std::string name);
  /// Infers the outputs and appends the node to `region`. `output_names` may be shorter than the outputs (names are made up) and
  /// hold "" for unwanted ones.
  Result<std::vector<ValueId>> add_node(RegionId region, Op op, std::vector<ValueId> inputs, NodeSpec spec = {});
  /// Names a value anew (made unique when the name is taken).
  void rename(ValueId value, std::string name) { values_[value].name = unique_name(std::move(name)); }
  /// Marks `value` as the next output of the region under `name`.
  Status add_output(RegionId region, ValueId value, std::string name = {});

  const Value& value(ValueId id) const { return values_[id]; }
  Value& value(ValueId id) { return values_[id]; }
  const Node& node(NodeId id) const { return nodes_[id]; }
  const Region& region(RegionId id) const { return regions_[id]; }
  int values() const { return static_cast<int>(values_.size()); }
  int nodes() const { return static_cast<int>(nodes_.size()); }
  int regions() const { return static_cast<int>(regions_.size()); }
  int live_nodes() const;

  const Type& type(ValueId id) const { return values_[id].type; }
  Types types_of(const std::vector<ValueId>& ids) const;
  /// The op of the node that produces `value` when it is an X, else null.
  template <class X>
  const X* producer_as(ValueId value) const {
    if (value == kNone || values_[value].producer == kNone) return nullptr;
    return std::get_if<X>(&nodes_[values_[value].producer].op);
  }
  /// The value has exactly one reader and is no output.
  bool single_use(ValueId value) const { return values_[value].users.size() == 1 && values_[value].output_uses == 0; }

  // Editing. Passes do not call these: they edit through Patch.
  void set_inputs(NodeId id, std::vector<ValueId> inputs);
  void set_constant(ValueId id, std::shared_ptr<const Tensor> tensor);  ///< turns a computed value into a constant
  void replace_uses(ValueId from, ValueId to);
  void insert(NodeId id, NodeId before);  ///< brings a detached node into the region of `before`, ahead of it
  void remove(NodeId id);                 ///< requires that no output is used
  /// Frees the tensor of a constant that nobody reads any more.
  void release_if_unread(ValueId id);
  /// Creates a node that is in no region yet (see Patch).
  Result<NodeId> make_detached(RegionId region, Op op, std::vector<ValueId> inputs, NodeSpec spec, int outputs);
  /// Removes nodes without effect, in every region; returns how many. Also drops the tensors of constants nobody reads, and marks outputs
  /// of live nodes that nobody reads as not wanted.
  int remove_dead();
  void set_type(ValueId id, Type type);
  /// Infers node `id` again from its inputs and updates its outputs' types.
  Status reinfer(NodeId id);
  /// Infers everything again in order, bodies before the nodes that run them.
  Status reinfer_all();

  /// Reads the constants that are still late, or maps them where a cache of the load has them, and lets go of the files they come from.
  /// Also returns the first read that failed before.
  Status settle();

  /// Names of region 0's outputs in order (a value may be an output twice, or be an input).
  std::vector<std::string> output_names;
  std::unordered_map<std::string, std::string> metadata;
  std::string name, producer, domain, doc, source;  ///< model name, producer, ..., file name
  int64_t ir_version = 0;
  bool onednn = true;   ///< whether passes may choose kernels of oneDNN
  bool strict = false;  ///< whether convolutions keep to methods whose rounding error is that of the direct sum
  std::vector<std::pair<std::string, int64_t>> opsets;
  std::shared_ptr<ReadFaults> faults;  ///< of late constants; null when there are none

 private:
  struct Unkept {
    std::shared_ptr<WeightCache> cache;
    std::string key;
    std::shared_ptr<Buffer> buffer;
  };
  /// Takes late constants from their cache, and names those that it does not have.
  void find_kept(std::vector<Unkept>& unkept);
  Status node_error(const Status& status, std::string_view name, std::string_view op, std::string_view domain, int64_t opset,
                    const std::vector<ValueId>& inputs) const;
  Status reinfer_region(RegionId region);
  std::string unique_name(std::string wanted);
  void use(NodeId node, ValueId value);
  void unuse(NodeId node, ValueId value);

  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<Region> regions_;
  std::unordered_map<std::string, int> names_;
};

/// Checks every invariant: topological order, ids in range, users and producers agree, and types by inferring all again. kInternal
/// when one is broken. Runs after every pass in tests and debug builds.
Status validate(const Graph& graph);

/// One line a node: `%y: float32[1, 10] = MatMul(%x, %w)  // 'fc'`.
std::string dump(const Graph& graph);
/// Graphviz: a box a node, constants left out, dims on the edges.
std::string to_dot(const Graph& graph);

}  // namespace tenon

// The tree ensembles of ai.onnx.ml: nodes found by their ids, and what is wrong with them said in the terms of the file.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "importers/onnx/convert.h"
#include "ops/cast.h"
#include "ops/forest.h"
#include "ops/gather.h"
#include "ops/tree_ensemble.h"

namespace tenon::onnx {

namespace {

using kernels::TreeAggregate;
using kernels::TreeClass;
using kernels::TreeTransform;
using ops::TreeMode;
using ops::TreeNodes;
using Ints = std::vector<int64_t>;
using Doubles = std::vector<double>;

constexpr int64_t kMostTargets = int64_t{1} << 24;

Status expect_length(std::string_view name, size_t length, std::string_view as, size_t want) {
  if (length == want) return {};
  return load_error("attribute '", name, "' has ", length, " elements, expected ", want, ", as many as '", as, "'");
}

Status expect_position(std::string_view name, size_t i, int64_t value, int64_t limit) {
  if (value >= 0 && value < limit) return {};
  return load_error("attribute '", name, "' has ", value, " at ", i, ", expected 0 to ", limit - 1);
}

Result<Doubles> float_tensor(NodeContext& ctx, const std::string& name) {
  TENON_ASSIGN(const Tensor t, ctx.tensor_attribute(name));
  if (!is_float(t.dtype())) return load_error("attribute '", name, "' is ", t.str(), ", expected a tensor of floats");
  return t.to_doubles();
}

/// The attribute `name`, floats, or a tensor with the suffix "_as_tensor".
Result<Doubles> floats(NodeContext& ctx, const std::string& name, bool required = true) {
  const std::string tensor = name + "_as_tensor";
  if (ctx.opset() >= 3 && ctx.has_attribute(tensor)) {
    if (ctx.has_attribute(name)) return load_error("attributes '", name, "' and '", tensor, "' are both given, expected one of them");
    return float_tensor(ctx, tensor);
  }
  TENON_ASSIGN(const auto values, ctx.floats_attribute(name, required ? std::nullopt : std::optional(std::vector<float>{})));
  return Doubles(values.begin(), values.end());
}

/// The place of attribute `name` among `names`.
Result<size_t> choice(NodeContext& ctx, std::string_view name, std::string_view otherwise, std::initializer_list<std::string_view> names) {
  TENON_ASSIGN(const std::string value, ctx.string_attribute(name, std::string(otherwise)));
  const auto found = std::find(names.begin(), names.end(), value);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  std::string all;
  for (const std::string_view n : names) all += (all.empty() ? "" : ", ") + std::string(n);
  return load_error("attribute '", name, "' is '", value, "', expected one of ", all);
}

/// Positions of nodes by tree and node id.
class NodeIds {
 public:
  struct Group {
    int64_t tree;
    uint32_t begin, end;  ///< of the order
    uint32_t first;       ///< position of the first of the tree in the file
  };

  static Result<NodeIds> of(const Ints& trees, const Ints& nodes) {
    NodeIds ids(nodes);
    ids.order_.resize(nodes.size());
    std::iota(ids.order_.begin(), ids.order_.end(), 0);
    const auto before = [&](uint32_t a, uint32_t b) { return trees[a] != trees[b] ? trees[a] < trees[b] : nodes[a] < nodes[b]; };
    if (!std::is_sorted(ids.order_.begin(), ids.order_.end(), before)) std::sort(ids.order_.begin(), ids.order_.end(), before);
    for (uint32_t i = 0; i < ids.order_.size(); ++i) {
      const uint32_t at = ids.order_[i];
      if (i == 0 || trees[at] != ids.groups_.back().tree) ids.groups_.push_back({trees[at], i, i, at});
      Group& group = ids.groups_.back();
      if (i > group.begin && nodes[ids.order_[i - 1]] == nodes[at]) {
        return load_error("attribute 'nodes_nodeids' has ", nodes[at], " twice in tree ", trees[at], ", expected ids that differ");
      }
      group.end = i + 1;
      group.first = std::min(group.first, at);
    }
    return ids;
  }

  const std::vector<Group>& groups() const { return groups_; }
  uint32_t position(uint32_t i) const { return order_[i]; }

  const Group* group(int64_t tree) const {
    const auto found = std::lower_bound(groups_.begin(), groups_.end(), tree, [](const Group& g, int64_t t) { return g.tree < t; });
    return found != groups_.end() && found->tree == tree ? &*found : nullptr;
  }
  std::optional<uint32_t> find(const Group& group, int64_t node) const {
    const auto id = [&](uint32_t i) { return nodes_[order_[i]]; };
    // Most often ids are counted from the first on.
    const uint64_t offset = static_cast<uint64_t>(node) - static_cast<uint64_t>(id(group.begin));
    if (offset < group.end - group.begin && id(group.begin + static_cast<uint32_t>(offset)) == node)
      return order_[group.begin + static_cast<uint32_t>(offset)];
    const auto begin = order_.begin() + group.begin, end = order_.begin() + group.end;
    const auto found = std::lower_bound(begin, end, node, [&](uint32_t at, int64_t n) { return nodes_[at] < n; });
    return found != end && nodes_[*found] == node ? std::optional(*found) : std::nullopt;
  }

 private:
  explicit NodeIds(const Ints& nodes) : nodes_(nodes) {}
  const Ints& nodes_;
  std::vector<uint32_t> order_;
  std::vector<Group> groups_;
};

Result<TreeMode> mode_of(std::string_view name, size_t i) {
  constexpr std::string_view kModes[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "LEAF"};
  const auto found = std::find(std::begin(kModes), std::end(kModes), name);
  if (found != std::end(kModes)) return static_cast<TreeMode>(found - std::begin(kModes));
  return load_error("attribute 'nodes_modes' has '", name.substr(0, 80), "' at ", i,
                    ", expected BRANCH_LEQ, BRANCH_LT, BRANCH_GTE, BRANCH_GT, BRANCH_EQ, BRANCH_NEQ or LEAF");
}

Status read_features(NodeContext& ctx, TreeNodes& trees, std::string_view as) {
  TENON_ASSIGN(const Ints features, ctx.ints_attribute("nodes_featureids"));
  TENON_ASSIGN(const Ints missing, ctx.ints_attribute("nodes_missing_value_tracks_true", Ints{}));
  const size_t n = trees.nodes.size();
  TENON_TRY(expect_length("nodes_featureids", features.size(), as, n));
  if (!missing.empty()) TENON_TRY(expect_length("nodes_missing_value_tracks_true", missing.size(), as, n));
  for (size_t i = 0; i < n; ++i) {
    if (trees.nodes[i].mode == TreeMode::kLeaf) continue;
    TENON_TRY(expect_position("nodes_featureids", i, features[i], kernels::kTreeFeature));
    trees.nodes[i].feature = static_cast<uint32_t>(features[i]);
    trees.nodes[i].missing = !missing.empty() && missing[i] != 0;
  }
  return {};
}

Status expect_nodes(size_t n) {
  if (n >= 1 && n <= ops::kMostTreeNodes) return {};
  return load_error("the trees have ", n, " nodes, expected 1 to ", ops::kMostTreeNodes);
}

/// Nodes and votes of versions 1 and 3; votes are in the attributes `prefix`treeids and so on.
Result<TreeNodes> read_trees(NodeContext& ctx, const std::string& prefix, int64_t targets) {
  TENON_ASSIGN(const Ints nodes, ctx.ints_attribute("nodes_nodeids"));
  TENON_ASSIGN(const Ints of_tree, ctx.ints_attribute("nodes_treeids"));
  const size_t n = nodes.size();
  TENON_TRY(expect_nodes(n));
  TENON_TRY(expect_length("nodes_treeids", of_tree.size(), "nodes_nodeids", n));
  TENON_ASSIGN(const NodeIds ids, NodeIds::of(of_tree, nodes));
  TreeNodes trees;
  trees.nodes.resize(n);
  {
    TENON_ASSIGN(const auto modes, ctx.strings_attribute("nodes_modes"));
    TENON_TRY(expect_length("nodes_modes", modes.size(), "nodes_nodeids", n));
    for (size_t i = 0; i < n; ++i) {
      TENON_ASSIGN(trees.nodes[i].mode, mode_of(modes[i], i));
    }
  }
  TENON_TRY(read_features(ctx, trees, "nodes_nodeids"));
  {
    TENON_ASSIGN(const Doubles values, floats(ctx, "nodes_values"));
    TENON_TRY(expect_length("nodes_values", values.size(), "nodes_nodeids", n));
    for (size_t i = 0; i < n; ++i) trees.nodes[i].threshold = values[i];
  }
  TENON_TRY(floats(ctx, "nodes_hitrates", false));
  for (const bool branch : {true, false}) {
    const char* const name = branch ? "nodes_truenodeids" : "nodes_falsenodeids";
    TENON_ASSIGN(const Ints children, ctx.ints_attribute(name));
    TENON_TRY(expect_length(name, children.size(), "nodes_nodeids", n));
    for (const NodeIds::Group& group : ids.groups()) {
      for (uint32_t i = group.begin; i < group.end; ++i) {
        const uint32_t at = ids.position(i);
        if (trees.nodes[at].mode == TreeMode::kLeaf) continue;
        const auto child = ids.find(group, children[at]);
        if (!child) {
          return load_error("attribute '", name, "' has ", children[at], " for node ", nodes[at], " of tree ", group.tree,
                            ", expected a node of that tree");
        }
        (branch ? trees.nodes[at].yes : trees.nodes[at].no) = *child;
      }
    }
  }
  for (const NodeIds::Group& group : ids.groups()) trees.roots.push_back(group.first);
  std::sort(trees.roots.begin(), trees.roots.end());

  const std::string tree_ids = prefix + "treeids", node_ids = prefix + "nodeids", target_ids = prefix + "ids", weight = prefix + "weights";
  TENON_ASSIGN(const Ints vote_trees, ctx.ints_attribute(tree_ids));
  TENON_ASSIGN(const Ints vote_nodes, ctx.ints_attribute(node_ids));
  TENON_ASSIGN(const Ints vote_targets, ctx.ints_attribute(target_ids));
  TENON_ASSIGN(const Doubles weights, floats(ctx, weight));
  const size_t votes = vote_trees.size();
  TENON_TRY(expect_length(node_ids, vote_nodes.size(), tree_ids, votes));
  TENON_TRY(expect_length(target_ids, vote_targets.size(), tree_ids, votes));
  TENON_TRY(expect_length(weight, weights.size(), tree_ids, votes));
  if (votes > ops::kMostTreeNodes) return load_error("the trees have ", votes, " votes, expected at most ", ops::kMostTreeNodes);
  std::vector<uint32_t> at(votes);
  trees.first_vote.assign(n + 1, 0);
  const NodeIds::Group* group = nullptr;
  for (size_t i = 0; i < votes; ++i) {
    TENON_TRY(expect_position(target_ids, i, vote_targets[i], targets));
    if (!group || group->tree != vote_trees[i]) group = ids.group(vote_trees[i]);
    if (!group) return load_error("attribute '", tree_ids, "' has ", vote_trees[i], " at ", i, ", expected a tree of 'nodes_treeids'");
    const auto node = ids.find(*group, vote_nodes[i]);
    if (!node) {
      return load_error("attribute '", node_ids, "' has ", vote_nodes[i], " at ", i, ", expected a node of tree ", vote_trees[i]);
    }
    at[i] = *node;
    ++trees.first_vote[*node + 1];
  }
  std::partial_sum(trees.first_vote.begin(), trees.first_vote.end(), trees.first_vote.begin());
  trees.votes.resize(votes);
  std::vector<uint32_t> to(trees.first_vote.begin(), trees.first_vote.end() - 1);
  for (size_t i = 0; i < votes; ++i) trees.votes[to[at[i]]++] = {weights[i], static_cast<uint32_t>(vote_targets[i])};
  return trees;
}

Result<TreeTransform> transform(NodeContext& ctx) {
  TENON_ASSIGN(const size_t i, choice(ctx, "post_transform", "NONE", {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"}));
  return static_cast<TreeTransform>(i);
}

Result<int64_t> target_count(NodeContext& ctx) {
  TENON_ASSIGN(const int64_t n, ctx.int_attribute("n_targets"));
  if (n < 1 || n > kMostTargets) return load_error("attribute 'n_targets' is ", n, ", expected 1 to ", kMostTargets);
  return n;
}

/// The outputs of the operator, computed in float32 or float64: what input 0 is, float32 where it is another type that `others` has.
Result<std::vector<ValueId>> add_trees(NodeContext& ctx, TreeNodes trees, ops::TreeScores scores, std::initializer_list<DType> others) {
  const DType given = ctx.type(0).dtype;
  ValueId x = ctx.input(0);
  DType dtype = given;
  if (given != DType::kFloat32 && given != DType::kFloat64) {
    if (std::find(others.begin(), others.end(), given) == others.end()) {
      return shape_error("input 0 is ", name_of(given), ", expected float32, float64 or ", name_of(*others.begin()));
    }
    dtype = DType::kFloat32;
    TENON_ASSIGN(x, ctx.add1(ops::Cast{.to = dtype}, {x}));
  }
  if (scores.out == DType::kUndefined) scores.out = dtype;
  const int outputs = scores.classes == TreeClass::kNone ? 1 : 2;
  ops::TreeEnsemble op;
  TENON_ASSIGN(op.forest, ops::Forest::of(std::move(trees), std::move(scores), dtype));
  return ctx.add(std::move(op), {x}, outputs);
}

Status tree_ensemble_regressor(NodeContext& ctx) {
  ops::TreeScores scores;
  TENON_ASSIGN(scores.targets, target_count(ctx));
  TENON_ASSIGN(const size_t aggregate, choice(ctx, "aggregate_function", "SUM", {"AVERAGE", "SUM", "MIN", "MAX"}));
  scores.aggregate = static_cast<TreeAggregate>(aggregate);
  TENON_ASSIGN(scores.transform, transform(ctx));
  TENON_ASSIGN(scores.base, floats(ctx, "base_values", false));
  if (!scores.base.empty()) TENON_TRY(expect_length("base_values", scores.base.size(), "n_targets", static_cast<size_t>(scores.targets)));
  TENON_ASSIGN(TreeNodes trees, read_trees(ctx, "target_", scores.targets));
  TENON_ASSIGN(const auto y, add_trees(ctx, std::move(trees), std::move(scores), {DType::kInt64, DType::kInt32}));
  return ctx.set_outputs(y);
}

/// The labels of classes 0, 1...
Result<Tensor> labels_of(NodeContext& ctx) {
  const bool strings = ctx.has_attribute("classlabels_strings"), ints = ctx.has_attribute("classlabels_int64s");
  if (strings == ints) {
    return load_error("attributes 'classlabels_strings' and 'classlabels_int64s' are ", strings ? "both" : "not",
                      " given, expected one of them");
  }
  if (strings) {
    TENON_ASSIGN(const auto labels, ctx.strings_attribute("classlabels_strings"));
    return Tensor::strings({static_cast<int64_t>(labels.size())}, labels);
  }
  TENON_ASSIGN(const auto labels, ctx.ints_attribute("classlabels_int64s"));
  return Tensor::of<int64_t>({static_cast<int64_t>(labels.size())}, labels);
}

/// Two classes of which one is voted for have one score, s, and by onnxruntime's rules 1 - s is the other's, or where weights are negative
/// -s. A single class is told from 0.
Status tree_ensemble_classifier(NodeContext& ctx) {
  ops::TreeScores scores;
  TENON_ASSIGN(Tensor labels, labels_of(ctx));
  const int64_t classes = labels.count();
  const bool strings = labels.dtype() == DType::kString;
  if (classes < (strings ? 2 : 1) || classes > kMostTargets) {
    return load_error("attribute 'classlabels_", strings ? "strings" : "int64s", "' has ", classes, " elements, expected ", strings ? 2 : 1,
                      " to ", kMostTargets);
  }
  TENON_ASSIGN(scores.transform, transform(ctx));
  TENON_ASSIGN(scores.base, floats(ctx, "base_values", false));
  TENON_ASSIGN(TreeNodes trees, read_trees(ctx, "class_", classes));
  const size_t bases = scores.base.size();
  const auto first_class = [&](const auto& vote) { return vote.target == trees.votes[0].target; };
  const bool one_voted = !trees.votes.empty() && std::all_of(trees.votes.begin(), trees.votes.end(), first_class);
  scores.classes = TreeClass::kTop;
  scores.targets = classes;
  if (classes == 1) {
    scores.classes = TreeClass::kOne;
    labels = Tensor::of<int64_t>({2}, {0, labels.as<int64_t>()[0]});
  } else if (classes == 2 && one_voted && bases <= 1) {
    const bool negative = std::any_of(trees.votes.begin(), trees.votes.end(), [](const auto& vote) { return vote.weight < 0; });
    scores.classes = negative ? TreeClass::kSign : TreeClass::kHalf;
    scores.targets = 1;
    for (auto& vote : trees.votes) vote.target = 0;
  }
  if (bases != 0 && bases != static_cast<size_t>(scores.targets)) {
    return load_error("attribute 'base_values' has ", bases, " elements, expected none or ", scores.targets);
  }
  TENON_ASSIGN(const auto out, add_trees(ctx, std::move(trees), std::move(scores), {DType::kInt64, DType::kInt32}));
  ValueId label = out[1];
  bool counted = !strings;
  for (int64_t i = 0; counted && i < labels.count(); ++i) counted = labels.as<int64_t>()[i] == i;
  if (!counted && ctx.has_output(0)) {
    TENON_ASSIGN(label, ctx.add1(ops::Gather{}, {ctx.constant(std::move(labels)), label}));
  }
  return ctx.set_outputs({label, out[0]});
}

/// Whether the node at `at` finds its feature among the sorted `values`: a search, so that it takes few steps where they are many.
void place_search(TreeNodes& trees, uint32_t at, std::span<const double> values) {
  TreeNodes::Node node = trees.nodes[at];
  if (values.size() <= 1) {
    node.mode = TreeMode::kEq;
    node.threshold = values.empty() ? std::numeric_limits<double>::quiet_NaN() : values[0];
    trees.nodes[at] = node;
    return;
  }
  const size_t half = values.size() / 2;
  const auto low = static_cast<uint32_t>(trees.nodes.size());
  trees.nodes.push_back(node);
  trees.nodes.push_back(node);
  node.mode = TreeMode::kLeq;
  node.threshold = values[half - 1];
  node.missing = false;  // decided where the search ends
  node.yes = low, node.no = low + 1;
  trees.nodes[at] = node;
  place_search(trees, low, values.first(half));
  place_search(trees, low + 1, values.subspan(half));
}

Status read_members(NodeContext& ctx, TreeNodes& trees, const std::vector<uint32_t>& searches) {
  Doubles values;
  if (ctx.has_attribute("membership_values")) {
    TENON_ASSIGN(values, float_tensor(ctx, "membership_values"));
  }
  const auto sets = static_cast<size_t>(std::count_if(values.begin(), values.end(), [](double v) { return std::isnan(v); }));
  const bool open = !values.empty() && !std::isnan(values.back());
  if (sets + (open ? 1 : 0) != searches.size()) {
    return load_error("attribute 'membership_values' has ", sets + (open ? 1 : 0), " sets that end with NaN, expected ", searches.size(),
                      ", one for each BRANCH_MEMBER of 'nodes_modes'");
  }
  TENON_TRY(expect_nodes(trees.nodes.size() + 2 * values.size()));
  auto begin = values.begin();
  for (const uint32_t at : searches) {
    const auto end = std::find_if(begin, values.end(), [](double v) { return std::isnan(v); });
    std::sort(begin, end);
    const auto last = std::unique(begin, end);
    place_search(trees, at,
                 std::span<const double>(values).subspan(static_cast<size_t>(begin - values.begin()), static_cast<size_t>(last - begin)));
    begin = end == values.end() ? end : end + 1;
  }
  trees.first_vote.resize(trees.nodes.size() + 1, trees.first_vote.back());
  return {};
}

Status tree_ensemble(NodeContext& ctx) {
  ops::TreeScores scores;
  scores.out = DType::kUndefined;
  TENON_ASSIGN(scores.targets, target_count(ctx));
  TENON_ASSIGN(const int64_t aggregate, ctx.int_attribute("aggregate_function", 1));
  if (aggregate < 0 || aggregate > 3) return load_error("attribute 'aggregate_function' is ", aggregate, ", expected 0 to 3");
  scores.aggregate = static_cast<TreeAggregate>(aggregate);
  TENON_ASSIGN(const int64_t post, ctx.int_attribute("post_transform", 0));
  if (post < 0 || post > 4) return load_error("attribute 'post_transform' is ", post, ", expected 0 to 4");
  scores.transform = static_cast<TreeTransform>(post);

  TENON_ASSIGN(const Tensor modes, ctx.tensor_attribute("nodes_modes"));
  if (modes.dtype() != DType::kUint8) return load_error("attribute 'nodes_modes' is ", modes.str(), ", expected a tensor of uint8");
  const auto n = static_cast<size_t>(modes.count());
  TENON_ASSIGN(const Doubles splits, float_tensor(ctx, "nodes_splits"));
  TENON_TRY(expect_length("nodes_splits", splits.size(), "nodes_modes", n));
  if (ctx.has_attribute("nodes_hitrates")) TENON_TRY(ctx.tensor_attribute("nodes_hitrates"));
  TENON_ASSIGN(const Doubles weights, float_tensor(ctx, "leaf_weights"));
  TENON_ASSIGN(const Ints targets, ctx.ints_attribute("leaf_targetids"));
  const size_t leaves = weights.size();
  TENON_TRY(expect_length("leaf_targetids", targets.size(), "leaf_weights", leaves));
  TENON_TRY(expect_nodes(n));
  TENON_TRY(expect_nodes(n + leaves));

  // The nodes, then the leaves.
  constexpr uint8_t kMember = 6;
  TreeNodes trees;
  trees.nodes.resize(n);
  std::vector<uint32_t> searches;
  for (size_t i = 0; i < n; ++i) {
    const uint8_t mode = modes.as<uint8_t>()[i];
    TENON_TRY(expect_position("nodes_modes", i, mode, kMember + 1));
    if (mode == kMember) searches.push_back(static_cast<uint32_t>(i));
    trees.nodes[i].mode = mode == kMember ? TreeMode::kEq : static_cast<TreeMode>(mode);
    trees.nodes[i].threshold = splits[i];
  }
  TENON_TRY(read_features(ctx, trees, "nodes_modes"));
  for (const bool branch : {true, false}) {
    const char *const name = branch ? "nodes_truenodeids" : "nodes_falsenodeids", *const kind =
                                                                                      branch ? "nodes_trueleafs" : "nodes_falseleafs";
    TENON_ASSIGN(const Ints ids, ctx.ints_attribute(name));
    TENON_ASSIGN(const Ints leaf, ctx.ints_attribute(kind));
    TENON_TRY(expect_length(name, ids.size(), "nodes_modes", n));
    TENON_TRY(expect_length(kind, leaf.size(), "nodes_modes", n));
    for (size_t i = 0; i < n; ++i) {
      TENON_TRY(expect_position(name, i, ids[i], static_cast<int64_t>(leaf[i] != 0 ? leaves : n)));
      (branch ? trees.nodes[i].yes : trees.nodes[i].no) = static_cast<uint32_t>(static_cast<size_t>(ids[i]) + (leaf[i] != 0 ? n : 0));
    }
  }
  trees.nodes.resize(n + leaves);
  trees.first_vote.assign(n + leaves + 1, 0);
  for (size_t i = 0; i < leaves; ++i) {
    TENON_TRY(expect_position("leaf_targetids", i, targets[i], scores.targets));
    trees.votes.push_back({weights[i], static_cast<uint32_t>(targets[i])});
    trees.first_vote[n + i + 1] = static_cast<uint32_t>(i + 1);
  }
  TENON_ASSIGN(const Ints roots, ctx.ints_attribute("tree_roots"));
  if (roots.empty() || roots.size() > ops::kMostTreeNodes) {
    return load_error("attribute 'tree_roots' has ", roots.size(), " elements, expected 1 to ", ops::kMostTreeNodes);
  }
  for (size_t i = 0; i < roots.size(); ++i) {
    TENON_TRY(expect_position("tree_roots", i, roots[i], static_cast<int64_t>(n)));
    trees.roots.push_back(static_cast<uint32_t>(roots[i]));
  }
  TENON_TRY(read_members(ctx, trees, searches));
  TENON_ASSIGN(auto y, add_trees(ctx, std::move(trees), std::move(scores), {DType::kFloat16}));
  if (ctx.type(0).dtype == DType::kFloat16) {
    TENON_ASSIGN(y[0], ctx.add1(ops::Cast{.to = DType::kFloat16}, {y[0]}));
  }
  return ctx.set_outputs(y);
}

constexpr Operator kOperators[] = {
    {"ai.onnx.ml", "TreeEnsemble", 5, 1, 1, 1, tree_ensemble},
    {"ai.onnx.ml", "TreeEnsembleClassifier", 1, 1, 1, 2, tree_ensemble_classifier},
    {"ai.onnx.ml", "TreeEnsembleRegressor", 1, 1, 1, 1, tree_ensemble_regressor},
};

}  // namespace

std::span<const Operator> tree_operators() { return kOperators; }

}  // namespace tenon::onnx

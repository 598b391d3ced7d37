#include "ops/forest.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tenon::ops {

namespace {

using kernels::TreeNode;
using kernels::TreeVote;

/// The largest number of type T that is at most t; below t where strict. NaN where there is none.
template <class T>
double at_most(double t, bool strict) {
  constexpr T kLowest = -std::numeric_limits<T>::infinity();
  T r = static_cast<T>(t);
  if (static_cast<double>(r) <= t && !(strict && static_cast<double>(r) == t)) return static_cast<double>(r);
  return r == kLowest ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(std::nextafter(r, kLowest));
}

/// The threshold t' of rows of a type for which x <= t' (of kEq: x == t') says of every x what the comparison with t says.
double rounded(double t, TreeMode mode, bool wide) {
  if (mode == TreeMode::kEq) return wide || static_cast<double>(static_cast<float>(t)) == t ? t : std::numeric_limits<double>::quiet_NaN();
  return wide ? at_most<double>(t, mode == TreeMode::kLt) : at_most<float>(t, mode == TreeMode::kLt);
}

/// A node as one of the two comparisons that kernels know. The modes without one of their own are their opposites' with children exchanged.
struct Comparison {
  explicit Comparison(const TreeNodes::Node& n) : mode(n.mode), yes(n.yes), no(n.no), missing(n.missing) {
    const bool opposite = mode == TreeMode::kGte || mode == TreeMode::kGt || mode == TreeMode::kNeq;
    // Nothing is above NaN, and nothing below it.
    if (!opposite || (std::isnan(n.threshold) && mode != TreeMode::kNeq)) return;
    missing = mode != TreeMode::kNeq && !missing;
    mode = mode == TreeMode::kNeq ? TreeMode::kEq : mode == TreeMode::kGte ? TreeMode::kLt : TreeMode::kLeq;
    std::swap(yes, no);
  }
  TreeMode mode;
  uint32_t yes, no;
  bool missing;
};

/// Puts nodes depth first, the children of one beside each other. A node with several parents is copied beside each, its children are not.
class Layout {
 public:
  /// `to`: room for TreeNodes, of double where wide: the children of all nodes that are no leaves, behind `next`.
  Layout(const TreeNodes& trees, bool single, bool wide, void* to, uint32_t next)
      : trees_(trees), single_(single), wide_(wide), to_(to), next_(next), children_(trees.nodes.size()), heights_(trees.nodes.size()) {}

  Status place_tree(uint32_t root, uint32_t at, kernels::Tree& tree) {
    TENON_TRY(place(root, at));
    while (!open_.empty()) {
      Open& top = open_.back();
      const uint32_t node = top.node;
      const Comparison c(trees_.nodes[node]);
      if (top.placed < 2) {
        const uint32_t i = top.placed++;  // `top` does not outlive place()
        TENON_TRY(place(i == 0 ? c.yes : c.no, children_[node] + i));
        continue;
      }
      heights_[node] = 1 + std::max(heights_[c.yes], heights_[c.no]);
      open_.pop_back();
    }
    tree = {at, heights_[root]};
    return {};
  }
  int64_t features() const { return int64_t{feature_} + 1; }
  bool plain() const { return plain_; }

 private:
  struct Open {
    uint32_t node;
    uint32_t placed;  ///< children
  };

  template <class T>
  void put(uint32_t at, double threshold, uint32_t feature, uint32_t child, uint32_t leaf) {
    TreeNode<T>& to = static_cast<TreeNode<T>*>(to_)[at];
    to.threshold = static_cast<T>(threshold);
    to.feature = feature;
    to.child = child;
    if (single_ && trees_.nodes[leaf].mode == TreeMode::kLeaf) {
      to.value = static_cast<T>(trees_.votes[trees_.first_vote[leaf]].weight);
    } else {
      to.votes = leaf;
    }
  }
  void put(uint32_t at, double threshold, uint32_t feature, uint32_t child, uint32_t leaf) {
    wide_ ? put<double>(at, threshold, feature, child, leaf) : put<float>(at, threshold, feature, child, leaf);
  }

  Status place(uint32_t node, uint32_t at) {
    const TreeNodes::Node& n = trees_.nodes[node];
    if (n.mode == TreeMode::kLeaf) {
      put(at, std::numeric_limits<double>::quiet_NaN(), 0, at - 1, node);
      return {};
    }
    if (children_[node] == 0) {
      children_[node] = next_;
      next_ += 2;
      open_.push_back({node, 0});
    } else if (heights_[node] == 0) {
      return load_error("the children of the node at ", node, " lead back to it, expected a tree");
    }
    const Comparison c(n);
    const uint32_t flags = (c.mode == TreeMode::kEq ? kernels::kTreeEqual : 0) | (c.missing ? kernels::kTreeMissing : 0);
    put(at, rounded(n.threshold, c.mode, wide_), n.feature | flags, children_[node], node);
    feature_ = std::max(feature_, n.feature);
    plain_ &= flags == 0;
    return {};
  }

  const TreeNodes& trees_;
  const bool single_, wide_;
  void* const to_;
  uint32_t next_;
  std::vector<uint32_t> children_;  ///< 0: not yet placed
  std::vector<uint32_t> heights_;   ///< 0: not yet known, or a leaf
  std::vector<Open> open_;
  uint32_t feature_ = 0;
  bool plain_ = true;
};

/// x < t as x == t ? no : x <= t where the number before t is so small that it may count as zero.
void split_comparisons_near_zero(TreeNodes& trees) {
  const size_t n = trees.nodes.size();
  for (size_t i = 0; i < n; ++i) {
    const TreeNodes::Node node = trees.nodes[i];
    if ((node.mode != TreeMode::kLt && node.mode != TreeMode::kGte) || !(std::abs(node.threshold) <= std::numeric_limits<float>::min()))
      continue;
    const bool less = node.mode == TreeMode::kLt;
    TreeNodes::Node rest = node, equal = node;
    rest.mode = less ? TreeMode::kLeq : TreeMode::kGt;
    equal.mode = TreeMode::kEq;
    equal.yes = less ? node.no : node.yes;
    equal.no = static_cast<uint32_t>(trees.nodes.size());
    equal.missing = false;
    trees.nodes[i] = equal;
    trees.nodes.push_back(rest);
    trees.first_vote.push_back(trees.first_vote.back());
  }
}

}  // namespace

Result<std::shared_ptr<const Forest>> Forest::of(TreeNodes trees, TreeScores scores, DType dtype) {
  split_comparisons_near_zero(trees);
  bool single = scores.targets == 1;
  size_t inner = 0;
  for (size_t i = 0; i < trees.nodes.size(); ++i) {
    if (trees.nodes[i].mode == TreeMode::kLeaf) {
      single &= trees.first_vote[i + 1] - trees.first_vote[i] == 1;
    } else {
      ++inner;
    }
  }
  const auto forest = std::make_shared<Forest>();
  const bool wide = dtype == DType::kFloat64;
  const auto room = [](Tensor& t, size_t n, size_t size) -> Result<void*> {
    TENON_ASSIGN(t, Tensor::allocate(DType::kUint8, {static_cast<int64_t>(n * size)}));
    return t.data();
  };
  kernels::TreesParams& p = forest->params_;
  // A root has a place beside it that is not used, so that no two children lie on two lines of the cache.
  const size_t roots = trees.roots.size();
  TENON_ASSIGN(void* const nodes, room(forest->nodes_, 2 * (roots + inner), wide ? sizeof(TreeNode<double>) : sizeof(TreeNode<float>)));
  Layout layout(trees, single, wide, nodes, static_cast<uint32_t>(2 * roots));
  forest->trees_.resize(roots);
  for (size_t i = 0; i < roots; ++i) {
    TENON_TRY(layout.place_tree(trees.roots[i], static_cast<uint32_t>(2 * i), forest->trees_[i]));
    forest->steps_ += std::min<double>(forest->trees_[i].height, 16) + 2;
  }
  forest->features_ = layout.features();
  if (!single) {
    TENON_ASSIGN(void* const votes, room(forest->votes_, trees.votes.size(), wide ? sizeof(TreeVote<double>) : sizeof(TreeVote<float>)));
    for (size_t i = 0; i < trees.votes.size(); ++i) {
      const TreeVote<double>& vote = trees.votes[i];
      if (wide) {
        static_cast<TreeVote<double>*>(votes)[i] = vote;
      } else {
        static_cast<TreeVote<float>*>(votes)[i] = {static_cast<float>(vote.weight), vote.target};
      }
    }
    p.votes = votes;
    forest->first_ = std::move(trees.first_vote);
  }
  if (!scores.base.empty()) {
    TENON_ASSIGN(void* const base, room(forest->base_, scores.base.size(), size_of(dtype)));
    for (size_t i = 0; i < scores.base.size(); ++i) {
      wide ? static_cast<void>(static_cast<double*>(base)[i] = scores.base[i])
           : static_cast<void>(static_cast<float*>(base)[i] = static_cast<float>(scores.base[i]));
    }
    p.base = base;
  }
  p.dtype = dtype;
  p.out = scores.out;
  p.plain = layout.plain();
  p.single = single;
  p.aggregate = scores.aggregate;
  p.transform = scores.transform;
  p.classes = scores.classes;
  p.nodes = nodes;
  p.trees = forest->trees_.data();
  p.first = forest->first_.data();
  p.count = static_cast<int64_t>(roots);
  p.targets = scores.targets;
  return std::shared_ptr<const Forest>(forest);
}

}  // namespace tenon::ops

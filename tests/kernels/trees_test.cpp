// Rows of every number, on random forests, against a walk from node to node; both ways of sharing the work.
#include "kernels/trees/trees.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/targets.h"

namespace tenon::kernels {
namespace {

template <class T>
struct RandomForest {
  std::vector<TreeNode<T>> nodes;
  std::vector<Tree> trees;
  std::vector<uint32_t> first{0};
  std::vector<TreeVote<T>> votes;
  int64_t targets;

  /// Trees grown from their roots by splitting leaves until all are split or chance leaves them. Flags: those that nodes may have.
  RandomForest(int count, int splits, int64_t columns, uint32_t flags, int64_t n_targets, bool single, std::mt19937& gen)
      : targets(n_targets) {
    for (int t = 0; t < count; ++t) {
      const auto root = static_cast<uint32_t>(nodes.size());
      nodes.resize(nodes.size() + 2);
      std::vector<uint32_t> leaves{root}, depth(1, 0);
      uint32_t height = 0;
      for (int s = 0; s < splits; ++s) {
        const size_t k = gen() % leaves.size();
        const uint32_t at = leaves[k], below = depth[k] + 1, child = static_cast<uint32_t>(nodes.size());
        nodes.resize(nodes.size() + 2);
        nodes[at].threshold = static_cast<T>(static_cast<int>(gen() % 7) - 3);
        nodes[at].feature = static_cast<uint32_t>(gen() % static_cast<uint64_t>(columns)) | (static_cast<uint32_t>(gen()) & flags);
        nodes[at].child = child;
        nodes[at].votes = 0;
        leaves[k] = child, depth[k] = below;
        leaves.push_back(child + 1), depth.push_back(below);
        height = std::max(height, below);
      }
      for (const uint32_t at : leaves) {
        TreeNode<T>& n = nodes[at];
        n.threshold = std::numeric_limits<T>::quiet_NaN();
        n.feature = 0;
        n.child = at - 1;
        const T weight = static_cast<T>(static_cast<int>(gen() % 1000)) / 8;
        if (single) {
          n.value = weight;
          continue;
        }
        n.votes = static_cast<uint32_t>(first.size() - 1);
        for (uint64_t v = gen() % 3; v > 0; --v) {
          votes.push_back({weight - static_cast<T>(v), static_cast<uint32_t>(gen() % static_cast<uint64_t>(targets))});
        }
        first.push_back(static_cast<uint32_t>(votes.size()));
      }
      trees.push_back({root, height});
    }
  }

  uint32_t leaf(uint32_t at, const T* row) const {
    for (;;) {
      const TreeNode<T>& n = nodes[at];
      if (n.child == at - 1) return at;
      const T x = row[n.feature & kTreeFeature];
      bool yes = (n.feature & kTreeEqual) != 0 ? x == n.threshold : x <= n.threshold;
      if (std::isnan(x)) yes = (n.feature & kTreeMissing) != 0;
      at = n.child + (yes ? 0 : 1);
    }
  }
  /// Sums of one row, or extremes.
  std::vector<T> count(const T* row, TreeAggregate aggregate, bool single) const {
    std::vector<T> sums(static_cast<size_t>(targets), 0);
    std::vector<bool> seen(sums.size());
    const auto add = [&](size_t t, T w) {
      if (aggregate == TreeAggregate::kMin) w = seen[t] ? std::min(sums[t], w) : w;
      if (aggregate == TreeAggregate::kMax) w = seen[t] ? std::max(sums[t], w) : w;
      sums[t] = aggregate <= TreeAggregate::kSum ? sums[t] + w : w;
      seen[t] = true;
    };
    for (const Tree& tree : trees) {
      const TreeNode<T>& n = nodes[leaf(tree.root, row)];
      if (single) {
        add(0, n.value);
        continue;
      }
      for (uint32_t v = first[n.votes]; v < first[n.votes + 1]; ++v) add(votes[v].target, votes[v].weight);
    }
    if (aggregate == TreeAggregate::kAverage) {
      for (T& s : sums) s /= static_cast<T>(trees.size());
    }
    return sums;
  }
};

template <class T>
void CompareWithWalk() {
  std::mt19937 gen(5);
  constexpr int64_t kColumns = 5;
  for (const int64_t rows : {1, 3, 8, 13, 64, 70}) {
    std::vector<T> x(static_cast<size_t>(rows * kColumns));
    for (T& v : x) v = gen() % 9 == 0 ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(static_cast<int>(gen() % 9) - 4);
    for (const uint32_t flags : {uint32_t{0}, kTreeMissing, kTreeMissing | kTreeEqual}) {
      for (const int splits : {0, 1, 5, 40}) {
        for (const int count : {1, 3, 30}) {
          for (const bool single : {true, false}) {
            const RandomForest<T> forest(count, splits, kColumns, flags, single ? 1 : 3, single, gen);
            TreesParams p;
            p.dtype = p.out = dtype_of<T>;
            p.plain = flags == 0;
            p.single = single;
            p.aggregate = static_cast<TreeAggregate>(gen() % 4);
            p.nodes = forest.nodes.data();
            p.trees = forest.trees.data();
            p.first = forest.first.data();
            p.votes = forest.votes.data();
            p.rows = rows, p.columns = kColumns, p.count = count, p.targets = forest.targets;
            p.rows_per_part = 1 + static_cast<int64_t>(gen() % kMostTreeRows), p.trees_per_part = 7;
            std::vector<T> want;
            for (int64_t r = 0; r < rows; ++r) {
              const auto sums = forest.count(&x[static_cast<size_t>(r * kColumns)], p.aggregate, single);
              want.insert(want.end(), sums.begin(), sums.end());
            }
            std::vector<T> got(want.size(), -77), shared_out(want.size(), -77);
            std::vector<std::byte> scratch(static_cast<size_t>(tree_scratch_bytes(p))), shared(static_cast<size_t>(rows * count * 4));
            const void* in[] = {x.data()};
            void* out[] = {got.data(), nullptr};
            for (int64_t i = 0; i < p.row_parts(); ++i) TreesRowsPointer()(p, Call{in, out, scratch.data()}, {i, i + 1});
            EXPECT_EQ(got, want);
            void* other[] = {shared_out.data(), nullptr};
            const Call call{in, other, scratch.data(), nullptr, shared.data()};
            for (int64_t i = p.tree_parts() - 1; i >= 0; --i) TreesLeavesPointer()(p, call, {i, i + 1});
            TreesCountPointer()(p, call, {0, p.row_parts()});
            ASSERT_EQ(shared_out, want) << rows << " rows, " << count << " trees of " << splits << " splits";
          }
        }
      }
    }
  }
}

TEST(Trees, Float32LeavesAreThoseOfAWalk) { CompareWithWalk<float>(); }
TEST(Trees, Float64LeavesAreThoseOfAWalk) { CompareWithWalk<double>(); }

/// One leaf of value s.
std::vector<float> Scores(float s, TreeClass classes, TreeTransform transform, int64_t* which) {
  TreeNode<float> node{};
  node.threshold = std::numeric_limits<float>::quiet_NaN(), node.value = s, node.child = UINT32_MAX;
  const Tree tree{0, 0};
  TreesParams p;
  p.plain = p.single = true;
  p.nodes = &node, p.trees = &tree;
  p.classes = classes, p.transform = transform;
  std::vector<float> scores(static_cast<size_t>(p.scores()));
  std::vector<std::byte> scratch(static_cast<size_t>(tree_scratch_bytes(p)));
  const float x = 0;
  const void* in[] = {&x};
  void* out[] = {scores.data(), which};
  TreesRowsPointer()(p, Call{in, out, scratch.data()}, {0, 1});
  return scores;
}

TEST(Trees, OneScoreMakesTwoClasses) {
  int64_t which = -1;
  EXPECT_EQ(Scores(0.75f, TreeClass::kHalf, TreeTransform::kNone, &which), (std::vector<float>{0.25f, 0.75f}));
  EXPECT_EQ(which, 1);
  EXPECT_EQ(Scores(0.5f, TreeClass::kHalf, TreeTransform::kSoftmax, &which), (std::vector<float>{0.5f, 0.5f}));
  EXPECT_EQ(which, 0);
  EXPECT_EQ(Scores(0.25f, TreeClass::kSign, TreeTransform::kNone, &which), (std::vector<float>{-0.25f, 0.25f}));
  EXPECT_EQ(which, 1);
  const auto logistic = Scores(-2, TreeClass::kSign, TreeTransform::kLogistic, &which);
  EXPECT_NEAR(logistic[0], 1 / (1 + std::exp(-2.0)), 1e-6);
  EXPECT_NEAR(logistic[1], 1 / (1 + std::exp(2.0)), 1e-6);
  EXPECT_EQ(which, 0);
  EXPECT_EQ(Scores(3, TreeClass::kOne, TreeTransform::kNone, &which), (std::vector<float>{3}));
  EXPECT_EQ(which, 1);
}

}  // namespace
}  // namespace tenon::kernels

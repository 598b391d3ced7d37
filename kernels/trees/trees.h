// Sums over the leaves that rows reach in decision trees.
#pragma once

#include <cstdint>

#include "kernels/table.h"

namespace tenon::kernels {

/// A node of a tree for rows of T, by whose type thresholds are rounded so that comparisons keep their meaning. From node i a row goes on
/// to `child` where its feature is at most (kTreeEqual: just) the threshold, to `child` + 1 otherwise; a NaN goes to `child` + 1, or with
/// kTreeMissing to `child`. A leaf has the threshold NaN and i - 1 as its child, so that every row stays there, and feature 0.
template <class T>
struct TreeNode {
  T threshold;
  union {
    T value;         ///< of a leaf, where each has one vote and all are for target 0
    uint32_t votes;  ///< of a leaf otherwise: place in TreesParams::first
  };
  uint32_t feature;  ///< and flags
  uint32_t child;
};
inline constexpr uint32_t kTreeMissing = uint32_t{1} << 31, kTreeEqual = uint32_t{1} << 30, kTreeFeature = kTreeEqual - 1;

struct Tree {
  uint32_t root = 0;
  uint32_t height = 0;  ///< steps to the farthest leaf
};

template <class T>
struct TreeVote {
  T weight;
  uint32_t target;
};

enum class TreeAggregate : uint8_t { kAverage, kSum, kMin, kMax };
enum class TreeTransform : uint8_t { kNone, kSoftmax, kLogistic, kSoftmaxZero, kProbit };
/// What output 1 is, and output 0 of the two kinds that have one target and two classes.
enum class TreeClass : uint8_t {
  kNone,  ///< there is no output 1
  kTop,   ///< the first of the largest scores
  kHalf,  ///< whether s is above a half; scores 1 - s, s
  kSign,  ///< whether s is above 0; scores -s, s
  kOne,   ///< whether s is above 0; score s
};

/// Input x [rows, columns]; outputs scores [rows, scores()] (of x's dtype, or float32) and, where rows are classified, int64 [rows]. Votes
/// are aggregated in the order of the trees and, in a leaf, of its votes; a target without a vote has 0. `columns` exceeds all features.
struct TreesParams {
  DType dtype = DType::kFloat32;  ///< float32 or float64: of x, nodes, votes and base
  DType out = DType::kFloat32;
  bool plain = false;   ///< no node has a flag
  bool single = false;  ///< leaves have values
  TreeAggregate aggregate = TreeAggregate::kSum;
  TreeTransform transform = TreeTransform::kNone;
  TreeClass classes = TreeClass::kNone;
  const void* nodes = nullptr;
  const Tree* trees = nullptr;
  const uint32_t* first = nullptr;  ///< the votes of place i are [first[i], first[i + 1])
  const void* votes = nullptr;
  const void* base = nullptr;                             ///< `targets` numbers that are added in the end, or null
  int64_t rows = 1, columns = 1, count = 1, targets = 1;  ///< `count` trees
  int64_t rows_per_part = 1, trees_per_part = 1;

  int64_t scores() const { return classes == TreeClass::kHalf || classes == TreeClass::kSign ? 2 : targets; }
  int64_t row_parts() const { return (rows + rows_per_part - 1) / rows_per_part; }
  int64_t tree_parts() const { return (count + trees_per_part - 1) / trees_per_part; }
};

/// Leaves found before their votes are counted, of at most this many rows together.
inline constexpr int64_t kTreeLeaves = 1024, kMostTreeRows = 64;
/// Scratch memory of TreesRows and TreesCount: leaves, the scores of a row, and what a part's rows have of votes.
inline int64_t tree_scratch_bytes(const TreesParams& p) { return kTreeLeaves * 4 + (p.targets + 1 + p.rows_per_part * p.targets) * 8; }

/// Everything, one part `rows_per_part` (at most kMostTreeRows) rows.
Kernel<TreesParams> TreesRowsPointer();
/// The same in two steps, for few rows: the leaves of a part of `trees_per_part` trees, as uint32 [count, rows] in Call::shared; and what
/// they amount to.
Kernel<TreesParams> TreesLeavesPointer();
Kernel<TreesParams> TreesCountPointer();

}  // namespace tenon::kernels

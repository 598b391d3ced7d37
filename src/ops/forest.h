// Decision trees, checked and laid out for the kernels.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "base/tensor.h"
#include "kernels/trees/trees.h"

namespace tenon::ops {

/// A comparison of a feature of the row with the node's threshold, by the numbers of ONNX's TreeEnsemble; or a leaf.
enum class TreeMode : uint8_t { kLeq, kLt, kGte, kGt, kEq, kNeq, kLeaf };

/// Trees as a file says them. Nodes may have several parents, which exporters of categories make use of, and roots may be anywhere. A NaN goes
/// to `yes` where missing; where not, it goes to `no`, but from kNeq to `yes`, since it differs from every number.
struct TreeNodes {
  struct Node {
    double threshold = 0;
    uint32_t feature = 0;
    uint32_t yes = 0, no = 0;  ///< children, positions of nodes: where the comparison is true, where not
    TreeMode mode = TreeMode::kLeaf;
    bool missing = false;
  };
  std::vector<Node> nodes;
  std::vector<uint32_t> roots;
  /// The votes of node i are [first_vote[i], first_vote[i + 1]); those of nodes that are no leaves do not count.
  std::vector<uint32_t> first_vote;
  std::vector<kernels::TreeVote<double>> votes;
};

/// What is made of the votes; values as in kernels::TreesParams.
struct TreeScores {
  int64_t targets = 1;
  kernels::TreeAggregate aggregate = kernels::TreeAggregate::kSum;
  kernels::TreeTransform transform = kernels::TreeTransform::kNone;
  kernels::TreeClass classes = kernels::TreeClass::kNone;
  DType out = DType::kFloat32;
  std::vector<double> base;  ///< none, or one a target
};

inline constexpr size_t kMostTreeNodes = size_t{1} << 28;

class Forest {
 public:
  /// For rows of `dtype`, float32 or float64. kLoad when a node is its own descendant; positions, targets and features are in range. Takes
  /// time and memory in proportion to the nodes, whatever their shape.
  static Result<std::shared_ptr<const Forest>> of(TreeNodes trees, TreeScores scores, DType dtype);

  int64_t features() const { return features_; }  ///< that rows have at least, 1 or more
  /// Without what depends on the rows. Good for the life of the forest.
  const kernels::TreesParams& params() const { return params_; }
  double steps() const { return steps_; }  ///< about how many comparisons a row takes

 private:
  kernels::TreesParams params_;
  int64_t features_ = 1;
  double steps_ = 0;
  std::vector<kernels::Tree> trees_;
  std::vector<uint32_t> first_;
  Tensor nodes_, votes_, base_;
};

}  // namespace tenon::ops

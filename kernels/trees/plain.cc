// Rows go down without branches that depend on data, eight pairs of a tree and a row at a time, so that the loads of one cover the latency
// of another's. Leaves point to themselves: a pair that has arrived waits for the others.
#include "kernels/trees/trees.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tenon::kernels {
namespace {

constexpr int kLanes = 8;
constexpr uint32_t kSteps = 4;  ///< between looks at whether all have arrived

template <class T, bool kPlain>
[[gnu::always_inline]] inline uint32_t next(const TreeNode<T>* nodes, uint32_t at, const T* row) {
  const TreeNode<T>& n = nodes[at];
  if constexpr (kPlain) {
    return n.child + static_cast<uint32_t>(!(row[n.feature] <= n.threshold));
  } else {
    const T x = row[n.feature & kTreeFeature];
    const bool most = x <= n.threshold, equal = (x >= n.threshold) | ((n.feature & kTreeEqual) == 0);
    const bool missing = (x != x) & ((n.feature & kTreeMissing) != 0);
    return n.child + static_cast<uint32_t>(!((most & equal) | missing));
  }
}

/// The leaves of trees [first, last) and `rows` rows, to leaves[tree - first][row].
template <class T, bool kPlain>
void descend(const TreesParams& p, int64_t first, int64_t last, const T* x, int64_t rows, uint32_t* leaves) {
  const auto* nodes = static_cast<const TreeNode<T>*>(p.nodes);
  const int64_t pairs = (last - first) * rows;
  int64_t tree = first, row = 0;
  for (int64_t pair = 0; pair < pairs; pair += kLanes) {
    const T* from[kLanes];
    uint32_t at[kLanes];
    uint32_t height = 0;
    for (int k = 0; k < kLanes; ++k) {
      at[k] = p.trees[tree].root;
      height = std::max(height, p.trees[tree].height);
      from[k] = x + row * p.columns;
      if (pair + k + 1 < pairs && ++row == rows) row = 0, ++tree;  // the last one again where pairs have run out
    }
    for (uint32_t step = 0; step < height; step += kSteps) {
#pragma GCC unroll 1
      for (uint32_t s = 1; s < kSteps; ++s) {
#pragma GCC unroll 8
        for (int k = 0; k < kLanes; ++k) at[k] = next<T, kPlain>(nodes, at[k], from[k]);
      }
      uint32_t moved = 0;
#pragma GCC unroll 8
      for (int k = 0; k < kLanes; ++k) {
        const uint32_t to = next<T, kPlain>(nodes, at[k], from[k]);
        moved |= to ^ at[k];
        at[k] = to;
      }
      if (moved == 0) break;
    }
    std::copy_n(at, std::min<int64_t>(kLanes, pairs - pair), leaves + pair);
  }
}

template <class T>
void find_leaves(const TreesParams& p, int64_t first, int64_t last, const T* x, int64_t rows, uint32_t* leaves) {
  if constexpr (sizeof(T) == sizeof(float)) {
    if (p.plain) return descend<T, true>(p, first, last, x, rows, leaves);
  }
  descend<T, false>(p, first, last, x, rows, leaves);
}

/// Adds the votes of `trees` times `rows` leaves, those of one tree `stride` apart from those of the next, to sums [rows, targets].
template <class T, class Add>
void add_votes(const TreesParams& p, int64_t trees, int64_t rows, const uint32_t* leaves, int64_t stride, T* sums, Add add) {
  const auto* nodes = static_cast<const TreeNode<T>*>(p.nodes);
  const auto* votes = static_cast<const TreeVote<T>*>(p.votes);
  for (int64_t t = 0; t < trees; ++t, leaves += stride) {
    for (int64_t r = 0; r < rows; ++r) {
      const TreeNode<T>& leaf = nodes[leaves[r]];
      if (p.single) {
        sums[r] = add(sums[r], leaf.value);
        continue;
      }
      for (uint32_t v = p.first[leaf.votes]; v < p.first[leaf.votes + 1]; ++v) {
        T& sum = sums[r * p.targets + votes[v].target];
        sum = add(sum, votes[v].weight);
      }
    }
  }
}

/// Extremes start as NaN: nothing yet.
template <class T>
void count_votes(const TreesParams& p, int64_t trees, int64_t rows, const uint32_t* leaves, int64_t stride, T* sums) {
  switch (p.aggregate) {
    case TreeAggregate::kMin: return add_votes(p, trees, rows, leaves, stride, sums, [](T a, T w) { return a <= w ? a : w; });
    case TreeAggregate::kMax: return add_votes(p, trees, rows, leaves, stride, sums, [](T a, T w) { return a >= w ? a : w; });
    default: return add_votes(p, trees, rows, leaves, stride, sums, [](T a, T w) { return a + w; });
  }
}

double logistic(double x) {
  const double v = 1 / (1 + std::exp(-std::abs(x)));
  return x < 0 ? 1 - v : v;
}

/// The inverse of the normal distribution, by Winitzki's approximation of the inverse error function.
double probit(double x) {
  constexpr double kA = 0.147, kPi = 3.14159265358979323846;
  const double y = 2 * x - 1, l = std::log((1 - y) * (1 + y)), half = 2 / (kPi * kA) + l / 2;
  const double size = std::sqrt(std::sqrt(half * half - l / kA) - half);
  return 1.41421356 * (y < 0 ? -size : size);
}

void softmax(double* s, int64_t n, bool keep_zeros) {
  const double most = *std::max_element(s, s + n);
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    s[i] = keep_zeros && std::abs(s[i]) <= 1e-7 ? s[i] * std::exp(-most) : std::exp(s[i] - most);
    sum += s[i];
  }
  for (int64_t i = 0; i < n; ++i) s[i] = sum == 0 ? 0.5 : s[i] / sum;
}

/// From what the votes for the targets of a row amount to, to its scores, of which there may be one more, and its class, which is returned.
int64_t finish(const TreesParams& p, double* s) {
  int64_t which = 0;
  if (p.classes == TreeClass::kTop) {
    which = std::max_element(s, s + p.targets) - s;
  } else {
    which = s[0] > (p.classes == TreeClass::kHalf ? 0.5 : 0) ? 1 : 0;
  }
  const bool pair = p.scores() != p.targets;
  if (pair) {
    s[1] = s[0];
    s[0] = p.classes == TreeClass::kSign || p.transform == TreeTransform::kLogistic ? -s[1] : 1 - s[1];
  }
  switch (p.transform) {
    case TreeTransform::kNone: break;
    case TreeTransform::kSoftmax:
    case TreeTransform::kSoftmaxZero:
      if (!pair) softmax(s, p.targets, p.transform == TreeTransform::kSoftmaxZero);
      break;
    case TreeTransform::kLogistic: std::transform(s, s + p.scores(), s, logistic); break;
    case TreeTransform::kProbit: std::transform(s, s + p.scores(), s, probit); break;
  }
  return which;
}

/// One part of the rows. `leaves`: of all trees and rows; null: they are found here.
template <class T>
void run_rows(const TreesParams& p, const Call& call, int64_t part, const uint32_t* leaves) {
  const int64_t begin = part * p.rows_per_part, rows = std::min(p.rows_per_part, p.rows - begin);
  const T* x = call.in<T>(0) + begin * p.columns;
  T* sums = reinterpret_cast<T*>(call.scratch + kTreeLeaves * sizeof(uint32_t)) + (p.targets + 1) * (sizeof(double) / sizeof(T));
  std::fill_n(sums, rows * p.targets, p.aggregate >= TreeAggregate::kMin ? std::numeric_limits<T>::quiet_NaN() : T(0));
  if (leaves) {
    count_votes(p, p.count, rows, leaves + begin, p.rows, sums);
  } else {
    auto* found = reinterpret_cast<uint32_t*>(call.scratch);
    const int64_t some = kTreeLeaves / rows;
    for (int64_t t = 0; t < p.count; t += some) {
      const int64_t end = std::min(p.count, t + some);
      find_leaves(p, t, end, x, rows, found);
      count_votes(p, end - t, rows, found, rows, sums);
    }
  }
  auto* scores = reinterpret_cast<double*>(call.scratch + kTreeLeaves * sizeof(uint32_t));
  const T* base = static_cast<const T*>(p.base);
  const int64_t count = p.scores();
  for (int64_t r = begin; r < begin + rows; ++r, sums += p.targets) {
    for (int64_t i = 0; i < p.targets; ++i) {
      T s = sums[i];
      if (p.aggregate == TreeAggregate::kAverage) s /= static_cast<T>(p.count);
      if (p.aggregate >= TreeAggregate::kMin && s != s) s = 0;
      scores[i] = base ? s + base[i] : s;
    }
    const int64_t which = finish(p, scores);
    if (p.classes != TreeClass::kNone && call.dst[1]) call.out<int64_t>(1)[r] = which;
    if (p.out == DType::kFloat32) {
      std::copy_n(scores, count, call.out<float>(0) + r * count);
    } else {
      std::copy_n(scores, count, call.out<double>(0) + r * count);
    }
  }
}

template <class F>
void of_type(const TreesParams& p, F&& f) {
  if (p.dtype == DType::kFloat64) {
    f(double{});
  } else {
    f(float{});
  }
}

void trees_rows(const TreesParams& p, const Call& call, Range range) {
  of_type(p, [&](auto t) {
    for (int64_t part = range.begin; part < range.end; ++part) run_rows<decltype(t)>(p, call, part, nullptr);
  });
}

void trees_leaves(const TreesParams& p, const Call& call, Range range) {
  of_type(p, [&](auto t) {
    using T = decltype(t);
    const int64_t begin = range.begin * p.trees_per_part, end = std::min(p.count, range.end * p.trees_per_part);
    find_leaves(p, begin, end, call.in<T>(0), p.rows, reinterpret_cast<uint32_t*>(call.shared) + begin * p.rows);
  });
}

void trees_count(const TreesParams& p, const Call& call, Range range) {
  of_type(p, [&](auto t) {
    for (int64_t part = range.begin; part < range.end; ++part)
      run_rows<decltype(t)>(p, call, part, reinterpret_cast<const uint32_t*>(call.shared));
  });
}

}  // namespace

Kernel<TreesParams> TreesRowsPointer() { return trees_rows; }
Kernel<TreesParams> TreesLeavesPointer() { return trees_leaves; }
Kernel<TreesParams> TreesCountPointer() { return trees_count; }

}  // namespace tenon::kernels

// Copies: every row of the table on every instruction set, against loops written out here.
#include "kernels/movement/movement.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "kernels/dispatch.h"

namespace tenon::kernels {
namespace {

/// Loops over a source of random bytes; the destination is checked against a walk of the loops as given.
struct Problem {
  std::vector<CopyLoop> loops;
  int64_t element = 1;
  int64_t src_offset = 0;
};

/// A transposition of dense dims: dst is dense, the source dims are permuted.
Problem transposed(const std::vector<int64_t>& dims, const std::vector<int>& perm, int64_t element) {
  std::vector<int64_t> strides(dims.size());
  int64_t stride = element;
  for (size_t i = dims.size(); i-- > 0; stride *= dims[i]) strides[i] = stride;
  Problem p{{}, element, 0};
  for (const int d : perm) p.loops.push_back({dims[d], strides[d], 0});
  int64_t dst = element;
  for (size_t i = p.loops.size(); i-- > 0; dst *= p.loops[i].count) p.loops[i].dst = dst;
  return p;
}

void walk(const std::vector<CopyLoop>& loops, size_t depth, const std::byte* src, std::byte* dst, int64_t element) {
  if (depth == loops.size()) {
    std::memcpy(dst, src, static_cast<size_t>(element));
    return;
  }
  const CopyLoop& loop = loops[depth];
  for (int64_t i = 0; i < loop.count; ++i) walk(loops, depth + 1, src + i * loop.src, dst + i * loop.dst, element);
}

/// Bytes that exactly hold what the loops touch, so that the sanitizers see any step outside.
std::pair<int64_t, int64_t> extent(const Problem& p, bool source) {
  int64_t low = 0, high = p.element;
  for (const CopyLoop& l : p.loops) {
    const int64_t reach = (l.count - 1) * (source ? l.src : l.dst);
    (reach < 0 ? low : high) += reach;
  }
  return {low, high};
}

void check(const Problem& p, const char* what) {
  const auto [low, high] = extent(p, true);
  const auto [dst_low, dst_high] = extent(p, false);
  ASSERT_EQ(dst_low, 0);
  // Element-aligned, but not better.
  const size_t shift = static_cast<size_t>(p.element);
  std::vector<std::byte> src(static_cast<size_t>(high - low) + shift), expected(static_cast<size_t>(dst_high)),
      got(expected.size() + shift);
  std::mt19937 random(7);
  for (std::byte& b : src) b = static_cast<std::byte>(random());
  walk(p.loops, 0, src.data() + shift - low, expected.data(), p.element);

  CopyParams params;
  ASSERT_TRUE(plan_copy(p.loops, p.element, -low, 0, &params)) << what;
  int64_t targets[8];
  const int n = supported_targets(targets);
  for (int t = 0; t < n; ++t) {
    force_target(targets[t]);
    for (const Row<CopyParams>& row : copy_table) {
      if (row.refuse(params) != nullptr) continue;
      std::fill(got.begin(), got.end(), std::byte{0});
      const void* in[] = {src.data() + shift};
      void* out[] = {got.data() + shift};
      Fault fault;
      Call call;
      call.src = in;
      call.dst = out;
      call.fault = &fault;
      // Backwards, one part at a time: parts are independent.
      for (int64_t part = params.parts(); part-- > 0;) row.pointer()(params, call, {part, part + 1});
      EXPECT_EQ(0, std::memcmp(got.data() + shift, expected.data(), expected.size()))
          << what << " by " << row.name << " on target " << targets[t];
      for (const int64_t middle : {int64_t{0}, params.parts() / 3, params.parts() / 2}) {
        std::fill(got.begin(), got.end(), std::byte{0});
        row.pointer()(params, call, {middle, params.parts()});
        row.pointer()(params, call, {0, middle});
        EXPECT_EQ(0, std::memcmp(got.data() + shift, expected.data(), expected.size()))
            << what << " by " << row.name << " on target " << targets[t] << " cut at " << middle;
        if (params.parts() == 1) break;
      }
    }
  }
  force_target(0);
}

TEST(Copy, MatrixTransposesOfEverySizeAroundTheTiles) {
  for (const int64_t element : {1, 2, 4, 8, 16}) {
    for (const int64_t rows : {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 65, 100}) {
      for (const int64_t columns : {1, 2, 3, 4, 5, 6, 8, 9, 15, 16, 17, 32, 35, 63, 130}) {
        check(transposed({rows, columns}, {1, 0}, element), "matrix");
      }
    }
  }
}

TEST(Copy, LargeTransposesHaveManyParts) {
  for (const int64_t element : {1, 2, 4, 8}) {
    Problem p = transposed({700, 517}, {1, 0}, element);
    check(p, "large");
    CopyParams params;
    ASSERT_TRUE(plan_copy(p.loops, element, 0, 0, &params));
    EXPECT_GE(params.parts(), 700 * 517 * element / (256 << 10));
  }
}

TEST(Copy, PermutationsOfFourDims) {
  std::vector<int> perm = {0, 1, 2, 3};
  do {
    for (const int64_t element : {1, 4, 16}) {
      check(transposed({3, 5, 6, 17}, perm, element), "four dims");
      check(transposed({2, 33, 1, 18}, perm, element), "four dims");
      check(transposed({2, 9, 20, 2}, perm, element), "a pair innermost");
      check(transposed({2, 9, 20, 3}, perm, element), "three channels last");
    }
  } while (std::next_permutation(perm.begin(), perm.end()));
}

TEST(Copy, ChannelsFirstAndLast) {
  for (const int64_t element : {1, 2, 4, 8}) {
    for (const int64_t channels : {2, 3, 4, 5}) {
      check(transposed({2, channels, 37, 50}, {0, 2, 3, 1}, element), "to channels last");
      check(transposed({2, 37, 50, channels}, {0, 3, 1, 2}, element), "to channels first");
    }
  }
}

TEST(Copy, RunsAndRepeatedElementsOfEveryLength) {
  for (const int64_t element : {1, 2, 4, 8, 16}) {
    for (int64_t n = 1; n * element < 300; n += n < 40 ? 1 : 7) {
      check({{{3, n * element, 5 * n * element}, {5, 3 * n * element, n * element}, {n, element, element}}, element, 0}, "runs");
      check({{{7, element, n * element}, {n, 0, element}}, element, 0}, "repeated");
      check({{{2, 3 * element, 3 * n * element}, {n, 0, 3 * element}, {3, element, element}}, element, 0}, "repeated triples");
    }
    check({{{3, 2500, 5000}, {2, 7500, 2500}, {2500 / element, element, element}}, element, 0}, "long runs");
  }
}

TEST(Copy, SplitsReadTheSourceFromEndToEnd) {
  // Space to depth: the loops of the destination are in another order than those of the source.
  for (const int64_t element : {1, 4, 8}) {
    for (const int64_t block : {2, 3, 4}) {
      const int64_t w = 19, h = 5, channels = 3, row = w * block * element, plane = row * h * block;
      Problem p{{{block, row, 0}, {block, element, 0}, {channels, plane, 0}, {h, block * row, 0}, {w, block * element, 0}}, element, 0};
      int64_t dst = element;
      for (size_t i = p.loops.size(); i-- > 0; dst *= p.loops[i].count) p.loops[i].dst = dst;
      check(p, "space to depth");
      CopyParams params;
      ASSERT_TRUE(plan_copy(p.loops, element, 0, 0, &params));
      for (int i = 1; i < params.loops; ++i) EXPECT_GE(params.outer[i - 1].src, params.outer[i].src);
    }
  }
}

TEST(Copy, RandomLoops) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 600; ++trial) {
    Problem p;
    p.element = int64_t{1} << (random() % 5);
    const int rank = 1 + static_cast<int>(random() % 6);
    for (int i = 0; i < rank; ++i) {
      CopyLoop loop;
      loop.count = 1 + static_cast<int64_t>(random() % 7);
      loop.src = (static_cast<int64_t>(random() % 9) - 3) * p.element;  // negative, zero and overlapping strides
      p.loops.push_back(loop);
    }
    int64_t dst = p.element;
    for (size_t i = p.loops.size(); i-- > 0; dst *= p.loops[i].count) p.loops[i].dst = dst;
    check(p, "random loops");
  }
}

TEST(Copy, BroadcastsAndRuns) {
  for (const int64_t e : {1, 2, 4, 8, 16}) {
    check({{{5, e, 300 * e}, {300, 0, e}}, e, 0}, "repeat each");
    check({{{300, 0, 5 * e}, {5, e, e}}, e, 0}, "repeat a short run");
    check({{{40, 0, 700 * e}, {700, e, e}}, e, 0}, "repeat a long run");
    check({{{3, 1000 * e, 900 * e}, {900, e, e}}, e, 0}, "cut rows");
    check({{{100000, -e, e}}, e, 0}, "backwards");
    check({{{70000, 2 * e, e}}, e, 0}, "every second");
    check({{{300000, e, e}}, e, 0}, "one run");
    check({{{1, e, e}}, e, 0}, "one element");
    check({{}, e, 0}, "a scalar");
  }
}

TEST(Copy, TilesOfSeveralParts) {
  /// A dense tensor, each dim repeated: loops as Tile makes them, rows of the destination `gap` bytes apart.
  const auto tiled = [](const std::vector<int64_t>& dims, const std::vector<int64_t>& repeats, int64_t element, int64_t gap) {
    Problem p{std::vector<CopyLoop>(2 * dims.size()), element, 0};
    int64_t src = element, dst = element;
    for (size_t i = dims.size(); i-- > 0; src *= dims[i], dst *= dims[i] * repeats[i]) {
      if (i + 2 == dims.size()) dst += gap;
      p.loops[2 * i] = {repeats[i], 0, dst * dims[i]};
      p.loops[2 * i + 1] = {dims[i], src, dst};
    }
    return p;
  };
  for (const int64_t e : {1, 4, 16}) {
    for (const int64_t gap : {int64_t{0}, 3 * e}) {
      check(tiled({64, 16}, {9, 8}, e, gap), "both dims");
      check(tiled({30, 41}, {30, 5}, e, gap), "rows of odd lengths");
      check(tiled({7, 3}, {200, 3}, e, gap), "short rows");
      check(tiled({3, 100, 40}, {5, 4, 3}, e, gap), "three dims");
      check(tiled({3, 50, 2, 11}, {3, 2, 7, 2}, e, gap), "four dims");
      check(tiled({6, 1}, {40, 70}, e, gap), "columns");
      check(tiled({2, 70000 / e}, {3, 3}, e, gap), "long rows");
    }
  }
}

TEST(Copy, PlansAreInTheirSimplestForm) {
  CopyParams p;
  // [2, 3, 4] floats as they are.
  ASSERT_TRUE(plan_copy(std::vector<CopyLoop>{{2, 48, 48}, {3, 16, 16}, {4, 4, 4}}, 4, 0, 0, &p));
  EXPECT_TRUE(p.is_one_run());
  EXPECT_EQ(p.l.count, 24);
  // The inner pair of a transposition moves as one element of 8 bytes.
  ASSERT_TRUE(plan_copy(std::vector<CopyLoop>{{5, 8, 24}, {3, 40, 8}, {2, 4, 4}}, 4, 0, 0, &p));
  EXPECT_EQ(p.element, 8);
  EXPECT_FALSE(p.is_one_run());
}

}  // namespace
}  // namespace tenon::kernels

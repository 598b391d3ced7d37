#include "kernels/dispatch.h"

#include <gtest/gtest.h>

#include "support/targets.h"

namespace tenon::kernels {
namespace {

TEST(Dispatch, TargetsAreDistinctSingleBitsBestFirst) {
  int64_t targets[8];
  const int n = supported_targets(targets);
  ASSERT_GE(n, 1);
  for (int i = 0; i < n; ++i) {
    EXPECT_EQ(targets[i] & (targets[i] - 1), 0);
    EXPECT_NE(std::string(hwy::TargetName(targets[i])), "Unknown");
    if (i > 0) {
      EXPECT_GT(targets[i], targets[i - 1]);  // Highway numbers better targets lower
    }
  }
}

TEST(Dispatch, ForcingATargetChangesTheVectorLength) {
  int lanes_before = 1 << 20;
  test::for_each_target([&] {
    const int lanes = float_lanes();
    EXPECT_GE(lanes, 4);
    EXPECT_LE(lanes, lanes_before);
    lanes_before = lanes;
  });
  int64_t targets[8];
  supported_targets(targets);
  const int best = float_lanes();
  force_target(targets[0]);
  EXPECT_EQ(float_lanes(), best);
  force_target(0);
}

}  // namespace
}  // namespace tenon::kernels

#include "plan/memory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tenon {
namespace {

bool overlap(const Lifetime& a, const Lifetime& b) {
  const bool in_time = a.first <= b.last && b.first <= a.last;
  const bool in_space = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
  return in_time && in_space && a.bytes > 0 && b.bytes > 0;
}

TEST(PackLifetimes, NothingAliveTogetherOverlaps) {
  std::mt19937 rng(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<Lifetime> buffers(1 + rng() % 60);
    for (Lifetime& b : buffers) {
      b.bytes = rng() % 5000;
      b.first = static_cast<int>(rng() % 50);
      b.last = b.first + static_cast<int>(rng() % 10);
    }
    const size_t total = pack_lifetimes(buffers);
    for (size_t i = 0; i < buffers.size(); ++i) {
      EXPECT_EQ(buffers[i].offset % 64, 0u);
      EXPECT_LE(buffers[i].offset + buffers[i].bytes, total);
      for (size_t j = 0; j < i; ++j) ASSERT_FALSE(overlap(buffers[i], buffers[j]));
    }
  }
}

TEST(PackLifetimes, AChainNeedsTwoBuffers) {
  std::vector<Lifetime> chain(20);
  for (int i = 0; i < 20; ++i) chain[i] = {4096, i, i + 1, 0};
  EXPECT_LE(pack_lifetimes(chain), 2u * (4096 + 64));
}

TEST(PackLifetimes, IsCloseToTheLowerBound) {
  std::mt19937 rng(3);
  std::vector<Lifetime> buffers(300);
  for (Lifetime& b : buffers) {
    b.bytes = 1000 + rng() % 100000;
    b.first = static_cast<int>(rng() % 300);
    b.last = b.first + static_cast<int>(rng() % 6);
  }
  const size_t total = pack_lifetimes(buffers);
  size_t bound = 0;
  for (int t = 0; t < 310; ++t) {
    size_t alive = 0;
    for (const Lifetime& b : buffers)
      if (b.first <= t && t <= b.last) alive += b.bytes;
    bound = std::max(bound, alive);
  }
  EXPECT_LT(static_cast<double>(total), 1.25 * static_cast<double>(bound));
}

}  // namespace
}  // namespace tenon

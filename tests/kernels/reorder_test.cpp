// Plain to channel-blocked and back, on every instruction set: exactly the same numbers at their places, and nothing else touched.
#include "kernels/reorder/reorder.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/targets.h"

namespace tenon::kernels {
namespace {

void check(int64_t batch, int64_t channels, int64_t pixels, int64_t block, int64_t chunk) {
  SCOPED_TRACE(testing::Message() << batch << " x " << channels << " x " << pixels << " in blocks of " << block << ", chunk " << chunk);
  ReorderParams p{.batch = batch, .channels = channels, .pixels = pixels, .block = block};
  plan_reorder(p);
  if (chunk != 0) p.chunk = chunk;
  const int64_t blocks = (channels + block - 1) / block;
  std::vector<float> plain(static_cast<size_t>(batch * channels * pixels));
  for (size_t i = 0; i < plain.size(); ++i) plain[i] = static_cast<float>(i + 1);
  const auto size = static_cast<size_t>(batch * blocks * pixels * block);
  std::vector<float> blocked(size + 8, -7.0f);
  Fault fault;
  const auto run = [&](const void* from, void* to) {
    for (int64_t i = p.parts() - 1; i >= 0; --i) ReorderPointer()(p, {.src = &from, .dst = &to, .fault = &fault}, {i, i + 1});
  };
  run(plain.data(), blocked.data());
  for (size_t i = 0; i < size; ++i) {
    const auto at = static_cast<int64_t>(i);
    const int64_t lane = at % block, pixel = at / block % pixels, channel = at / block / pixels % blocks * block + lane;
    const int64_t image = at / block / pixels / blocks;
    const float want = channel < channels ? plain[static_cast<size_t>((image * channels + channel) * pixels + pixel)] : 0.0f;
    ASSERT_EQ(blocked[i], want) << i;
  }
  for (size_t i = size; i < blocked.size(); ++i) ASSERT_EQ(blocked[i], -7.0f);
  std::vector<float> back(plain.size() + 8, -7.0f);
  p.to_blocked = false;
  run(blocked.data(), back.data());
  for (size_t i = 0; i < plain.size(); ++i) ASSERT_EQ(back[i], plain[i]) << i;
  for (size_t i = plain.size(); i < back.size(); ++i) ASSERT_EQ(back[i], -7.0f);
}

TEST(Reorder, EverySizeAroundTheTiles) {
  test::for_each_target([] {
    for (const int64_t block : {8, 16}) {
      for (const int64_t channels : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 33}) {
        for (const int64_t pixels : {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 65, 100}) {
          check(2, channels, pixels, block, 0);
          if (pixels > 8) check(1, channels, pixels, block, 12);
        }
      }
      check(1, 20, 20000, block, 0);
      check(0, 3, 5, block, 0);
    }
  });
}

}  // namespace
}  // namespace tenon::kernels

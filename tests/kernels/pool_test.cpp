// Channel-blocked pooling and reordering on every instruction set, against the plain kernels (which tests/ops checks by definition).
#include "kernels/pool/pool.h"

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/conv/conv.h"
#include "kernels/reorder/reorder.h"
#include "tests/support/targets.h"

namespace tenon::kernels {
namespace {

std::vector<float> Random(int64_t n) {
  std::mt19937 gen(5);
  std::uniform_real_distribution<float> dist(-1, 1);
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) x = dist(gen);
  return v;
}

template <class Params>
std::vector<float> RunKernel(Kernel<Params> kernel, const Params& p, const std::vector<float>& src, int64_t size, int64_t parts) {
  std::vector<float> dst(static_cast<size_t>(size), -77.0f);
  const void* in[] = {src.data()};
  void* out[] = {dst.data()};
  std::vector<std::byte> scratch(1 << 16);
  Call call{in, out, scratch.data()};
  for (int64_t i = parts - 1; i >= 0; --i) kernel(p, call, {i, i + 1});
  return dst;
}

int64_t Blocks(int64_t channels) { return (channels + channel_block() - 1) / channel_block(); }

std::vector<float> Reordered(const std::vector<float>& x, int64_t batch, int64_t channels, int64_t pixels, bool to_blocked) {
  ReorderParams p;
  p.to_blocked = to_blocked, p.batch = batch, p.channels = channels, p.pixels = pixels, p.block = channel_block();
  plan_reorder(p);
  return RunKernel(ReorderPointer(), p, x, to_blocked ? batch * Blocks(channels) * channel_block() * pixels : batch * channels * pixels,
                   p.parts());
}

TEST(Reorder, ThereAndBackKeepsEveryBit) {
  test::for_each_target([] {
    for (const int64_t channels : {1, 3, 4, 8, 13, 16, 37}) {
      for (const int64_t pixels : {1, 3, 4, 7, 64, 9001}) {
        const auto x = Random(2 * channels * pixels);
        const auto blocked = Reordered(x, 2, channels, pixels, true);
        // Where an element went, and zeros beyond the last channel.
        const int64_t b = channel_block();
        for (int64_t c = 0; c < Blocks(channels) * b; ++c) {
          const float got = blocked[static_cast<size_t>(((Blocks(channels) + c / b) * pixels + pixels - 1) * b + c % b)];
          ASSERT_EQ(got, c < channels ? x[static_cast<size_t>((channels + c) * pixels + pixels - 1)] : 0.0f);
        }
        ASSERT_EQ(Reordered(blocked, 2, channels, pixels, false), x);
      }
    }
  });
}

void Check(PoolParams p, int64_t batch, int64_t channels) {
  int64_t in = 1, out = 1;
  for (int i = 0; i < p.spatial; ++i) in *= p.in[i], out *= p.out[i];
  const auto x = Random(batch * channels * in);
  p.planes = batch * channels;
  PoolParams plain = p;
  const int64_t parts = plan_pool(plain);
  const auto want = RunKernel(PoolPlainPointer(), plain, x, batch * channels * out, parts);
  test::for_each_target([&] {
    PoolParams blocked = p;
    blocked.block = channel_block();
    blocked.planes = batch * Blocks(channels);
    const int64_t blocked_parts = plan_pool(blocked);
    ASSERT_EQ(pool.rows[0].refuse(blocked), nullptr);
    const auto y = RunKernel(pool.rows[0].pointer(), blocked, Reordered(x, batch, channels, in, true), blocked.planes * blocked.block * out,
                             blocked_parts);
    const auto got = Reordered(y, batch, channels, out, false);
    for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-6f) << i;
    ASSERT_TRUE(takes_pool_lines(plain));
    const auto lines = RunKernel(PoolLinesPointer(), plain, x, batch * channels * out, parts);
    for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(lines[i], want[i], 1e-6f) << i;
  });
}

TEST(Pool, BlockedWindows) {
  for (const PoolKind kind : {PoolKind::kMax, PoolKind::kAverage}) {
    for (const bool include : {false, true}) {
      PoolParams p{};
      p.kind = kind, p.count_include_pad = include, p.spatial = 2;
      const int64_t in[] = {9, 12}, kernel[] = {3, 2}, stride[] = {2, 3}, dilation[] = {1, 2}, pad[] = {1, 0}, pad_end[] = {2, 1};
      for (int i = 0; i < 2; ++i) {
        p.in[i] = in[i], p.kernel[i] = kernel[i], p.stride[i] = stride[i], p.dilation[i] = dilation[i], p.pad[i] = pad[i],
        p.pad_end[i] = pad_end[i];
        p.out[i] = (in[i] + pad[i] + pad_end[i] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1;
      }
      Check(p, 2, 21);
    }
  }
  for (const int64_t stride : {1, 2, 3}) {  // lines longer than any vector, and odd ends
    for (const PoolKind kind : {PoolKind::kMax, PoolKind::kAverage}) {
      PoolParams p{};
      p.kind = kind, p.spatial = 2;
      p.in[0] = 5, p.in[1] = 75;
      for (int i = 0; i < 2; ++i) {
        p.kernel[i] = 3, p.stride[i] = stride, p.dilation[i] = 1, p.pad[i] = 2, p.pad_end[i] = 1;
        p.out[i] = (p.in[i] + 3 - 3) / stride + 1;
      }
      Check(p, 1, 3);
    }
  }
  PoolParams one{};
  one.spatial = 1, one.in[0] = 50, one.out[0] = 25, one.kernel[0] = one.stride[0] = 2, one.dilation[0] = 1;
  Check(one, 1, 40);
  PoolParams three{};
  three.spatial = 3, three.kind = PoolKind::kAverage;
  for (int i = 0; i < 3; ++i) three.in[i] = 5, three.out[i] = 3, three.kernel[i] = 3, three.stride[i] = three.dilation[i] = 1;
  Check(three, 1, 9);
}

TEST(Pool, BlockedMaxKeepsNan) {
  test::for_each_target([] {
    const int64_t b = channel_block();
    PoolParams p{};
    p.spatial = 1, p.block = static_cast<int32_t>(b), p.in[0] = 6, p.out[0] = 3, p.kernel[0] = 2, p.stride[0] = 2, p.dilation[0] = 1;
    plan_pool(p);
    std::vector<float> x(static_cast<size_t>(6 * b), 1.0f);
    x[0] = std::nanf(""), x[static_cast<size_t>(3 * b)] = std::nanf("");
    const auto y = RunKernel(pool.rows[0].pointer(), p, x, 3 * b, p.row_parts());
    EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[static_cast<size_t>(b)]));
    EXPECT_EQ(y[1], 1);
    EXPECT_EQ(y[static_cast<size_t>(2 * b)], 1);
  });
}

TEST(GlobalPool, Blocked) {
  for (const PoolKind kind : {PoolKind::kMax, PoolKind::kAverage}) {
    for (const int64_t pixels : {1, 3, 49, 1000}) {
      const int64_t channels = 21;
      const auto x = Random(channels * pixels);
      GlobalPoolParams p;
      p.kind = kind, p.planes = channels, p.pixels = pixels;
      const auto want = RunKernel(GlobalPoolPlainPointer(), p, x, channels, channels);
      test::for_each_target([&] {
        GlobalPoolParams q = p;
        q.block = channel_block(), q.planes = Blocks(channels);
        ASSERT_EQ(global_pool.rows[0].refuse(q), nullptr);
        const auto y = RunKernel(global_pool.rows[0].pointer(), q, Reordered(x, 1, channels, pixels, true), q.planes * q.block, q.planes);
        const auto got = Reordered(y, 1, channels, 1, false);
        for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-5f);
      });
    }
  }
}

}  // namespace
}  // namespace tenon::kernels

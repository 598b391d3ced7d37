// Pooling and reordering on every instruction set, against the plain kernels (which tests/ops checks by definition).
#include "kernels/pool/pool.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
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

template <class Params, class T>
std::vector<T> RunKernel(Kernel<Params> kernel, const Params& p, const std::vector<T>& src, int64_t size, int64_t parts,
                         int64_t scratch_bytes = 0) {
  std::vector<T> dst(static_cast<size_t>(size), T(77));
  const void* in[] = {src.data()};
  void* out[] = {dst.data()};
  std::vector<std::byte> scratch(static_cast<size_t>(scratch_bytes), std::byte{0xff});
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

int64_t Scratch(const PoolParams& p) {
  return std::max(takes_pool_sliding(p) ? pool_band(p).bytes : 0, takes_pool_lines(p) ? pool_line_bytes(p) : 0);
}

/// Calls f(row) for the rows of the table that take p, but the plain one; returns how many there were.
template <class F>
int EachRow(const PoolParams& p, F&& f) {
  int rows = 0;
  for (const auto& row : pool) {
    if (row.refuse(p) != nullptr || row.pointer == PoolPlainPointer) continue;
    SCOPED_TRACE(row.name);
    f(row.pointer());
    ++rows;
  }
  return rows;
}

void Check(PoolParams p, int64_t batch, int64_t channels) {
  int64_t in = 1, out = 1;
  for (int i = 0; i < p.spatial; ++i) in *= p.in[i], out *= p.out[i];
  const auto x = Random(batch * channels * in);
  p.planes = batch * channels;
  plan_pool(p);
  const auto want = RunKernel(PoolPlainPointer(), p, x, batch * channels * out, p.planes * p.row_parts());
  const auto check = [&](const std::vector<float>& got) {
    for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-6f) << i;
  };
  test::for_each_target([&] {
    const int plain =
        EachRow(p, [&](auto kernel) { check(RunKernel(kernel, p, x, batch * channels * out, p.planes * p.row_parts(), Scratch(p))); });
    EXPECT_EQ(plain, takes_pool_sliding(p) ? 2 : 1);
    PoolParams b = p;
    b.block = channel_block();
    b.planes = batch * Blocks(channels);
    plan_pool(b);
    const auto blocked_x = Reordered(x, batch, channels, in, true);
    const int blocked = EachRow(b, [&](auto kernel) {
      const auto y = RunKernel(kernel, b, blocked_x, b.planes * b.block * out, b.planes * b.row_parts(), Scratch(b));
      check(Reordered(y, batch, channels, out, false));
    });
    EXPECT_EQ(blocked, takes_pool_sliding(b) ? 2 : 1);
  });
}

template <class T>
void CheckBytes(PoolParams p) {
  int64_t in = p.planes, out = p.planes;
  for (int i = 0; i < p.spatial; ++i) in *= p.in[i], out *= p.out[i];
  std::mt19937 gen(3);
  std::vector<T> x(static_cast<size_t>(in));
  for (T& v : x) v = static_cast<T>(gen());
  p.dtype = std::is_signed_v<T> ? DType::kInt8 : DType::kUint8;
  const int64_t parts = plan_pool(p);
  const auto want = RunKernel(PoolPlainPointer(), p, x, out, parts);
  test::for_each_target(
      [&] { EXPECT_GE(EachRow(p, [&](auto kernel) { ASSERT_EQ(RunKernel(kernel, p, x, out, parts, Scratch(p)), want); }), 1); });
}

PoolParams Square(PoolKind kind, int64_t height, int64_t width, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation = 1) {
  PoolParams p{};
  p.kind = kind, p.spatial = 2, p.planes = 3, p.in[0] = height, p.in[1] = width;
  for (int i = 0; i < 2; ++i) {
    p.kernel[i] = kernel, p.stride[i] = stride, p.dilation[i] = dilation, p.pad[i] = p.pad_end[i] = pad;
    p.out[i] = (p.in[i] + 2 * pad - (kernel - 1) * dilation - 1) / stride + 1;
  }
  return p;
}

TEST(Pool, Windows) {
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
  for (const int64_t stride : {1, 2, 3, 4}) {  // lines longer than any vector, and odd ends
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
  for (const PoolKind kind : {PoolKind::kMax, PoolKind::kAverage}) {
    for (const int64_t stride : {2, 4}) {
      for (const int64_t kernel : {1, 2, 4, 5, 7, 8, 10}) Check(Square(kind, 11, 150, kernel, stride, kernel / 2), 1, 3);
      Check(Square(kind, 11, 150, 3, stride, 1, 2), 1, 3);  // taps that are no neighbours
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

TEST(Pool, WindowsThatMoveByOne) {
  for (const PoolKind kind : {PoolKind::kMax, PoolKind::kAverage}) {
    for (const bool include : {false, true}) {
      PoolParams p = Square(kind, 20, 20, 5, 1, 2);
      p.count_include_pad = include;
      Check(p, 1, 21);
      p = Square(kind, 7, 3, 3, 1, 1);
      p.count_include_pad = include;
      Check(p, 2, 5);
      p = Square(kind, 130, 75, 3, 1, 1);  // several bands a plane
      p.count_include_pad = include;
      Check(p, 1, 3);
      p = Square(kind, 40, 33, 13, 1, 6);  // more taps down than a band has rows otherwise
      p.count_include_pad = include;
      Check(p, 1, 2);
    }
    Check(Square(kind, 12, 30, 3, 1, 2, 2), 1, 3);
    Check(Square(kind, 9, 9, 9, 1, 8), 1, 2);  // most of a window outside
    PoolParams line{};
    line.kind = kind, line.spatial = 1, line.in[0] = 70, line.out[0] = 69, line.kernel[0] = 4, line.stride[0] = line.dilation[0] = 1;
    line.pad[0] = 2, line.pad_end[0] = 0;
    Check(line, 1, 9);
  }
}

TEST(Pool, Bytes) {
  for (const int64_t stride : {1, 2, 3, 4}) {
    for (const int64_t width : {5, 31, 150}) {
      CheckBytes<uint8_t>(Square(PoolKind::kMax, 17, width, 3, stride, 1));
      CheckBytes<int8_t>(Square(PoolKind::kMax, 17, width, 3, stride, 1));
    }
  }
  CheckBytes<int8_t>(Square(PoolKind::kMax, 4, 4, 3, 1, 2, 2));
}

/// Bands too large for the memory of a thread are left to the other rows.
TEST(Pool, HugeWindows) {
  PoolParams p = Square(PoolKind::kMax, 3, 3, int64_t{1} << 30, 1, (int64_t{1} << 30) - 1);
  EXPECT_FALSE(takes_pool_sliding(p));
  EXPECT_FALSE(takes_pool_lines(p));
}

TEST(Pool, PlainMaxKeepsNanAndInfinity) {
  const float nan = std::nanf(""), low = -std::numeric_limits<float>::infinity();
  for (const int64_t stride : {1, 2}) {
    PoolParams p = Square(PoolKind::kMax, 6, 40, 3, stride, 1);
    plan_pool(p);
    std::vector<float> x(static_cast<size_t>(3 * 6 * 40), 1.0f);
    x[0] = x[45] = x[3 * 6 * 40 - 1] = nan;
    for (size_t i = 240; i < 480; ++i) x[i] = low;
    const int64_t out = 3 * p.out[0] * p.out[1];
    const auto want = RunKernel(PoolPlainPointer(), p, x, out, p.planes * p.row_parts());
    test::for_each_target([&] {
      EachRow(p, [&](auto kernel) {
        const auto got = RunKernel(kernel, p, x, out, p.planes * p.row_parts(), Scratch(p));
        for (size_t i = 0; i < got.size(); ++i) ASSERT_TRUE(got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i]))) << i;
      });
    });
  }
}

TEST(Pool, BlockedMaxKeepsNan) {
  test::for_each_target([] {
    const int64_t b = channel_block();
    PoolParams p{};
    p.spatial = 1, p.block = static_cast<int32_t>(b), p.in[0] = 6, p.out[0] = 3, p.kernel[0] = 2, p.stride[0] = 2, p.dilation[0] = 1;
    plan_pool(p);
    std::vector<float> x(static_cast<size_t>(6 * b), 1.0f);
    x[0] = std::nanf(""), x[static_cast<size_t>(3 * b)] = std::nanf("");
    const auto y = RunKernel(PoolBlockedPointer(), p, x, 3 * b, p.row_parts());
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

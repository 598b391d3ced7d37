// Every row of the table against the plain one, on every instruction set.
#include "kernels/elementwise/cast.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/support/targets.h"

namespace tenon::kernels {
namespace {

/// The destination begins `shift` elements into a buffer; what lies around it must stay.
std::vector<char> RunKernel(Kernel<CastParams> kernel, const CastParams& p, const void* src, size_t shift) {
  std::vector<char> dst((static_cast<size_t>(p.count) + shift) * size_of(p.to) + 8, 77);
  const void* in[] = {src};
  void* out[] = {dst.data() + shift * size_of(p.to)};
  const int64_t parts = (p.count + p.chunk - 1) / p.chunk;
  for (int64_t i = parts - 1; i >= 0; --i) kernel(p, Call{in, out}, {i, i + 1});
  return dst;
}

void Check(DType from, DType to, const void* src, int64_t count) {
  CastParams p;
  p.from = from, p.to = to, p.count = count;
  int rows = 0;
  for (const size_t shift : {0, 1, 4, 15}) {
    const auto want = (p.chunk = count, RunKernel(CastPlainPointer(), p, src, shift));
    for (const int64_t chunk : {int64_t{37}, count}) {
      p.chunk = chunk;
      test::for_each_target([&] {
        for (const auto& row : cast) {
          if (row.refuse(p) != nullptr) continue;
          ++rows;
          ASSERT_EQ(RunKernel(row.pointer(), p, src, shift), want) << row.name;
        }
      });
    }
  }
  EXPECT_GT(rows, 8);
}

TEST(Cast, EveryRowAgreesWithThePlainOne) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> floats = {0.0f,           -0.0f, 0.5f,  -0.5f, 1.5f, -1.99f, 2147483520.0f, 2147483648.0f,
                               -2147483648.0f, 3e9f,  -3e9f, 1e19f, inf,  -inf,   std::nanf("")};
  for (int64_t i = 0; i < 2500; ++i) floats.push_back(static_cast<float>(i * i * i - 999999) / 7);
  for (const DType to : {DType::kInt64, DType::kInt32, DType::kFloat16, DType::kBFloat16, DType::kUint8, DType::kFloat64}) {
    Check(DType::kFloat32, to, floats.data(), static_cast<int64_t>(floats.size()));
  }
  std::vector<int64_t> longs = {0, -1, INT64_MIN, INT64_MAX, INT64_MIN + 1};
  for (int bit = 22; bit < 63; ++bit) {  // ties of the rounding to 24 bits, and what double does not hold
    for (int64_t d = -3; d <= 3; ++d) {
      for (const int64_t half : {int64_t{0}, int64_t{1} << (bit - 22), int64_t{3} << (bit - 22)}) {
        longs.push_back((int64_t{1} << bit) + half / 2 + d);
        longs.push_back(-longs.back());
      }
    }
  }
  for (int i = 0; i < 1200; ++i) longs.push_back(i * 7919 - 99999);
  for (const DType to : {DType::kFloat32, DType::kFloat64, DType::kInt32})
    Check(DType::kInt64, to, longs.data(), static_cast<int64_t>(longs.size()));
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 3000; ++i) bytes.push_back(static_cast<uint8_t>(i));
  Check(DType::kUint8, DType::kFloat32, bytes.data(), 3000);
  Check(DType::kInt8, DType::kFloat32, bytes.data(), 3000);
  for (uint8_t& b : bytes) b &= 1;
  Check(DType::kBool, DType::kFloat32, bytes.data(), 3000);
}

}  // namespace
}  // namespace tenon::kernels

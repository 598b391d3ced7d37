// Every row of the table against the plain one, on every instruction set.
#include "kernels/elementwise/cast.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/support/targets.h"

namespace tenon::kernels {
namespace {

std::vector<char> RunKernel(Kernel<CastParams> kernel, const CastParams& p, const void* src) {
  std::vector<char> dst(static_cast<size_t>(p.count) * size_of(p.to) + 8, 77);
  const void* in[] = {src};
  void* out[] = {dst.data()};
  const int64_t parts = (p.count + p.chunk - 1) / p.chunk;
  for (int64_t i = parts - 1; i >= 0; --i) kernel(p, Call{in, out}, {i, i + 1});
  return dst;
}

void Check(DType from, DType to, const void* src, int64_t count) {
  CastParams p;
  p.from = from, p.to = to, p.count = count, p.chunk = 37;
  const auto want = RunKernel(CastPlainPointer(), p, src);
  int rows = 0;
  test::for_each_target([&] {
    for (const auto& row : cast) {
      if (row.refuse(p) != nullptr) continue;
      ++rows;
      ASSERT_EQ(RunKernel(row.pointer(), p, src), want) << row.name;
    }
  });
  EXPECT_GT(rows, 1);
}

TEST(Cast, EveryRowAgreesWithThePlainOne) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> floats = {0.0f,           -0.0f, 0.5f,  -0.5f, 1.5f, -1.99f, 2147483520.0f, 2147483648.0f,
                               -2147483648.0f, 3e9f,  -3e9f, 1e19f, inf,  -inf,   std::nanf("")};
  for (int i = 0; i < 200; ++i) floats.push_back(static_cast<float>(i * i * i - 999999) / 7);
  for (const DType to : {DType::kInt64, DType::kInt32, DType::kFloat16, DType::kBFloat16, DType::kUint8, DType::kFloat64}) {
    Check(DType::kFloat32, to, floats.data(), static_cast<int64_t>(floats.size()));
  }
  std::vector<uint8_t> bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<uint8_t>(i));
  Check(DType::kUint8, DType::kFloat32, bytes.data(), 256);
  for (uint8_t& b : bytes) b &= 1;
  Check(DType::kBool, DType::kFloat32, bytes.data(), 256);
}

}  // namespace
}  // namespace tenon::kernels

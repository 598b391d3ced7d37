// Every row of the table against the plain one, on every instruction set.
#include <random>
#include <vector>

#include "kernels/normalization/layer_norm.h"
#include "tests/support/targets.h"

namespace tenon::kernels {
namespace {

std::vector<float> RunKernel(Kernel<LpNormParams> kernel, const LpNormParams& p, const std::vector<float>& x) {
  std::vector<float> dst(x.size(), -77.0f);
  const void* in[] = {x.data()};
  void* out[] = {dst.data()};
  const int64_t parts = (p.outer * p.inner + p.chunk - 1) / p.chunk;
  for (int64_t i = parts - 1; i >= 0; --i) kernel(p, Call{in, out}, {i, i + 1});
  return dst;
}

TEST(LpNorm, EveryRowAgreesWithThePlainOne) {
  std::mt19937 gen(3);
  std::uniform_real_distribution<float> numbers(-2, 2);
  for (const int64_t n : {1, 5, 16, 70, 3000}) {
    for (const int64_t inner : {1, 3, 300}) {
      LpNormParams p;
      p.outer = 2, p.n = n, p.inner = inner, p.chunk = inner == 1 ? 1 : 130;
      std::vector<float> x(static_cast<size_t>(2 * n * inner));
      for (float& v : x) v = numbers(gen);
      for (int64_t i = 0; i < n; ++i) x[static_cast<size_t>(i * inner)] = 0;  // a line without length
      for (const int32_t norm : {1, 2}) {
        p.p = norm;
        const auto want = RunKernel(LpNormPlainPointer(), p, x);
        test::for_each_target([&] {
          for (const auto& row : lp_norm) {
            const auto got = RunKernel(row.pointer(), p, x);
            for (size_t i = 0; i < want.size(); ++i)
              ASSERT_NEAR(got[i], want[i], 2e-6f * (1 + std::abs(want[i]))) << row.name << " at " << i;
          }
        });
      }
    }
  }
}

}  // namespace
}  // namespace tenon::kernels

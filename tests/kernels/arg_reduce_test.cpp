// Every row of the table against the plain one, on every instruction set.
#include "kernels/reduction/arg_reduce.h"

#include <cmath>
#include <random>
#include <vector>

#include "tests/support/targets.h"

namespace tenon::kernels {
namespace {

std::vector<int64_t> RunKernel(Kernel<ArgReduceParams> kernel, const ArgReduceParams& p, const std::vector<float>& x) {
  const int64_t outputs = p.outer * p.inner;
  std::vector<int64_t> dst(static_cast<size_t>(outputs), -7);
  const void* in[] = {x.data()};
  void* out[] = {dst.data()};
  const int64_t parts = (outputs + p.chunk - 1) / p.chunk;
  for (int64_t i = parts - 1; i >= 0; --i) kernel(p, Call{in, out}, {i, i + 1});
  return dst;
}

/// Few distinct values, so that extremes come several times; every `nan_every`th is NaN.
std::vector<float> Values(int64_t n, int nan_every) {
  std::mt19937 gen(static_cast<uint32_t>(n));
  std::vector<float> v(static_cast<size_t>(n));
  for (float& x : v) {
    x = static_cast<float>(static_cast<int>(gen() % 9) - 4);
    if (nan_every > 0 && gen() % static_cast<unsigned>(nan_every) == 0) x = std::nanf("");
  }
  return v;
}

TEST(ArgReduce, EveryRowAgreesWithThePlainOne) {
  for (const int64_t n : {1, 2, 7, 16, 33, 200}) {
    for (const int64_t inner : {1, 3, 40, 700}) {
      for (const int nan_every : {0, 50, 3}) {
        ArgReduceParams p;
        p.outer = 3, p.n = n, p.inner = inner, p.chunk = inner == 700 ? 511 : 2;
        const auto x = Values(p.outer * n * inner, nan_every);
        for (const bool min : {false, true}) {
          for (const bool last : {false, true}) {
            p.min = min, p.last = last;
            const auto want = RunKernel(ArgReducePlainPointer(), p, x);
            test::for_each_target([&] {
              for (const auto& row : arg_reduce) {
                if (row.refuse(p) != nullptr) continue;
                ASSERT_EQ(RunKernel(row.pointer(), p, x), want)
                    << row.name << " n " << n << " inner " << inner << " min " << min << " last " << last;
              }
            });
          }
        }
      }
    }
  }
}

TEST(ArgReduce, InfinitiesAreValues) {
  const float inf = INFINITY;
  test::for_each_target([&] {
    ArgReduceParams p;
    p.n = 40;
    EXPECT_EQ(RunKernel(ArgReduceLinesPointer(), p, std::vector<float>(40, -inf)), std::vector<int64_t>{0});
    p.last = true;
    EXPECT_EQ(RunKernel(ArgReduceLinesPointer(), p, std::vector<float>(40, -inf)), std::vector<int64_t>{39});
  });
}

}  // namespace
}  // namespace tenon::kernels

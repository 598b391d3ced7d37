#include "benchmarks/machine.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "benchmarks/machine.cpp"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Runs `turns` times 12 independent multiply-adds on full vectors; returns something that depends on all of them.
float MultiplyAdds(int64_t turns, float x) {
  const hn::CappedTag<float, 16> d;
  // Different values, or the compiler computes one of them only.
  auto a0 = hn::Set(d, x), a1 = hn::Set(d, x + 1), a2 = hn::Set(d, x + 2), a3 = hn::Set(d, x + 3), a4 = hn::Set(d, x + 4),
       a5 = hn::Set(d, x + 5);
  auto a6 = hn::Set(d, x + 6), a7 = hn::Set(d, x + 7), a8 = hn::Set(d, x + 8), a9 = hn::Set(d, x + 9), a10 = hn::Set(d, x + 10),
       a11 = hn::Set(d, x + 11);
  const auto factor = hn::Set(d, 0.5f), add = hn::Set(d, x);
  for (; turns > 0; --turns) {
    a0 = hn::MulAdd(a0, factor, add);
    a1 = hn::MulAdd(a1, factor, add);
    a2 = hn::MulAdd(a2, factor, add);
    a3 = hn::MulAdd(a3, factor, add);
    a4 = hn::MulAdd(a4, factor, add);
    a5 = hn::MulAdd(a5, factor, add);
    a6 = hn::MulAdd(a6, factor, add);
    a7 = hn::MulAdd(a7, factor, add);
    a8 = hn::MulAdd(a8, factor, add);
    a9 = hn::MulAdd(a9, factor, add);
    a10 = hn::MulAdd(a10, factor, add);
    a11 = hn::MulAdd(a11, factor, add);
  }
  const auto s0 = hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), s1 = hn::Add(hn::Add(a4, a5), hn::Add(a6, a7));
  return hn::GetLane(hn::Add(hn::Add(s0, s1), hn::Add(hn::Add(a8, a9), hn::Add(a10, a11))));
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <vector>

namespace tenon::kernels {
namespace {
HWY_EXPORT(MultiplyAdds);
auto multiply_adds() { return TENON_POINTER(MultiplyAdds); }
}  // namespace
}  // namespace tenon::kernels

namespace tenon::benchmarks {

namespace {

/// The shortest of `turns` runs, in seconds.
template <class F>
double shortest(int turns, F&& f) {
  double best = 1e30;
  for (int i = 0; i < turns; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

}  // namespace

double peak_gflops() {
  static const double peak = [] {
    constexpr int64_t kTurns = 20000;
    const double seconds = shortest(200, [] { benchmark::DoNotOptimize(kernels::multiply_adds()(kTurns, 1.0f)); });
    return 24e-9 * kTurns * kernels::float_lanes() / seconds;
  }();
  return peak;
}

double copy_speed(double bytes) {
  static std::map<double, double> known;
  double& speed = known[bytes];
  if (speed == 0) {
    const auto half = static_cast<size_t>(bytes / 2);
    std::vector<std::byte> from(half + 1, std::byte{1}), to(half + 1);
    const int turns = static_cast<int>(std::clamp(1e9 / bytes, 20.0, 2000.0));
    const double seconds = shortest(turns, [&] {
      std::memcpy(to.data(), from.data(), half);
      benchmark::ClobberMemory();
    });
    speed = bytes / seconds * 1e-9;
  }
  return speed;
}

}  // namespace tenon::benchmarks
#endif

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
#include <time.h>

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

/// The seconds of each of `least` calls or more, until `seconds` have passed, sorted.
template <class F>
std::vector<double> bursts(double seconds, size_t least, F&& f) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); };
  std::vector<double> taken;
  for (const auto begin = Clock::now(); taken.size() < least || since(begin) < seconds;) {
    const auto start = Clock::now();
    f();
    taken.push_back(since(start));
  }
  std::sort(taken.begin(), taken.end());
  return taken;
}

constexpr int64_t kTurns = 20000;

void multiply_and_add() {
  [[maybe_unused]] static volatile float sink = 0;
  sink = kernels::multiply_adds()(kTurns, 1.0f);
}

double operations() { return 24.0 * kTurns * kernels::float_lanes(); }

}  // namespace

CopyBuffers::CopyBuffers(double bytes) : from_(static_cast<size_t>(bytes / 2) + 1, std::byte{1}), to_(from_.size()) {}

void CopyBuffers::copy() {
  std::memcpy(to_.data(), from_.data(), from_.size());
  // Read through a volatile, or the copy could be left out.
  from_[0] = static_cast<volatile std::byte&>(to_[from_.size() / 2]);
}

double burst_gflops() { return operations() / bursts(0, 1, multiply_and_add).front() * 1e-9; }

double copy_speed(double bytes) {
  static std::map<double, double> known;
  double& speed = known[bytes];
  if (speed == 0) {
    CopyBuffers buffers(bytes);
    speed = bytes / bursts(0.1, 20, [&] { buffers.copy(); }).front() * 1e-9;
  }
  return speed;
}

Speeds usual_speeds(double seconds, CopyBuffers& buffers) {
  const auto usual = [](const std::vector<double>& taken) { return taken[taken.size() / 2]; };
  const auto now = [](clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double wall = now(CLOCK_MONOTONIC), own = now(CLOCK_THREAD_CPUTIME_ID);
  Speeds speeds{};
  speeds.gflops = operations() / usual(bursts(seconds, 5, multiply_and_add)) * 1e-9;
  speeds.gb_per_s = buffers.bytes() / usual(bursts(seconds, 5, [&] { buffers.copy(); })) * 1e-9;
  speeds.share = (now(CLOCK_THREAD_CPUTIME_ID) - own) / (now(CLOCK_MONOTONIC) - wall);
  return speeds;
}

}  // namespace tenon::benchmarks
#endif

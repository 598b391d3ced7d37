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

/// Reads `count` floats; returns something that depends on all of them but a last part of a vector.
float ReadFloats(const float* from, int64_t count) {
  const hn::CappedTag<float, 16> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto a0 = hn::Zero(d), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
  int64_t i = 0;
  for (; i + 8 * lanes <= count; i += 8 * lanes) {
    const float* const at = from + i;
    a0 = hn::Add(a0, hn::LoadU(d, at));
    a1 = hn::Add(a1, hn::LoadU(d, at + lanes));
    a2 = hn::Add(a2, hn::LoadU(d, at + 2 * lanes));
    a3 = hn::Add(a3, hn::LoadU(d, at + 3 * lanes));
    a4 = hn::Add(a4, hn::LoadU(d, at + 4 * lanes));
    a5 = hn::Add(a5, hn::LoadU(d, at + 5 * lanes));
    a6 = hn::Add(a6, hn::LoadU(d, at + 6 * lanes));
    a7 = hn::Add(a7, hn::LoadU(d, at + 7 * lanes));
  }
  for (; i + lanes <= count; i += lanes) a0 = hn::Add(a0, hn::LoadU(d, from + i));
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), hn::Add(hn::Add(a4, a5), hn::Add(a6, a7)))));
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <thread>
#include <vector>

namespace tenon::kernels {
namespace {
TENON_EXPORT(MultiplyAdds);
TENON_EXPORT(ReadFloats);
auto multiply_adds() { return TENON_POINTER(MultiplyAdds); }
auto read_floats() { return TENON_POINTER(ReadFloats); }
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

/// The speed of the best of many passes over memory of `bytes`, measured once a size.
template <class Make>
double best_speed(std::map<double, double>& known, double bytes, Make&& make) {
  double& speed = known[bytes];
  if (speed == 0) speed = bytes / bursts(0.1, 20, make()).front() * 1e-9;
  return speed;
}

double usual(const std::vector<double>& taken) { return taken[taken.size() / 2]; }

std::shared_ptr<Buffer> touched(double bytes) {
  auto buffer = *Buffer::allocate(static_cast<size_t>(bytes));
  std::memset(buffer->data(), 1, buffer->size());
  return buffer;
}

void read(const void* from, int64_t bytes) {
  [[maybe_unused]] static volatile float sink = 0;
  sink = kernels::read_floats()(static_cast<const float*>(from), bytes / 4);
}

double operations() { return 24.0 * kTurns * kernels::float_lanes(); }

}  // namespace

CopyBuffers::CopyBuffers(double bytes) : from_(touched(bytes / 2 + 1)), to_(touched(bytes / 2 + 1)) {}

void CopyBuffers::copy() {
  std::memcpy(to_->data(), from_->data(), from_->size());
  // Read through a volatile, or the copy could be left out.
  from_->data()[0] = static_cast<volatile std::byte&>(to_->data()[from_->size() / 2]);
}

double CopyBuffers::burst() {
  return bytes() / bursts(0, 1, [&] { copy(); }).front() * 1e-9;
}

double burst_gflops() { return operations() / usual(bursts(0, 5, multiply_and_add)) * 1e-9; }

double gflops_at_once(int threads, double seconds) {
  std::vector<double> each(static_cast<size_t>(threads));
  std::barrier ready(threads);
  const auto work = [&](size_t k) {
    ready.arrive_and_wait();
    each[k] = operations() / usual(bursts(seconds, 5, multiply_and_add)) * 1e-9;
  };
  std::vector<std::jthread> others;
  for (size_t k = 1; k < each.size(); ++k) others.emplace_back(work, k);
  work(0);
  others.clear();
  double sum = 0;
  for (const double gflops : each) sum += gflops;
  return sum;
}

double copy_speed(double bytes) {
  static std::map<double, double> known;
  return best_speed(known, bytes, [&] { return [buffers = CopyBuffers(bytes)]() mutable { buffers.copy(); }; });
}

double burst_read(const void* from, int64_t bytes) {
  return static_cast<double>(bytes) / bursts(0, 1, [&] { read(from, bytes); }).front() * 1e-9;
}

double read_speed(double bytes) {
  static std::map<double, double> known;
  return best_speed(known, bytes, [&] { return [buffer = touched(bytes), bytes] { read(buffer->data(), static_cast<int64_t>(bytes)); }; });
}

double seconds_into_new_memory(double bytes) {
  constexpr size_t kHugePage = 2 << 20, kHeld = 8 << 20;
  const auto size = static_cast<size_t>(bytes);
  static const std::shared_ptr<Buffer> from = touched(kHeld);
  double least = std::numeric_limits<double>::max();
  for (const int pages : {MADV_NOHUGEPAGE, MADV_HUGEPAGE}) {
    void* block = MAP_FAILED;
    const auto taken = bursts(0, 1, [&] {
      block = mmap(nullptr, size + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (block == MAP_FAILED) return;
      madvise(block, size + kHugePage, pages);
      for (size_t at = 0; at < size; at += kHeld)
        std::memcpy(static_cast<std::byte*>(block) + at, from->data(), std::min(kHeld, size - at));
    });
    if (block == MAP_FAILED) continue;
    least = std::min(least, taken.front());
    munmap(block, size + kHugePage);
  }
  return least;
}

Speeds usual_speeds(double seconds, CopyBuffers& buffers) {
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

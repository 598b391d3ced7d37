#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dispatch.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
int FloatLanes() { return static_cast<int>(hwy::HWY_NAMESPACE::Lanes(hwy::HWY_NAMESPACE::ScalableTag<float>())); }
}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <atomic>
#include <bit>
#include <iterator>

#include "base/cpu.h"

namespace tenon::kernels {
namespace {

TENON_EXPORT(FloatLanes);

/// Those of TENON_EXPORT's tables, in their order: the best first.
constexpr int64_t kTargets[] = {HWY_AVX3, HWY_AVX2, HWY_SSE4, HWY_NEON, HWY_STATIC_TARGET};
constexpr int kCount = static_cast<int>(std::size(kTargets));

/// Whether kernels are compiled for the target at this place, and what is before it is not the same one.
constexpr bool compiled(int place) {
  for (int i = 0; i < place; ++i) {
    if (kTargets[i] == kTargets[place]) return false;
  }
  return (kTargets[place] & HWY_TARGETS) != 0;
}

bool usable(int place, Isa best) {
  if (!compiled(place)) return false;
  if (kTargets[place] == HWY_STATIC_TARGET) return true;
  return kTargets[place] == HWY_AVX3 ? best >= Isa::kAvx512 : kTargets[place] != HWY_AVX2 || best >= Isa::kAvx2;
}

/// Places that dispatch uses when nothing is forced, as bits; never changes within a process.
uint32_t allowed() {
  static const uint32_t places = [] {
    const auto capped = allowed_isa();
    const Isa best = capped.ok() ? *capped : best_isa();
    uint32_t all = 0;
    for (int i = 0; i < kCount; ++i) all |= uint32_t{usable(i, best)} << i;
    return all;
  }();
  return places;
}

constexpr int kUnknown = -1;
std::atomic<int> chosen{kUnknown};

}  // namespace

void init_dispatch() {
  if (chosen.load(std::memory_order_relaxed) == kUnknown) chosen.store(std::countr_zero(allowed()), std::memory_order_relaxed);
}

int target_place() {
  init_dispatch();
  return chosen.load(std::memory_order_relaxed);
}

void force_target(int64_t target) {
  int place = std::countr_zero(allowed());
  for (int i = 0; i < kCount && target != 0; ++i) {
    if (compiled(i) && kTargets[i] == target) place = i;
  }
  chosen.store(place, std::memory_order_relaxed);
}

int supported_targets(int64_t* targets) {
  int n = 0;
  for (uint32_t left = allowed(); left != 0 && n < 8; left &= left - 1) targets[n++] = kTargets[std::countr_zero(left)];
  return n;
}

int float_lanes() { return TENON_POINTER(FloatLanes)(); }

}  // namespace tenon::kernels
#endif

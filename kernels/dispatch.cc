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
#include <cstdlib>
#include <cstring>

namespace tenon::kernels {
namespace {

HWY_EXPORT(FloatLanes);

/// Targets above the cap of TENON_MAX_ISA, which is for x86 alone. There Highway gives better targets lower bits.
int64_t capped() {
#if HWY_ARCH_X86
  const char* cap = std::getenv("TENON_MAX_ISA");
  if (cap == nullptr) return 0;
  if (std::strcmp(cap, "sse4") == 0) return HWY_SSE4 - 1;
  if (std::strcmp(cap, "avx2") == 0) return HWY_AVX2 - 1;
#endif
  return 0;
}

/// What dispatch uses when nothing is forced; never changes within a process.
int64_t allowed() {
  static const int64_t targets = [] {
    // Where there is but one target, as on Arm, it is the baseline, and Highway would ask for more than kernels need of it.
    if constexpr ((HWY_TARGETS & (HWY_TARGETS - 1)) == 0) return int64_t{HWY_TARGETS};
    const int64_t can = hwy::SupportedTargets() & HWY_TARGETS;
    const int64_t kept = can & ~capped();
    return kept != 0 ? kept : can;
  }();
  return targets;
}

std::atomic<bool> ready{false};

}  // namespace

void init_dispatch() {
  if (ready.load(std::memory_order_acquire)) return;
  hwy::GetChosenTarget().Update(allowed());
  ready.store(true, std::memory_order_release);
}

void force_target(int64_t target) {
  hwy::GetChosenTarget().Update(target != 0 ? target : allowed());
  ready.store(true, std::memory_order_release);
}

int supported_targets(int64_t* targets) {
  int n = 0;
  for (int64_t left = allowed(); left != 0 && n < 8; left &= left - 1) targets[n++] = left & -left;
  return n;
}

int float_lanes() { return TENON_POINTER(FloatLanes)(); }

}  // namespace tenon::kernels
#endif

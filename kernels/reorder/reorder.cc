#include "kernels/reorder/reorder.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reorder/reorder.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D4 = hn::CappedTag<float, 4>;
using V4 = hn::Vec<D4>;

/// 4 vectors of 4 floats, `from_step` apart, transposed to 4 vectors, `to_step` apart.
HWY_INLINE void Transpose4(const float* from, int64_t from_step, float* to, int64_t to_step) {
  const D4 d;
  const hn::Repartition<double, D4> d2;
  const V4 a = hn::LoadU(d, from), b = hn::LoadU(d, from + from_step);
  const V4 c = hn::LoadU(d, from + 2 * from_step), e = hn::LoadU(d, from + 3 * from_step);
  const auto ab0 = hn::BitCast(d2, hn::InterleaveLower(d, a, b)), ab1 = hn::BitCast(d2, hn::InterleaveUpper(d, a, b));
  const auto ce0 = hn::BitCast(d2, hn::InterleaveLower(d, c, e)), ce1 = hn::BitCast(d2, hn::InterleaveUpper(d, c, e));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d2, ab0, ce0)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d2, ab0, ce0)), d, to + to_step);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d2, ab1, ce1)), d, to + 2 * to_step);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d2, ab1, ce1)), d, to + 3 * to_step);
}

/// plain: the block's first channel, pixel `begin`; blocked: likewise.
void ToBlocked(const float* plain, int64_t step, float* blocked, int64_t block, int64_t channels, int64_t pixels) {
  const int64_t whole = channels / 4 * 4;
  int64_t i = 0;
  for (; i + 4 <= pixels; i += 4) {
    for (int64_t c = 0; c < whole; c += 4) Transpose4(plain + c * step + i, step, blocked + i * block + c, block);
  }
  for (; i < pixels; ++i) {
    for (int64_t c = 0; c < whole; ++c) blocked[i * block + c] = plain[c * step + i];
  }
  for (int64_t c = whole; c < block; ++c) {
    for (i = 0; i < pixels; ++i) blocked[i * block + c] = c < channels ? plain[c * step + i] : 0.0f;
  }
}

void ToPlain(const float* blocked, int64_t block, float* plain, int64_t step, int64_t channels, int64_t pixels) {
  const int64_t whole = channels / 4 * 4;
  int64_t i = 0;
  for (; i + 4 <= pixels; i += 4) {
    for (int64_t c = 0; c < whole; c += 4) Transpose4(blocked + i * block + c, block, plain + c * step + i, step);
  }
  for (; i < pixels; ++i) {
    for (int64_t c = 0; c < whole; ++c) plain[c * step + i] = blocked[i * block + c];
  }
  for (int64_t c = whole; c < channels; ++c) {
    for (i = 0; i < pixels; ++i) plain[c * step + i] = blocked[i * block + c];
  }
}

}  // namespace

void Reorder(const ReorderParams& p, const Call& call, Range range) {
  const float* src = p.shared_input >= 0 ? reinterpret_cast<const float*>(call.shared + p.shared_input) : call.in<float>(p.input);
  float* dst = p.shared_output >= 0 ? reinterpret_cast<float*>(call.shared + p.shared_output) : call.out<float>(0);
  const int64_t chunks = (p.pixels + p.chunk - 1) / p.chunk;
  const int64_t blocks = (p.channels + p.block - 1) / p.block;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t begin = part % chunks * p.chunk;
    const int64_t n = begin + p.chunk < p.pixels ? p.chunk : p.pixels - begin;
    const int64_t block = part / chunks % blocks;
    const int64_t image = part / chunks / blocks;
    const int64_t channel = block * p.block;
    const int64_t channels = channel + p.block < p.channels ? p.block : p.channels - channel;
    const int64_t plain = (image * p.channels + channel) * p.pixels + begin;
    const int64_t blocked = ((image * blocks + block) * p.pixels + begin) * p.block;
    if (p.to_blocked) {
      ToBlocked(src + plain, p.pixels, dst + blocked, p.block, channels, n);
    } else {
      ToPlain(src + blocked, p.block, dst + plain, p.pixels, channels, n);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>

#include "kernels/dispatch.h"
namespace tenon::kernels {
HWY_EXPORT(Reorder);
Kernel<ReorderParams> ReorderPointer() { return TENON_POINTER(Reorder); }
void plan_reorder(ReorderParams& p) {
  p.chunk = std::clamp<int64_t>((int64_t{1} << 16) / p.block, 4, std::max<int64_t>(4, (p.pixels + 3) / 4 * 4));
}
}  // namespace tenon::kernels
#endif

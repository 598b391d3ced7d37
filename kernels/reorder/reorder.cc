#include "kernels/reorder/reorder.h"

#include <algorithm>

#include "kernels/movement/copy.h"

namespace tenon::kernels {
namespace {

/// A block of channels at a run of pixels is a matrix, and transposed on the way.
void reorder(const ReorderParams& p, const Call& call, Range range) {
  const float* src = p.shared_input >= 0 ? reinterpret_cast<const float*>(call.shared + p.shared_input) : call.in<float>(p.input);
  float* dst = p.shared_output >= 0 ? reinterpret_cast<float*>(call.shared + p.shared_output) : call.out<float>(0);
  constexpr int64_t kSize = sizeof(float);
  const int64_t chunks = (p.pixels + p.chunk - 1) / p.chunk;
  const int64_t blocks = (p.channels + p.block - 1) / p.block;
  const Kernel<CopyParams> transpose = copy_transposed();
  CopyParams copy;
  copy.element = kSize;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t begin = part % chunks * p.chunk, pixels = std::min(p.chunk, p.pixels - begin);
    const int64_t block = part / chunks % blocks, image = part / chunks / blocks;
    const int64_t channel = block * p.block, channels = std::min(p.block, p.channels - channel);
    const int64_t plain = (image * p.channels + channel) * p.pixels + begin;
    const int64_t blocked = ((image * blocks + block) * p.pixels + begin) * p.block;
    const CopyLoop by_channel{channels, p.pixels * kSize, kSize}, by_pixel{pixels, kSize, p.block * kSize};
    copy.k = p.to_blocked ? by_pixel : CopyLoop{channels, by_channel.dst, by_channel.src};
    copy.l = p.to_blocked ? by_channel : CopyLoop{pixels, by_pixel.dst, by_pixel.src};
    copy.k_block = copy.k.count, copy.l_block = copy.l.count;
    const void* from[] = {src + (p.to_blocked ? plain : blocked)};
    void* to[] = {dst + (p.to_blocked ? blocked : plain)};
    transpose(copy, {.src = from, .dst = to, .fault = call.fault}, {0, 1});
    if (p.to_blocked && channels < p.block) {
      for (int64_t i = 0; i < pixels; ++i) std::fill_n(dst + blocked + i * p.block + channels, p.block - channels, 0.0f);
    }
  }
}

}  // namespace

Kernel<ReorderParams> ReorderPointer() { return &reorder; }

void plan_reorder(ReorderParams& p) {
  p.chunk = std::clamp<int64_t>((int64_t{1} << 16) / p.block, 4, std::max<int64_t>(4, (p.pixels + 3) / 4 * 4));
}

}  // namespace tenon::kernels

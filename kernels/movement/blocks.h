// Walking the blocks of a copy.
#pragma once

#include <algorithm>

#include "kernels/movement/movement.h"

namespace tenon::kernels {

/// Copies turns of an outer loop that stays in place in the source from the turn before them, which ends at dst: as many of `turns` as lie
/// within `left` units, when the `done` units before hold a whole turn.
struct Repeated {
  int64_t turns, units;
};
Repeated repeat_turns(const CopyParams& p, int loop, int64_t turns, int64_t done, int64_t left, std::byte* dst);

/// Calls block(src, dst, k, l) for every block of the parts in `range`: k by l elements at these addresses. What repeats
/// a turn of a loop that is one run of bytes in the destination is copied from there instead.
template <class Block>
inline void for_each_block(const CopyParams& p, const Call& call, Range range, Block&& block) {
  const int64_t begin = range.begin * p.units_per_part;
  const int64_t end = std::min(p.units, range.end * p.units_per_part);
  if (begin >= end) return;
  const std::byte* src = call.in<std::byte>(p.input) + p.src_offset;
  std::byte* dst = call.out<std::byte>(p.output) + p.dst_offset;

  int64_t rest = begin;
  int64_t l_index = rest % p.l_blocks;
  rest /= p.l_blocks;
  int64_t k_index = rest % p.k_blocks;
  rest /= p.k_blocks;
  int64_t index[kMaxLoops];
  int64_t src_at = 0, dst_at = 0;
#pragma GCC unroll 1  // few turns of at most kMaxLoops
  for (int i = p.loops - 1; i >= 0; --i) {
    index[i] = rest % p.outer[i].count;
    rest /= p.outer[i].count;
    src_at += index[i] * p.outer[i].src;
    dst_at += index[i] * p.outer[i].dst;
  }
  for (int64_t unit = begin;;) {
    const int64_t k0 = k_index * p.k_block, l0 = l_index * p.l_block;
    block(src + (src_at + k0 * p.k.src + l0 * p.l.src), dst + (dst_at + k0 * p.k.dst + l0 * p.l.dst), std::min(p.k_block, p.k.count - k0),
          std::min(p.l_block, p.l.count - l0));
    if (++unit == end) return;
    if (++l_index < p.l_blocks) continue;
    l_index = 0;
    if (++k_index < p.k_blocks) continue;
    k_index = 0;
#pragma GCC unroll 1
    for (int i = p.loops - 1; i >= 0; --i) {
      src_at += p.outer[i].src;
      dst_at += p.outer[i].dst;
      ++index[i];
      if (p.outer[i].src == 0 && i >= p.dense) {
        const Repeated repeated = repeat_turns(p, i, p.outer[i].count - index[i], unit - begin, end - unit, dst + dst_at);
        unit += repeated.units;
        if (unit == end) return;
        index[i] += repeated.turns;
        dst_at += repeated.turns * p.outer[i].dst;
      }
      if (index[i] < p.outer[i].count) break;
      src_at -= p.outer[i].src * p.outer[i].count;
      dst_at -= p.outer[i].dst * p.outer[i].count;
      index[i] = 0;
    }
  }
}

}  // namespace tenon::kernels

// The simplest form of a copy, how it is cut into parts, and what parts have in common.
#include <algorithm>
#include <cstdlib>

#include "kernels/movement/blocks.h"
#include "kernels/movement/run_copy.h"

namespace tenon::kernels {

namespace {

constexpr int64_t kPartBytes = 128 << 10;
constexpr int64_t kTileBytes = 64 << 10;
constexpr int64_t kTileSide = 128;  ///< elements along the contiguous dim of the destination in one tile of a transposition

bool is_power_of_two_up_to_16(int64_t n) { return n >= 1 && n <= 16 && (n & (n - 1)) == 0; }

/// Blocks of the inner rectangle: long runs where memory is contiguous, near squares where it is transposed.
void cut(CopyParams& p) {
  const int64_t e = p.element;
  if (p.k.src == e && p.l.dst == e && !p.runs()) {
    p.l_block = std::min(p.l.count, kTileSide);
    p.k_block = std::min(p.k.count, std::max<int64_t>(1, kTileBytes / (p.l_block * e)));
    p.l_block = std::min(p.l.count, std::max(p.l_block, kTileBytes / (p.k_block * e)));
  } else {
    p.l_block = std::min(p.l.count, kPartBytes / e);
    p.k_block = std::min(p.k.count, std::max<int64_t>(1, kPartBytes / (p.l_block * e)));
  }
  p.l_blocks = (p.l.count + p.l_block - 1) / p.l_block;
  p.k_blocks = (p.k.count + p.k_block - 1) / p.k_block;
  p.units = p.l_blocks * p.k_blocks;
  for (int i = 0; i < p.loops; ++i) p.units *= p.outer[i].count;
  p.units_per_part = std::max<int64_t>(1, kPartBytes / (p.l_block * p.k_block * e));
}

/// The first of the outer loops that go through the destination from end to end.
int32_t first_dense(const CopyParams& p) {
  int64_t run = p.l.count * p.element;
  int32_t first = p.loops;
  if (p.l.dst != p.element || (p.k.count > 1 && p.k.dst != run)) return first;
  run *= p.k.count;
  for (; first > 0 && p.outer[first - 1].dst == run; --first) run *= p.outer[first - 1].count;
  return first;
}

}  // namespace

bool plan_copy(std::span<const CopyLoop> loops, int64_t element, int64_t src_offset, int64_t dst_offset, CopyParams* params) {
  CopyLoop merged[64];
  int n = 0;
  for (const CopyLoop& loop : loops) {
    if (loop.count == 1) continue;
    if (n > 0 && merged[n - 1].src == loop.src * loop.count && merged[n - 1].dst == loop.dst * loop.count) {
      merged[n - 1] = {merged[n - 1].count * loop.count, loop.src, loop.dst};
    } else {
      if (n == 64) return false;
      merged[n++] = loop;
    }
  }
  // A short run inside other loops is one larger element.
  if (n > 1 && merged[n - 1].src == element && merged[n - 1].dst == element && is_power_of_two_up_to_16(merged[n - 1].count * element)) {
    element *= merged[--n].count;
  }
  CopyParams& p = *params;
  p.element = static_cast<int32_t>(element);
  p.src_offset = src_offset;
  p.dst_offset = dst_offset;
  p.l = n > 0 ? merged[--n] : CopyLoop{1, element, element};
  // Transposed: the loop along which the source is contiguous comes next to the innermost.
  if (p.l.dst == element && p.l.src != element) {
    CopyLoop* k = std::find_if(merged, merged + n, [&](const CopyLoop& loop) { return loop.src == element; });
    if (k != merged + n) std::rotate(k, k + 1, merged + n);
  }
  p.k = n > 0 ? merged[--n] : CopyLoop{};
  if (n > kMaxLoops) return false;
  // A block that is one run of the source and goes to several places of the destination: the source is read from end to end.
  if (p.k.src == element && p.l.src == p.k.count * element) {
    std::stable_sort(merged, merged + n, [](const CopyLoop& a, const CopyLoop& b) { return std::abs(a.src) > std::abs(b.src); });
  }
  p.loops = n;
  std::copy(merged, merged + n, p.outer);
  p.dense = first_dense(p);
  cut(p);
  return true;
}

Repeated repeat_turns(const CopyParams& p, int loop, int64_t turns, int64_t done, int64_t left, std::byte* dst) {
  int64_t units = p.l_blocks * p.k_blocks;
#pragma GCC unroll 1
  for (int i = loop + 1; i < p.loops; ++i) units *= p.outer[i].count;
  turns = done < units ? 0 : std::min(turns, left / units);
  const int64_t bytes = p.outer[loop].dst;
  repeat_bytes(dst - bytes, bytes, (turns + 1) * bytes);
  return {turns, turns * units};
}

double copy_nanoseconds(const CopyParams& p) {
  double rows = static_cast<double>(p.k.count);
  for (int i = 0; i < p.loops; ++i) rows *= static_cast<double>(p.outer[i].count);
  const double elements = rows * static_cast<double>(p.l.count);
  if (p.runs()) return rows * 1.5 + elements * p.element * 0.05;
  if (p.l.dst == p.element && (p.k.src == p.element || p.l.src == 0)) return rows + elements * (0.05 + p.element * 0.05);
  return elements * (0.4 + p.element * 0.05);
}

void JoinParams::cut() {
  column_block = std::max<int64_t>(1, std::min(row_bytes, kPartBytes));
  column_blocks = std::max<int64_t>(1, (row_bytes + column_block - 1) / column_block);
  row_block = std::max<int64_t>(1, kPartBytes / column_block);
}

void GatherParams::cut() {
  column_block = std::max<int64_t>(1, std::min(inner, kPartBytes));
  column_blocks = std::max<int64_t>(1, (inner + column_block - 1) / column_block);
  row_block = std::max<int64_t>(1, kPartBytes / std::max<int64_t>(column_block, 8));
}

}  // namespace tenon::kernels

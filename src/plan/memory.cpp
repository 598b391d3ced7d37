#include "plan/memory.h"

#include <algorithm>
#include <numeric>

#include "base/allocator.h"

namespace tenon {

size_t pack_lifetimes(std::vector<Lifetime>& buffers) {
  const auto rounded = [](size_t bytes) { return (bytes + 64 + kAlignment - 1) / kAlignment * kAlignment; };
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return buffers[a].bytes != buffers[b].bytes ? buffers[a].bytes > buffers[b].bytes : a < b; });
  std::vector<size_t> placed;  // by offset
  placed.reserve(buffers.size());
  size_t total = 0;
  for (const size_t i : order) {
    Lifetime& b = buffers[i];
    const size_t need = rounded(b.bytes);
    size_t best = SIZE_MAX, best_gap = SIZE_MAX, end = 0;
    for (const size_t j : placed) {
      const Lifetime& other = buffers[j];
      if (other.last < b.first || other.first > b.last) continue;
      if (other.offset > end && other.offset - end >= need && other.offset - end < best_gap) {
        best = end;
        best_gap = other.offset - end;
      }
      end = std::max(end, other.offset + rounded(other.bytes));
    }
    b.offset = best != SIZE_MAX ? best : end;
    total = std::max(total, b.offset + need);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), i, [&](size_t x, size_t y) { return buffers[x].offset < buffers[y].offset; }), i);
  }
  return total;
}

}  // namespace tenon

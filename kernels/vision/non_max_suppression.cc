#include <algorithm>
#include <bit>

#include "kernels/vision/vision.h"

namespace tenon::kernels {
namespace {

struct Box {
  float x1, y1, x2, y2, area;
};

Box box_of(const float* b, bool center_point) {
  Box r;
  if (center_point) {
    const float w = b[2] / 2, h = b[3] / 2;
    r = {b[0] - w, b[1] - h, b[0] + w, b[1] + h, 0};
  } else {
    r = {std::min(b[1], b[3]), std::min(b[0], b[2]), std::max(b[1], b[3]), std::max(b[0], b[2]), 0};
  }
  r.area = (r.x2 - r.x1) * (r.y2 - r.y1);
  return r;
}

bool overlaps(const Box& a, const Box& b, float threshold) {
  const float w = std::min(a.x2, b.x2) - std::max(a.x1, b.x1), h = std::min(a.y2, b.y2) - std::max(a.y1, b.y1);
  if (!(w > 0 && h > 0)) return false;
  const float both = w * h, either = a.area + b.area - both;
  if (!(both > 0 && a.area > 0 && b.area > 0 && either > 0)) return false;
  return both / either > threshold;
}

/// Ascends as the score descends; NaN comes last.
uint32_t rank_of(float score) {
  if (score != score) return ~uint32_t{0};
  const uint32_t bits = std::bit_cast<uint32_t>(score == 0 ? 0.f : score);
  const uint32_t ascending = bits ^ ((bits >> 31) ? ~uint32_t{0} : uint32_t{1} << 31);
  return ~ascending;
}

}  // namespace

int64_t suppress(const Suppression& s, std::byte* workspace, int64_t* chosen) {
  auto* candidates = reinterpret_cast<uint64_t*>(workspace);
  auto* kept = reinterpret_cast<Box*>(workspace + s.n * 8);
  int64_t count = 0, taken = 0;
  for (int64_t i = 0; i < s.n; ++i) {
    if (s.has_threshold && !(s.scores[i] > s.score_threshold)) continue;
    candidates[count++] = static_cast<uint64_t>(rank_of(s.scores[i])) << 32 | static_cast<uint32_t>(i);
  }
  // Usually the best few decide, so candidates are sorted as far as they are needed, in growing portions.
  int64_t sorted = 0, portion = std::max<int64_t>(64, 2 * s.most);
  for (int64_t c = 0; c < count && taken < s.most; ++c) {
    if (c == sorted) {
      sorted = std::min(count, sorted + portion);
      portion *= 2;
      if (sorted < count) std::nth_element(candidates + c, candidates + sorted, candidates + count);
      std::sort(candidates + c, candidates + sorted);
    }
    const auto i = static_cast<int64_t>(candidates[c] & 0xffffffffu);
    const Box box = box_of(s.boxes + 4 * i, s.center_point);
    bool free = true;
    for (int64_t k = 0; k < taken && free; ++k) free = !overlaps(box, kept[k], s.iou_threshold);
    if (!free) continue;
    kept[taken] = box;
    chosen[taken++] = i;
  }
  return taken;
}

}  // namespace tenon::kernels

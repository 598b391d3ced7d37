#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/attention.cc"
#include "hwy/foreach_target.h"

#include <algorithm>
#include <limits>

#include "hwy/highway.h"
#include "kernels/attention/attention.h"
#include "kernels/dispatch.h"
#include "kernels/elementwise/math-inl.h"
#include "kernels/gemm/dot-inl.h"
#include "kernels/gemm/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// A row of scores, a multiple of kLanes long with -inf behind the last key.
struct ScoreRow {
  float* scores;
  int64_t keys;

  /// The scores, capped, under the mask, unless that is null; returns the largest. NaN anywhere makes the sum of Exponentials NaN,
  /// whatever this returns.
  float Prepare(const AttentionParams& p, const float* mask) const {
    const DF d;
    if (p.softcap != 0) Cap(p.softcap);
    for (int64_t i = keys; i % kLanes != 0; ++i) scores[i] = -kInfinity;
    if (mask != nullptr && p.mask_replaces) Mask(p, mask, [](VF s, VF m) { return hn::IfThenElse(hn::Eq(m, hn::Zero(DF())), s, m); });
    if (mask != nullptr && !p.mask_replaces) Mask(p, mask, [](VF s, VF m) { return hn::Add(s, m); });
    VF largest = hn::Set(d, -kInfinity), second = largest;
    int64_t i = 0;
    for (; i + kLanes < keys; i += 2 * kLanes) {
      largest = hn::Max(largest, hn::LoadU(d, scores + i));
      second = hn::Max(second, hn::LoadU(d, scores + i + kLanes));
    }
    if (i < keys) largest = hn::Max(largest, hn::LoadU(d, scores + i));
    return hn::GetLane(hn::MaxOfLanes(d, hn::Max(largest, second)));
  }

  void Cap(float most) const {
    const DF d;
    const VF factor = hn::Set(d, most);
    for (int64_t i = keys; i % kLanes != 0; ++i) scores[i] = 0;
    for (int64_t i = 0; i < keys; i += kLanes) hn::StoreU(hn::Mul(factor, TanhFast(d, hn::LoadU(d, scores + i))), d, scores + i);
  }

  template <class Apply>
  void Mask(const AttentionParams& p, const float* mask, Apply apply) const {
    const DF d;
    const VF same = hn::Set(d, p.mask_key == 0 ? mask[0] : 0.0f);
    int64_t i = 0;
    for (; i + kLanes <= keys; i += kLanes) {
      hn::StoreU(apply(hn::LoadU(d, scores + i), p.mask_key != 0 ? hn::LoadU(d, mask + i) : same), d, scores + i);
    }
    for (; i < keys; ++i) scores[i] = hn::GetLane(apply(hn::Set(d, scores[i]), hn::Set(d, mask[i * p.mask_key])));
  }

  /// scores = exp(scores - shift); returns their sum.
  float Exponentials(float shift) const {
    const DF d;
    const VF m = hn::Set(d, shift);
    VF sum = hn::Zero(d);
    for (int64_t i = 0; i < keys; i += kLanes) {
      const VF e = ExpOfGap(d, hn::Sub(hn::LoadU(d, scores + i), m));
      hn::StoreU(e, d, scores + i);
      sum = hn::Add(sum, e);
    }
    return hn::GetLane(hn::SumOfLanes(d, sum));
  }
};

/// to[0, size) = query * scale
void ScaleQuery(const float* query, int64_t size, float scale, float* to) {
  const DF d;
  const VF factor = hn::Set(d, scale);
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) hn::StoreU(hn::Mul(hn::LoadU(d, query + i), factor), d, to + i);
  for (; i < size; ++i) to[i] = query[i] * scale;
}

/// The softmax of a tile's rows as blocks of keys come.
struct RunningSoftmax {
  static constexpr int64_t kRows = (kTileRows + kLanes - 1) / kLanes * kLanes;
  alignas(64) float largest[kRows], totals[kRows];

  RunningSoftmax() {
    std::fill_n(largest, kRows, -kInfinity);
    std::fill_n(totals, kRows, 0.0f);
  }

  /// Takes the scores of a block of keys, of which `maxima` are the largest, row by row, and makes weights of them: exp(score - largest).
  /// What earlier blocks gave (totals, and `sums`: [panel][row][kPanel]) is made to count from the new largest ones.
  void Take(float* scores, int64_t rows, int64_t keys, const float* maxima, float* sums, int64_t panels) {
    const DF d;
    alignas(64) float shrink[kRows];
    for (int64_t r = 0; r < kRows; r += kLanes) {
      const VF before = hn::Load(d, largest + r), now = hn::Max(before, hn::Load(d, maxima + r));
      // Where nothing has counted yet, there is nothing to shrink.
      const VF factor = hn::IfThenZeroElse(hn::Eq(before, hn::Set(d, -kInfinity)), ExpOfGap(d, hn::Sub(before, now)));
      hn::Store(factor, d, shrink + r);
      hn::Store(hn::Mul(hn::Load(d, totals + r), factor), d, totals + r);
      hn::Store(now, d, largest + r);
    }
    for (int64_t panel = 0; panel < panels; ++panel, sums += kTileRows * kPanel) {
      for (int64_t r = 0; r < rows; ++r) {
        const VF factor = hn::Set(d, shrink[r]);
        for (int64_t i = r * kPanel; i < (r + 1) * kPanel; i += kLanes) hn::StoreU(hn::Mul(hn::LoadU(d, sums + i), factor), d, sums + i);
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      // A block of -inf alone changes nothing, unless all blocks are that: then the row is NaN as softmax has it.
      totals[r] += ScoreRow{scores + r * kRowStride, keys}.Exponentials(largest[r] == -kInfinity ? 0.0f : largest[r]);
    }
  }

  /// No key counted: 0/0, as exp(-inf - -inf) would have given.
  float total(int64_t row) const { return largest[row] == -kInfinity ? std::numeric_limits<float>::quiet_NaN() : totals[row]; }
};

/// Where a part is: batch, head, and the head of K and V that it reads.
struct Head {
  int64_t b, h, kv;
  Head(const AttentionParams& p, int64_t index) : b(index / p.heads), h(index % p.heads), kv(h / (p.heads / p.kv_heads)) {}
  int64_t at(const AttentionParams::Operand& o) const { return o.from + b * o.batch + h * o.head; }
  int64_t kv_at(const AttentionParams::Operand& o) const { return o.from + b * o.batch + kv * o.head; }
};

/// Whether a row is 0 instead of sums / total: there is no key at all, or softmax gives NaN that is not wanted.
bool GivesZero(const AttentionParams& p, float total) { return p.keys == 0 || (p.nan_to_zero && total != total); }

/// y = sums / total, for a row of value_size elements given panel by panel.
void StoreQuery(const AttentionParams& p, const float* sums, int64_t panel_step, float total, float* y) {
  const float factor = 1.0f / total;
  const bool zero = GivesZero(p, total);
  for (int64_t col = 0; col < p.value_size; col += kPanel, sums += panel_step) {
    const int64_t columns = std::min(kPanel, p.value_size - col);
    for (int64_t i = 0; i < columns; ++i) y[col + i] = zero ? 0.0f : sums[i] * factor;
  }
}

}  // namespace

void AttentionBlocks(const AttentionParams& p, const Call& call, Range range) {
  const float* const shared = reinterpret_cast<const float*>(call.shared);
  const int64_t key_panels = (p.keys + kPanel - 1) / kPanel, value_panels = (p.value_size + kPanel - 1) / kPanel;
  float* const query = reinterpret_cast<float*>(call.scratch);  // rows kRowStride apart, as are those of scores
  float* const scores = query + kTileRows * kRowStride;
  float* const sums = scores + kTileRows * kRowStride;  // [value panel][row][kPanel]
  const int64_t panel_step = kTileRows * kPanel;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const Head head(p, part / p.row_parts());
    const float* const k = shared + p.k_at + (head.b * p.kv_heads + head.kv) * key_panels * kPanel * p.size;
    const float* const v = shared + p.v_at + (head.b * p.kv_heads + head.kv) * value_panels * kPanel * p.keys;
    const int64_t first = part % p.row_parts() * p.rows, end = std::min(p.queries, first + p.rows);
    for (int64_t row = first; row < end; row += kTileRows) {
      const int64_t rows = std::min<int64_t>(kTileRows, end - row);
      for (int64_t r = 0; r < rows; ++r) {
        ScaleQuery(call.in<float>(0) + head.at(p.q) + (row + r) * p.q.row, p.size, p.scale, query + r * kRowStride);
      }
      RunningSoftmax softmax;
      for (int64_t key = 0; key < p.keys; key += kBlockDepth) {
        const int64_t keys = std::min(kBlockDepth, p.keys - key);
        TileArgs t;
        t.finish = false;
        t.a = query;
        t.k = p.size;
        t.c_m = kRowStride;
        for (int64_t i = 0; i < keys; i += kPanel) {
          t.b = k + (key + i) * p.size;
          t.c = scores + i;
          (keys - i <= kLanes ? kHalfTiles : kPackedTiles)[static_cast<size_t>(rows)](t);
        }
        alignas(64) float maxima[RunningSoftmax::kRows] = {};
        for (int64_t r = 0; r < rows; ++r) {
          const float* mask = p.masked ? call.in<float>(3) + head.at(p.mask) + (row + r) * p.mask.row + key * p.mask_key : nullptr;
          maxima[r] = ScoreRow{scores + r * kRowStride, keys}.Prepare(p, mask);
        }
        softmax.Take(scores, rows, keys, maxima, sums, key > 0 ? value_panels : 0);
        t.a = scores;
        t.k = keys;
        t.c_m = kPanel;
        for (int64_t panel = 0; panel < value_panels; ++panel) {
          t.b = v + (panel * p.keys + key) * kPanel;
          t.c = sums + panel * panel_step;
          t.sums = key > 0 ? t.c : nullptr;
          (p.value_size - panel * kPanel <= kLanes ? kHalfTiles : kPackedTiles)[static_cast<size_t>(rows)](t);
        }
      }
      for (int64_t r = 0; r < rows; ++r) {
        StoreQuery(p, sums + r * kPanel, panel_step, softmax.total(r), call.out<float>(0) + head.at(p.y) + (row + r) * p.y.row);
      }
    }
  }
}

void AttentionFew(const AttentionParams& p, const Call& call, Range range) {
  const int64_t m = p.queries, step = (p.keys + kPanel - 1) / kPanel * kPanel;
  float* const scores = reinterpret_cast<float*>(call.scratch);  // [query][step]
  float* const out = scores + m * step;                          // [query][kPanel]
  float* const query = out + m * kPanel;                         // [query][size]
  for (int64_t part = range.begin; part < range.end; ++part) {
    const Head head(p, part);
    const float* const q = call.in<float>(0) + head.at(p.q);
    const float* const k = call.in<float>(1) + head.kv_at(p.k);
    const float* const v = call.in<float>(2) + head.kv_at(p.v);
    float* const y = call.out<float>(0) + head.at(p.y);
    for (int64_t r = 0; r < m; ++r) ScaleQuery(q + r * p.q.row, p.size, p.scale, query + r * p.size);
    DotRows(m, query, p.size, k, p.k.row, p.size, p.keys, scores, step);
    float totals[kFewRows];
    for (int64_t r = 0; r < m; ++r) {
      const ScoreRow line{scores + r * step, p.keys};
      const float* mask = p.masked ? call.in<float>(3) + head.at(p.mask) + r * p.mask.row : nullptr;
      const float max = line.Prepare(p, mask);
      const float sum = line.Exponentials(max == -kInfinity ? 0.0f : max);
      totals[r] = max == -kInfinity ? std::numeric_limits<float>::quiet_NaN() : sum;
    }
    TileArgs t;
    t.finish = false;
    t.a = scores;
    t.a_m = step;
    t.b_k = p.v.row;
    t.k = p.keys;
    t.c = out;
    t.c_m = kPanel;
    for (int64_t panel = 0; panel < p.value_size; panel += kPanel) {
      const int64_t col = std::min(panel, p.value_size - kPanel);  // the last panel overlaps the one before
      t.b = v + col;
      kFewTiles[m](t);
      for (int64_t r = 0; r < m; ++r) {
        const bool zero = GivesZero(p, totals[r]);
        const float factor = 1.0f / totals[r];
        for (int64_t i = 0; i < kPanel; ++i) y[r * p.y.row + col + i] = zero ? 0.0f : out[r * kPanel + i] * factor;
      }
    }
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
TENON_EXPORT(AttentionBlocks);
TENON_EXPORT(AttentionFew);
}  // namespace

Kernel<AttentionParams> AttentionBlocksPointer() { return TENON_POINTER(AttentionBlocks); }
Kernel<AttentionParams> AttentionFewPointer() { return TENON_POINTER(AttentionFew); }

bool takes_few_queries(const AttentionParams& p) {
  return p.queries <= kFewRows && p.k_size == 1 && p.value_size >= panel_width(gemm_format());
}

void plan_attention(AttentionParams& p) {
  const int64_t height = tile_rows(panel_width(gemm_format()) / 2);
  const int64_t tiles = (p.queries + height - 1) / height;
  p.rows = takes_few_queries(p) ? p.queries : height * std::min<int64_t>(tiles, 4);
}

int64_t attention_scratch(const AttentionParams& p) {
  const int64_t panel = panel_width(gemm_format()), height = tile_rows(panel / 2);
  int64_t floats = 2 * height * kRowStride + (p.value_size + panel - 1) / panel * height * panel;
  if (takes_few_queries(p)) floats = p.queries * ((p.keys + panel - 1) / panel * panel + panel + p.size);
  return floats * static_cast<int64_t>(sizeof(float));
}

}  // namespace tenon::kernels
#endif

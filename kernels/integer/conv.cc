#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/integer/conv.cc"
#include "hwy/foreach_target.h"

#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/rows-inl.h"
#include "kernels/integer/conv.h"
#include "kernels/integer/finish-inl.h"
#include "kernels/integer/pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels::HWY_NAMESPACE {
namespace {

/// First filter of tile t of a group.
int64_t FilterOf(const IntegerConvParams& p, int64_t t) { return t * p.rows() / p.tiles; }

/// Packed filters: where those of a tile are, and their sums.
template <class Rows>
struct Filters {
  using Group = typename Rows::Group;
  Group* tile(const IntegerConvParams& p, int64_t filter) const { return groups + filter * groups_of(p.depth()); }
  int32_t* sums(const IntegerConvParams& p) const { return reinterpret_cast<int32_t*>(tile(p, p.filters)); }
  Group* groups;
};

template <class Rows>
void PackFilters(const IntegerConvParams& p, const Call& call, Range range) {
  const bool shared = p.shared_rows >= 0;
  const uint8_t* const w = call.in<uint8_t>(shared ? 3 : 0);
  const Filters<Rows> to{
      reinterpret_cast<typename Rows::Group*>(shared ? call.shared + p.shared_rows : static_cast<std::byte*>(call.dst[0]))};
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t group = part / p.tiles, tile = part % p.tiles;
    const int64_t begin = group * p.rows() + FilterOf(p, tile), end = group * p.rows() + FilterOf(p, tile + 1);
    for (int64_t f = begin; f < end; ++f) {
      to.sums(p)[f] = PackRow(w + f * p.depth(), to_signed(p.w), p.depth(), end - begin, to.tile(p, begin) + (f - begin));
    }
  }
}

/// Columns of a panel, from `column` on, that are neighbours elsewhere too: in the image or in the result, from `at` on.
struct Run {
  int64_t column, length, at;
};

/// Finds the runs of columns of one panel after the other.
class Walk {
 public:
  Walk(const IntegerConvParams& p, int64_t first)
      : p_(p),
        row_(p.wide ? p.line : p.out[2]),
        rows_(p.wide ? p.planes[1] : p.out[1]),
        x_(first % row_),
        y_(first / row_ % rows_),
        z_(first / row_ / rows_),
        place_(first) {}

  void next(int64_t columns) {
    pixels = places = 0;
    for (int64_t column = 0; column < columns;) {
      const int64_t length = std::min(columns - column, row_ - x_);
      if (const int64_t seen = std::min(length, p_.out[2] - x_); seen > 0 && y_ < p_.out[1]) {
        add(pixel, pixels, column, seen, (z_ * p_.out[1] + y_) * p_.out[2] + x_);
      }
      if (!p_.wide) add(place, places, column, length, (z_ * p_.step[0] * p_.planes[1] + y_ * p_.step[1]) * p_.slots * p_.line + x_);
      column += length;
      x_ += length;
      if (x_ < row_) continue;
      x_ = 0;
      if (++y_ < rows_) continue;
      y_ = 0;
      ++z_;
    }
    if (p_.wide) add(place, places, 0, columns, place_);
    place_ += columns;
  }

  Run pixel[kPanel], place[kPanel];  ///< of the result; of the image
  int pixels = 0, places = 0;

 private:
  static void add(Run* runs, int& count, int64_t column, int64_t length, int64_t at) {
    if (count > 0 && runs[count - 1].at + runs[count - 1].length == at && runs[count - 1].column + runs[count - 1].length == column) {
      runs[count - 1].length += length;
    } else {
      runs[count++] = {column, length, at};
    }
  }

  const IntegerConvParams& p_;
  int64_t row_, rows_, x_, y_, z_, place_;
};

/// n bytes, by few instructions.
HWY_INLINE void CopyShort(const uint8_t* HWY_RESTRICT from, int64_t n, uint8_t* HWY_RESTRICT to) {
  if (n >= 16) {
    for (int64_t i = 0; i + 16 < n; i += 16) std::memcpy(to + i, from + i, 16);
    std::memcpy(to + n - 16, from + n - 16, 16);
  } else if (n >= 8) {
    std::memcpy(to, from, 8);
    std::memcpy(to + n - 8, from + n - 8, 8);
  } else if (n >= 4) {
    std::memcpy(to, from, 4);
    std::memcpy(to + n - 4, from + n - 4, 4);
  } else {
    for (int64_t i = 0; i < n; ++i) to[i] = from[i];
  }
}

/// Where in a channel the bytes of each tap begin.
void FindTaps(const IntegerConvParams& p, int64_t* taps) {
  for (int64_t z = 0; z < p.kernel[0]; ++z) {
    for (int64_t y = 0; y < p.kernel[1]; ++y) {
      for (int64_t x = 0; x < p.kernel[2]; ++x) {
        const int64_t row = z * p.dilation[0] * p.planes[1] + y * p.dilation[1], column = x * p.dilation[2];
        *taps++ = (row * p.slots + column % p.slots) * p.line + column / p.slots;
      }
    }
  }
}

constexpr int64_t kStep = 16;

/// The bytes of one line of a panel, which the image has in `count` runs: from the left, so that what a step writes too much is overwritten.
/// Steps do not read beyond `end`.
HWY_INLINE void JoinRuns(const Run* runs, int count, const uint8_t* HWY_RESTRICT from, const uint8_t* end, uint8_t* HWY_RESTRICT line) {
  for (int r = 0; r < count; ++r) {
    const uint8_t* const src = from + runs[r].at;
    uint8_t* const to = line + runs[r].column;
    const int64_t length = runs[r].length;
    if (src + (length + kStep - 1) / kStep * kStep > end) {
      std::memcpy(to, src, static_cast<size_t>(length));
      continue;
    }
    for (int64_t j = 0; j < length; j += kStep) std::memcpy(to + j, src + j, static_cast<size_t>(kStep));
  }
}

/// Packs the patches of one panel of pixels.
void PackPatches(const IntegerConvParams& p, const uint8_t* HWY_RESTRICT image, const uint8_t* end, const Walk& walk,
                 const int64_t* HWY_RESTRICT taps, uint8_t* HWY_RESTRICT panel) {
  // Lines are read well after they are written: what is still on its way to the cache cannot be read in pieces of another size.
  constexpr int64_t kLines = 32;
  alignas(64) static constexpr uint8_t kZeros[kPanel] = {};
  const int64_t depth = p.depth(), tap_count = p.taps(), channel = p.channel_bytes();
  alignas(64) uint8_t lines[kLines][kPanel + kStep];
  if (walk.places > 1 || walk.place[0].length < kPanel) std::memset(lines, 0, sizeof(lines));
  const uint8_t* source[kLines];
  int64_t tap = 0;
  for (int64_t k = 0; k < depth; k += kLines) {
    const int64_t n = std::min(kLines, depth - k);
    for (int64_t i = 0; i < n; ++i) {
      const uint8_t* const from = image + taps[tap];
      if (walk.places == 1 && from + walk.place[0].at + kPanel <= end) {
        source[i] = from + walk.place[0].at;
      } else {
        JoinRuns(walk.place, walk.places, from, end, lines[i]);
        source[i] = lines[i];
      }
      if (++tap == tap_count) {
        tap = 0;
        image += channel;
      }
    }
    for (int64_t i = n; i < (n + 3) / 4 * 4; ++i) source[i] = kZeros;  // fill the last group
    for (int64_t i = 0; i < n; i += 4, panel += 4 * kPanel) PackGroup(source[i], source[i + 1], source[i + 2], source[i + 3], 0, panel);
  }
}

/// The filters of a part pass by the pixels of its block, which are packed once and stay in L2.
template <class Rows>
void Conv(const IntegerConvParams& p, const Call& call, Range range) {
  const int64_t depth = p.depth(), groups = groups_of(depth), panel_bytes = integer_panel_bytes(kPanel, depth), rows = p.rows();
  auto* const panels = reinterpret_cast<uint8_t*>(call.scratch);
  auto* const sums = reinterpret_cast<int32_t*>(panels + p.block * panel_bytes);
  auto* const taps = reinterpret_cast<int64_t*>(sums + kTileRows * kPanel);
  FindTaps(p, taps);
  const Filters<Rows> filters{reinterpret_cast<typename Rows::Group*>(
      p.shared_rows >= 0 ? call.shared + p.shared_rows : static_cast<std::byte*>(const_cast<void*>(call.src[3])))};
  const auto* const image = p.in_place ? call.in<uint8_t>(0) : reinterpret_cast<const uint8_t*>(call.shared + p.shared_image);
  const uint8_t* const end = image + p.batch * p.channels * p.channel_bytes() + (p.in_place ? 0 : kImageSlack);
  const auto filter_zero = [&](int64_t f) {
    return p.w_zero ? signed_zero(p.w, call.src[5], p.w_zeros ? f : 0) : p.w == DType::kUint8 ? -128 : 0;
  };
  const int32_t x_zero = p.x_zero ? unsigned_zero(p.x, call.src[2], 0) : p.x == DType::kInt8 ? 128 : 0;
  const bool scaled = p.y != DType::kInt32, requantised = scaled && p.y != DType::kFloat32;
  float x_scale = 1, divisor = 1;
  if (scaled) LoadRow(p.scale, call.src[1], 0, 1, 1, &x_scale);
  if (requantised) LoadRow(p.scale, call.src[6], 0, 1, 1, &divisor);
  RowFinish finish;
  finish.to = p.y;
  if (p.y_zero) finish.zero = p.y == DType::kInt8 ? *call.in<int8_t>(7) : *call.in<uint8_t>(7);
  const size_t width = requantised ? 1 : 4;
  int64_t held = -1;
  for (int64_t index = range.begin; index < range.end; ++index) {
    const int64_t part = index % p.tile_parts, place = index / p.tile_parts;
    const int64_t block = place % p.blocks, group = place / p.blocks % p.groups, n = place / p.blocks / p.groups;
    const int64_t tile_begin = part * p.tiles / p.tile_parts, tile_end = (part + 1) * p.tiles / p.tile_parts;
    const int64_t first_place = block * p.block * kPanel, places = std::min(p.block * kPanel, p.places() - first_place);
    if (held != place) {
      held = place;
      bool zeros = false;
      for (int64_t f = 0; !zeros && f < (p.w_zeros ? rows : 1); ++f) zeros = filter_zero(group * rows + f) != 0;
      Walk walk(p, first_place);
      uint8_t* panel = panels;
      for (int64_t at = 0; at < places; at += kPanel, panel += panel_bytes) {
        walk.next(std::min(kPanel, places - at));
        PackPatches(p, image + (n * p.channels + group * (p.channels / p.groups)) * p.channel_bytes(), end, walk, taps, panel);
        if (zeros) SumColumns(panel, groups, reinterpret_cast<int32_t*>(panel + groups * kPanel * 4));
      }
    }
    DotArgs t;
    t.groups = groups;
    t.sums = sums;
    t.ahead = reinterpret_cast<uintptr_t>(panels);
    for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
      const int64_t first = group * rows + FilterOf(p, tile), height = group * rows + FilterOf(p, tile + 1) - first;
      t.rows = filters.tile(p, first);
      RowFinish rows_finish[kTileRows];
      for (int64_t r = 0; r < height; ++r) {
        const int64_t f = first + r;
        finish.row_zero = filter_zero(f);
        const uint32_t centred = static_cast<uint32_t>(filters.sums(p)[f]) - wrapping_mul(static_cast<int32_t>(depth), finish.row_zero);
        const uint32_t bias = p.bias ? static_cast<uint32_t>(call.in<int32_t>(8)[f]) : 0;
        finish.constant = static_cast<int32_t>(bias - wrapping_mul(x_zero, static_cast<int32_t>(centred)));
        if (scaled) {
          LoadRow(p.scale, call.src[4], p.w_scales ? f : 0, 1, 1, &finish.scale);
          finish.scale = x_scale * finish.scale / divisor;
        }
        rows_finish[r] = finish;
      }
      Walk walk(p, first_place);
      for (int64_t at = 0; at < places; at += kPanel) {
        t.panel = panels + at / kPanel * panel_bytes;
        kDotTiles<Rows>[static_cast<size_t>(height)](t);
        walk.next(std::min(kPanel, places - at));
        const bool whole = walk.pixels == 1 && walk.pixel[0].length == kPanel;
        uint8_t* to = call.out<uint8_t>(0) + static_cast<size_t>((n * p.filters + first) * p.pixels()) * width;
        for (int64_t r = 0; r < height; ++r, to += static_cast<size_t>(p.pixels()) * width) {
          RowFinish& f = rows_finish[r];
          if (f.row_zero != 0) f.column_sums = reinterpret_cast<const int32_t*>(t.panel + groups * kPanel * 4);
          alignas(64) uint8_t row[kPanel * 4];
          FinishRow(f, sums + r * kPanel, kPanel, whole ? to + static_cast<size_t>(walk.pixel[0].at) * width : row);
          for (int i = 0; !whole && i < walk.pixels; ++i) {
            const Run& run = walk.pixel[i];
            CopyShort(row + static_cast<size_t>(run.column) * width, run.length * static_cast<int64_t>(width),
                      to + static_cast<size_t>(run.at) * width);
          }
        }
      }
    }
  }
}

/// Bytes [0, n) of a residue of an image row, of which x holds those from `first` on, `step` apart.
HWY_INLINE void CopyLine(const uint8_t* HWY_RESTRICT x, int64_t in, int64_t first, int64_t step, int64_t n, uint8_t flip, uint8_t zero,
                         uint8_t* HWY_RESTRICT to) {
  const int64_t begin = std::clamp<int64_t>(first < 0 ? (-first + step - 1) / step : 0, 0, n);
  const int64_t end = std::clamp<int64_t>(first < in ? (in - first + step - 1) / step : 0, begin, n);
  for (int64_t i = 0; i < begin; ++i) to[i] = zero;
  if (step == 1) {
    for (int64_t i = begin; i < end; ++i) to[i] = x[first + i] ^ flip;
  } else {
    for (int64_t i = begin; i < end; ++i) to[i] = x[first + i * step] ^ flip;
  }
  for (int64_t i = end; i < n; ++i) to[i] = zero;
}

}  // namespace

void ConvWords(const IntegerConvParams& p, const Call& call, Range range) { Conv<Words>(p, call, range); }
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
void ConvBytes(const IntegerConvParams& p, const Call& call, Range range) { Conv<Bytes>(p, call, range); }
#else
void ConvBytes(const IntegerConvParams& p, const Call& call, Range range) { Conv<Words>(p, call, range); }
#endif

void IntegerRows(const IntegerConvParams& p, const Call& call, Range range) {
  const bool bytes = p.format == IntegerFormat::kByteRows6 || p.format == IntegerFormat::kByteRows14;
  bytes ? PackFilters<Bytes>(p, call, range) : PackFilters<Words>(p, call, range);
}

void IntegerImage(const IntegerConvParams& p, const Call& call, Range range) {
  const uint8_t flip = to_unsigned(p.x);
  const auto zero = static_cast<uint8_t>(p.x_zero ? unsigned_zero(p.x, call.src[2], 0) : flip);
  for (int64_t channel = range.begin; channel < range.end; ++channel) {
    const uint8_t* const x = call.in<uint8_t>(0) + channel * p.in[0] * p.in[1] * p.in[2];
    uint8_t* to = reinterpret_cast<uint8_t*>(call.shared + p.shared_image) + channel * p.channel_bytes();
    for (int64_t plane = 0; plane < p.planes[0]; ++plane) {
      const int64_t z = plane * (p.kernel[0] == 1 ? p.stride[0] : 1) - p.pad[0];
      for (int64_t row = 0; row < p.planes[1]; ++row) {
        const int64_t y = row * (p.kernel[1] == 1 ? p.stride[1] : 1) - p.pad[1];
        if (z < 0 || z >= p.in[0] || y < 0 || y >= p.in[1]) {
          std::memset(to, zero, static_cast<size_t>(p.slots * p.line));
          to += p.slots * p.line;
          continue;
        }
        for (int64_t slot = 0; slot < p.slots; ++slot, to += p.line) {
          CopyLine(x + (z * p.in[1] + y) * p.in[2], p.in[2], slot - p.pad[2], p.stride[2], p.line, flip, zero, to);
        }
      }
    }
  }
}

}  // namespace tenon::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
namespace {
HWY_EXPORT(ConvBytes);
HWY_EXPORT(ConvWords);
HWY_EXPORT(IntegerRows);
HWY_EXPORT(IntegerImage);
}  // namespace

Kernel<IntegerConvParams> IntegerConvBytesPointer() { return TENON_POINTER(ConvBytes); }
Kernel<IntegerConvParams> IntegerConvWordsPointer() { return TENON_POINTER(ConvWords); }
Kernel<IntegerConvParams> IntegerRowsPointer() { return TENON_POINTER(IntegerRows); }
Kernel<IntegerConvParams> IntegerImagePointer() { return TENON_POINTER(IntegerImage); }

namespace {
const Row<IntegerConvParams> kRows[] = {
#define KERNEL(Name, when, why) TENON_KERNEL_ROW(IntegerConvParams, Name, when, why)
#include "kernels/integer/conv.inc"
#undef KERNEL
};
}  // namespace
const Table<IntegerConvParams> integer_conv{"integer_conv", kRows, std::size(kRows)};

}  // namespace tenon::kernels
#endif

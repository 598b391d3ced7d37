// The copy family: the reference in plain C++, which takes every form, and the table.
#include "kernels/movement/copy.h"

#include <cstring>

#include "kernels/movement/blocks.h"

namespace tenon::kernels {

namespace {

template <size_t N>
void copy_elements_of(const CopyParams& p, const Call& call, Range range) {
  for_each_block(p, call, range, [&p](const std::byte* src, std::byte* dst, int64_t k, int64_t l) {
    for (int64_t i = 0; i < k; ++i) {
      const std::byte* from = src + i * p.k.src;
      std::byte* to = dst + i * p.k.dst;
      for (int64_t j = 0; j < l; ++j) std::memcpy(to + j * p.l.dst, from + j * p.l.src, N);
    }
  });
}

/// Any copy, element by element.
void copy_elements(const CopyParams& p, const Call& call, Range range) {
  switch (p.element) {
    case 1: return copy_elements_of<1>(p, call, range);
    case 2: return copy_elements_of<2>(p, call, range);
    case 4: return copy_elements_of<4>(p, call, range);
    case 8: return copy_elements_of<8>(p, call, range);
    default: return copy_elements_of<16>(p, call, range);
  }
}

Kernel<CopyParams> elements() { return &copy_elements; }

const char* not_runs(const CopyParams& p) { return p.runs() ? nullptr : "the innermost loop is not contiguous"; }
const char* not_transposed(const CopyParams& p) {
  if (p.l.dst != p.element || p.k.src != p.element || p.runs()) return "no loop is contiguous in the source";
  return p.element <= 8 ? nullptr : "elements of 16 bytes";
}
const char* not_small(const CopyParams& p) {
  if (const char* why = not_transposed(p)) return why;
  const bool split = p.k.count >= 2 && p.k.count <= 4 && p.l.src == p.k.count * p.element;
  const bool join = p.l.count >= 2 && p.l.count <= 4 && p.k.dst == p.l.count * p.element;
  return split || join ? nullptr : "neither side interleaves 2 to 4 elements";
}
const char* not_repeated(const CopyParams& p) {
  return p.l.src == 0 && p.l.dst == p.element ? nullptr : "the innermost loop does not repeat one element";
}
const char* never(const CopyParams&) { return nullptr; }

const Row<CopyParams> kRows[] = {
    {"CopyRuns", not_runs, copy_runs},
    {"CopyRepeated", not_repeated, copy_repeated},
    {"CopyInterleaved", not_small, copy_interleaved},
    {"CopyTransposed", not_transposed, copy_transposed},
    {"CopyElements", never, elements},
};

}  // namespace

const Table<CopyParams> copy_table = {"copy", kRows, std::size(kRows)};

}  // namespace tenon::kernels

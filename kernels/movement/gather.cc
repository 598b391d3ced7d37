// Gather: rows picked by index.
#include <algorithm>

#include "kernels/movement/movement.h"
#include "kernels/movement/run_copy.h"

namespace tenon::kernels {

namespace {

/// Rows of the output from `row` on; copy(dst, src) moves the wanted columns of one row.
template <class Index, class Copy>
inline void gather_rows(const GatherParams& p, const Call& call, int64_t row, int64_t rows, Copy&& copy) {
  const Index* indices = call.in<Index>(1);
  const std::byte* src = call.in<std::byte>(0) + row / p.indices * p.axis * p.inner;
  std::byte* dst = call.out<std::byte>(0) + row * p.inner;
  int64_t i = row % p.indices;
  for (int64_t r = 0; r < rows; ++r, dst += p.inner) {
    int64_t index = static_cast<int64_t>(indices[i]);
    if (index < 0) index += p.axis;
    if (index < 0 || index >= p.axis) {
      call.fault->report(Fault::kIndex, static_cast<int64_t>(indices[i]), p.axis, 1);
      return;
    }
    copy(dst, src + index * p.inner);
    if (++i == p.indices) {
      i = 0;
      src += p.axis * p.inner;
    }
  }
}

template <size_t N>
struct CopyFixed {
  void operator()(std::byte* dst, const std::byte* src) const { std::memcpy(dst, src, N); }
};

template <class Index>
void gather_of(const GatherParams& p, const Call& call, Range range) {
  const int64_t total = p.outer * p.indices;
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t row = part / p.column_blocks * p.row_block;
    const int64_t rows = std::min(p.row_block, total - row);
    const int64_t begin = part % p.column_blocks * p.column_block;
    const int64_t width = std::min(p.column_block, p.inner - begin);
    switch (p.inner) {
      case 1: gather_rows<Index>(p, call, row, rows, CopyFixed<1>()); break;
      case 2: gather_rows<Index>(p, call, row, rows, CopyFixed<2>()); break;
      case 4: gather_rows<Index>(p, call, row, rows, CopyFixed<4>()); break;
      case 8: gather_rows<Index>(p, call, row, rows, CopyFixed<8>()); break;
      case 16: gather_rows<Index>(p, call, row, rows, CopyFixed<16>()); break;
      default:
        gather_rows<Index>(p, call, row, rows, [begin, width](std::byte* dst, const std::byte* src) {
          copy_run(dst + begin, src + begin, static_cast<size_t>(width));
        });
    }
  }
}

void gather(const GatherParams& p, const Call& call, Range range) {
  return p.wide ? gather_of<int64_t>(p, call, range) : gather_of<int32_t>(p, call, range);
}

const Row<GatherParams> kRows[] = {
    {"GatherRows", [](const GatherParams&) -> const char* { return nullptr; }, []() -> Kernel<GatherParams> { return &gather; }},
};

}  // namespace

const Table<GatherParams> gather_table = {"gather", kRows, std::size(kRows)};

}  // namespace tenon::kernels

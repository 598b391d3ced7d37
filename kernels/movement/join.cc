// Concat and Split.
#include <algorithm>

#include "kernels/movement/movement.h"
#include "kernels/movement/run_copy.h"

namespace tenon::kernels {

namespace {

void join_rows(const JoinParams& p, const Call& call, Range range) {
  for (int64_t part = range.begin; part < range.end; ++part) {
    const int64_t row = part / p.column_blocks * p.row_block;
    const int64_t rows = std::min(p.row_block, p.rows - row);
    const int64_t begin = part % p.column_blocks * p.column_block;
    const int64_t end = std::min(p.row_bytes, begin + p.column_block);
    const int64_t* piece = std::upper_bound(p.offsets, p.offsets + p.pieces, begin) - 1;
    for (; piece < p.offsets + p.pieces && *piece < end; ++piece) {
      const int32_t i = static_cast<int32_t>(piece - p.offsets);
      const int64_t width = piece[1] - piece[0];  // of a row of the piece
      const int64_t from = std::max(begin, piece[0]), to = std::min(end, piece[1]);
      if (from >= to) continue;
      const int64_t wide = row * p.row_bytes + from, dense = row * width + from - piece[0];
      if (!p.split) {
        copy_rows(call.out<std::byte>(0) + wide, p.row_bytes, call.in<std::byte>(i) + dense, width, rows, to - from);
      } else if (call.dst[i] != nullptr) {
        copy_rows(call.out<std::byte>(i) + dense, width, call.in<std::byte>(0) + wide, p.row_bytes, rows, to - from);
      }
    }
  }
}

const Row<JoinParams> kRows[] = {
    {"JoinRows", [](const JoinParams&) -> const char* { return nullptr; }, []() -> Kernel<JoinParams> { return &join_rows; }},
};

}  // namespace

const Table<JoinParams> join_table = {"join", kRows, std::size(kRows)};

}  // namespace tenon::kernels

// ReverseSequence and Trilu: rows whose place or extent depends on a small input.
#include <algorithm>

#include "kernels/movement/movement.h"
#include "kernels/movement/run_copy.h"

namespace tenon::kernels {

namespace {

void reverse(const ReverseParams& p, const Call& call, Range range) {
  const int64_t* lengths = call.in<int64_t>(1);
  const int64_t steps = p.time_axis == 0 ? p.first : p.second;
  const int64_t end = std::min(p.first * p.second, range.end * p.rows_per_part);
  for (int64_t row = range.begin * p.rows_per_part; row < end; ++row) {
    const int64_t i = row / p.second, j = row % p.second;
    const int64_t length = lengths[p.time_axis == 0 ? j : i];
    if (length < 0 || length > steps) return call.fault->report(Fault::kLength, length, steps, 1);
    const int64_t t = p.time_axis == 0 ? i : j;
    const int64_t from = t < length ? length - 1 - t : t;
    const int64_t source = p.time_axis == 0 ? from * p.second + j : i * p.second + from;
    copy_run(call.out<std::byte>(0) + row * p.inner, call.in<std::byte>(0) + source * p.inner, static_cast<size_t>(p.inner));
  }
}

void triangle(const TriangleParams& p, const Call& call, Range range) {
  const int64_t k = p.has_k ? *call.in<int64_t>(1) : 0;
  const int64_t shift = std::clamp(k, -p.rows, p.columns);  // beyond these nothing changes
  const int64_t end = std::min(p.matrices * p.rows, range.end * p.rows_per_part);
  for (int64_t row = range.begin * p.rows_per_part; row < end; ++row) {
    const int64_t diagonal = row % p.rows + shift;
    // Kept: columns from the diagonal on (upper) or up to and with it (lower).
    const int64_t edge = std::clamp<int64_t>(p.upper ? diagonal : diagonal + 1, 0, p.columns);
    const int64_t begin = p.upper ? edge : 0, stop = p.upper ? p.columns : edge;
    const int64_t at = row * p.columns;
    const std::byte* src = call.in<std::byte>(0) + at * p.element;
    std::byte* dst = call.out<std::byte>(0) + at * p.element;
    std::memset(dst, 0, static_cast<size_t>(begin * p.element));
    if (src != dst) std::memcpy(dst + begin * p.element, src + begin * p.element, static_cast<size_t>((stop - begin) * p.element));
    std::memset(dst + stop * p.element, 0, static_cast<size_t>((p.columns - stop) * p.element));
  }
}

const Row<ReverseParams> kReverseRows[] = {
    {"ReverseRows", [](const ReverseParams&) -> const char* { return nullptr; }, []() -> Kernel<ReverseParams> { return &reverse; }},
};
const Row<TriangleParams> kTriangleRows[] = {
    {"TriangleRows", [](const TriangleParams&) -> const char* { return nullptr; }, []() -> Kernel<TriangleParams> { return &triangle; }},
};

}  // namespace

const Table<ReverseParams> reverse_table = {"reverse", kReverseRows, std::size(kReverseRows)};
const Table<TriangleParams> triangle_table = {"triangle", kTriangleRows, std::size(kTriangleRows)};

}  // namespace tenon::kernels

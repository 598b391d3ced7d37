// Pad in its four modes.
#include <algorithm>

#include "kernels/movement/movement.h"
#include "kernels/movement/run_copy.h"

namespace tenon::kernels {

namespace {

/// Where element i of a padded dim comes from in a source dim of n elements; -1 for the constant. i counts from the first source
/// element. Reflection and wrapping go on periodically.
int64_t source_index(PadParams::Mode mode, int64_t i, int64_t n) {
  if (i >= 0 && i < n) return i;
  switch (mode) {
    case PadParams::Mode::kConstant: return -1;
    case PadParams::Mode::kEdge: return i < 0 ? 0 : n - 1;
    // The first time is most often the only one, and takes no division.
    case PadParams::Mode::kWrap: {
      if (i >= -n && i < 2 * n) return i < 0 ? i + n : i - n;
      const int64_t m = i % n;
      return m < 0 ? m + n : m;
    }
    case PadParams::Mode::kReflect: {
      if (n == 1) return 0;
      const int64_t period = 2 * (n - 1);
      if (i > -n && i <= period) return i < 0 ? -i : period - i;
      int64_t m = i % period;
      if (m < 0) m += period;
      return m < n ? m : period - m;
    }
  }
  return -1;
}

struct Value {
  std::byte bytes[16] = {};
};

/// One row of the output (its last dim); src is the source row, null when the row is all padding.
void pad_row(const PadParams& p, const std::byte* src, std::byte* dst, const Value& value) {
  const int64_t e = p.element, last = p.rank - 1;
  const int64_t n = p.src_dims[last], width = p.dst_dims[last], before = p.before[last];
  const int64_t values = e / p.value_bytes;
  if (src == nullptr) return fill_elements(dst, value.bytes, p.value_bytes, width * values);
  // [begin, end): the part of the output row that is the source row itself.
  const int64_t begin = std::clamp<int64_t>(before, 0, width), end = std::clamp<int64_t>(before + n, begin, width);
  if (p.mode == PadParams::Mode::kConstant) {
    fill_elements(dst, value.bytes, p.value_bytes, begin * values);
    fill_elements(dst + end * e, value.bytes, p.value_bytes, (width - end) * values);
  } else {
    const auto edges = [&](auto&& copy) {
      for (int64_t i = 0; i < begin; ++i) copy(dst + i * e, src + source_index(p.mode, i - before, n) * e);
      for (int64_t i = end; i < width; ++i) copy(dst + i * e, src + source_index(p.mode, i - before, n) * e);
    };
    if (e == 4) edges([](std::byte* to, const std::byte* from) { std::memcpy(to, from, 4); });
    else edges([e](std::byte* to, const std::byte* from) { copy_run(to, from, static_cast<size_t>(e)); });
  }
  if (end > begin) std::memcpy(dst + begin * e, src + (begin - before) * e, static_cast<size_t>((end - begin) * e));
}

void pad(const PadParams& p, const Call& call, Range range) {
  Value value;
  if (const std::byte* given = p.value_input >= 0 ? call.in<std::byte>(p.value_input) : nullptr) {
    std::memcpy(value.bytes, given, static_cast<size_t>(p.value_bytes));
  }
  const int last = p.rank - 1;
  const int64_t row_bytes = p.dst_dims[last] * p.element;
  const int64_t begin = range.begin * p.rows_per_part, end = std::min(p.rows, range.end * p.rows_per_part);
  const int64_t inner = last > 0 ? p.dst_dims[last - 1] : 1;
  const int64_t src_row = p.src_dims[last] * p.element;
  for (int64_t row = begin; row < end;) {
    // Where the rows of this turn of the outer dims come from; false: all of them are padding.
    int64_t rest = row / inner, base = 0, stride = src_row * (last > 0 ? p.src_dims[last - 1] : 1);
    bool inside = true;
    for (int i = last - 2; i >= 0 && inside; --i) {
      const int64_t at = source_index(p.mode, rest % p.dst_dims[i] - p.before[i], p.src_dims[i]);
      rest /= p.dst_dims[i];
      inside = at >= 0;
      base += at * stride;
      stride *= p.src_dims[i];
    }
    for (int64_t i = row % inner; i < inner && row < end; ++i, ++row) {
      const int64_t at = !inside ? -1 : last > 0 ? source_index(p.mode, i - p.before[last - 1], p.src_dims[last - 1]) : 0;
      pad_row(p, at >= 0 ? call.in<std::byte>(0) + base + at * src_row : nullptr, call.out<std::byte>(0) + row * row_bytes, value);
    }
  }
}

const Row<PadParams> kRows[] = {
    {"PadRows", [](const PadParams&) -> const char* { return nullptr; }, []() -> Kernel<PadParams> { return &pad; }},
};

}  // namespace

const Table<PadParams> pad_table = {"pad", kRows, std::size(kRows)};

}  // namespace tenon::kernels

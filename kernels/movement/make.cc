// Tensors made from a rule: EyeLike, Range, and small lists of numbers (Shape, Size).
#include <algorithm>
#include <cstring>

#include "kernels/movement/movement.h"

namespace tenon::kernels {

namespace {

void eye(const EyeParams& p, const Call& call, Range range) {
  const int64_t end = std::min(p.rows, range.end * p.rows_per_part);
  for (int64_t row = range.begin * p.rows_per_part; row < end; ++row) {
    std::byte* dst = call.out<std::byte>(0) + row * p.columns * p.element;
    std::memset(dst, 0, static_cast<size_t>(p.columns * p.element));
    const int64_t column = row + p.k;
    if (column >= 0 && column < p.columns) std::memcpy(dst + column * p.element, &p.one, static_cast<size_t>(p.element));
  }
}

/// Steps are taken in Wide, so that no error builds up.
template <class T, class Wide>
void range_of(const RangeParams& p, const Call& call, Range parts) {
  const Wide start = static_cast<Wide>(*call.in<T>(0)), delta = static_cast<Wide>(*call.in<T>(2));
  const int64_t end = std::min(p.count, parts.end * p.per_part);
  T* out = call.out<T>(0);
  for (int64_t i = parts.begin * p.per_part; i < end; ++i) out[i] = static_cast<T>(start + static_cast<Wide>(i) * delta);
}

/// Small floats: computed in double, rounded once to float32, once to T.
template <class T>
void range_of_small(const RangeParams& p, const Call& call, Range parts) {
  const double start = static_cast<float>(*call.in<T>(0)), delta = static_cast<float>(*call.in<T>(2));
  const int64_t end = std::min(p.count, parts.end * p.per_part);
  T* out = call.out<T>(0);
  for (int64_t i = parts.begin * p.per_part; i < end; ++i) out[i] = T(static_cast<float>(start + static_cast<double>(i) * delta));
}

void range(const RangeParams& p, const Call& call, Range parts) {
  switch (p.dtype) {
    case DType::kFloat32: return range_of<float, double>(p, call, parts);
    case DType::kFloat64: return range_of<double, double>(p, call, parts);
    case DType::kFloat16: return range_of_small<Float16>(p, call, parts);
    case DType::kBFloat16: return range_of_small<BFloat16>(p, call, parts);
    case DType::kInt8: return range_of<int8_t, uint64_t>(p, call, parts);
    case DType::kUint8: return range_of<uint8_t, uint64_t>(p, call, parts);
    case DType::kInt16: return range_of<int16_t, uint64_t>(p, call, parts);
    case DType::kUint16: return range_of<uint16_t, uint64_t>(p, call, parts);
    case DType::kInt32: return range_of<int32_t, uint64_t>(p, call, parts);
    case DType::kUint32: return range_of<uint32_t, uint64_t>(p, call, parts);
    default: return range_of<uint64_t, uint64_t>(p, call, parts);  // int64 too: the same bits
  }
}

void numbers(const NumbersParams& p, const Call& call, Range) {
  std::memcpy(call.dst[0], p.values, sizeof(int64_t) * static_cast<size_t>(p.count));
}

const char* refuse_range(const RangeParams& p) { return is_float(p.dtype) || is_integer(p.dtype) ? nullptr : "not a number type"; }

const Row<EyeParams> kEyeRows[] = {
    {"EyeRows", [](const EyeParams&) -> const char* { return nullptr; }, []() -> Kernel<EyeParams> { return &eye; }},
};
const Row<RangeParams> kRangeRows[] = {
    {"Range", refuse_range, []() -> Kernel<RangeParams> { return &range; }},
};
const Row<NumbersParams> kNumbersRows[] = {
    {"Numbers", [](const NumbersParams&) -> const char* { return nullptr; }, []() -> Kernel<NumbersParams> { return &numbers; }},
};

}  // namespace

const Table<EyeParams> eye_table = {"eye", kEyeRows, std::size(kEyeRows)};
const Table<RangeParams> range_table = {"range", kRangeRows, std::size(kRangeRows)};
const Table<NumbersParams> numbers_table = {"numbers", kNumbersRows, std::size(kNumbersRows)};

}  // namespace tenon::kernels

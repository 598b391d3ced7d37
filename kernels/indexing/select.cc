#include <cstring>

#include "kernels/indexing/resolve.h"

namespace tenon::kernels {
namespace {

/// f(is_set) with a predicate on element positions; for floats the sign bit does not count, so -0 is zero.
template <class F>
void with_predicate(DType dtype, const void* data, F&& f) {
  const auto bits = [&](auto t, auto mask) {
    using T = decltype(t);
    const T* p = static_cast<const T*>(data);
    f([p, m = static_cast<T>(mask)](int64_t i) { return (p[i] & m) != 0; });
  };
  switch (dtype) {
    case DType::kString: {
      const auto* p = static_cast<const StringRef*>(data);
      f([p](int64_t i) { return p[i].size != 0; });
      break;
    }
    case DType::kComplex64: {
      const auto* p = static_cast<const float*>(data);
      f([p](int64_t i) { return p[2 * i] != 0 || p[2 * i + 1] != 0; });
      break;
    }
    case DType::kComplex128: {
      const auto* p = static_cast<const double*>(data);
      f([p](int64_t i) { return p[2 * i] != 0 || p[2 * i + 1] != 0; });
      break;
    }
    case DType::kFloat16:
    case DType::kBFloat16: bits(uint16_t{}, 0x7fff); break;
    case DType::kFloat32: bits(uint32_t{}, 0x7fffffffu); break;
    case DType::kFloat64: bits(uint64_t{}, 0x7fffffffffffffffull); break;
    default:
      switch (size_of(dtype)) {
        case 1: bits(uint8_t{}, 0xff); break;
        case 2: bits(uint16_t{}, 0xffff); break;
        case 4: bits(uint32_t{}, ~uint32_t{0}); break;
        default: bits(uint64_t{}, ~uint64_t{0}); break;
      }
  }
}

}  // namespace

int64_t count_nonzero(DType dtype, const void* data, int64_t n) {
  int64_t count = 0;
  with_predicate(dtype, data, [&](auto set) {
    for (int64_t i = 0; i < n; ++i) count += set(i);
  });
  return count;
}

void write_nonzero(DType dtype, const void* data, const int64_t* dims, int rank, int64_t count, int64_t* out) {
  if (rank == 0 || count == 0) return;
  // Row by row of the last dim, whose own coordinates are known; a row's elements share the others.
  const int64_t n = dims[rank - 1];
  int64_t* last = out + (rank - 1) * count;
  int64_t turn[kMaxIndexRank] = {};
  with_predicate(dtype, data, [&](auto set) {
    int64_t at = 0;
    for (int64_t row = 0; at < count; row += n) {
      const int64_t before = at;
      for (int64_t j = 0; j < n && at < count; ++j) {
        last[at] = j;  // kept when the next line steps on
        at += set(row + j);
      }
      for (int d = 0; d < rank - 1; ++d) {
        for (int64_t i = before; i < at; ++i) out[d * count + i] = turn[d];
      }
      for (int d = rank - 2; d >= 0 && ++turn[d] == dims[d]; --d) turn[d] = 0;
    }
  });
}

void compress_slices(const void* src, const bool* keep, int64_t n, int64_t outer, int64_t axis, int64_t inner, void* dst) {
  auto* to = static_cast<char*>(dst);
  for (int64_t o = 0; o < outer; ++o) {
    const char* row = static_cast<const char*>(src) + o * axis * inner;
    for (int64_t j = 0; j < n;) {
      if (!keep[j]) {
        ++j;
        continue;
      }
      int64_t end = j + 1;
      while (end < n && keep[end]) ++end;
      std::memcpy(to, row + j * inner, static_cast<size_t>((end - j) * inner));
      to += (end - j) * inner;
      j = end;
    }
  }
}

}  // namespace tenon::kernels

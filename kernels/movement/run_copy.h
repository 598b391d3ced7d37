// Copying short runs of bytes without a call.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tenon::kernels {

/// Copies n bytes by (possibly overlapping) pieces of N bytes; N <= n <= 2N.
template <size_t N>
inline void copy_two(std::byte* dst, const std::byte* src, size_t n) {
  std::byte a[N], b[N];
  std::memcpy(a, src, N);
  std::memcpy(b, src + n - N, N);
  std::memcpy(dst, a, N);
  std::memcpy(dst + n - N, b, N);
}

inline void copy_run(std::byte* dst, const std::byte* src, size_t n) {
  if (n > 64) {
    std::memcpy(dst, src, n);
  } else if (n >= 32) {
    copy_two<32>(dst, src, n);
  } else if (n >= 16) {
    copy_two<16>(dst, src, n);
  } else if (n >= 8) {
    copy_two<8>(dst, src, n);
  } else if (n >= 4) {
    copy_two<4>(dst, src, n);
  } else if (n >= 2) {
    copy_two<2>(dst, src, n);
  } else if (n == 1) {
    *dst = *src;
  }
}

template <size_t N>
inline void copy_rows_of(std::byte* dst, int64_t dst_stride, const std::byte* src, int64_t src_stride, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r) std::memcpy(dst + r * dst_stride, src + r * src_stride, N);
}

/// `rows` runs of n bytes each.
inline void copy_rows(std::byte* dst, int64_t dst_stride, const std::byte* src, int64_t src_stride, int64_t rows, int64_t n) {
  if (n == dst_stride && n == src_stride) {
    std::memcpy(dst, src, static_cast<size_t>(rows * n));
    return;
  }
  switch (n) {
    case 0: return;
    case 1: return copy_rows_of<1>(dst, dst_stride, src, src_stride, rows);
    case 2: return copy_rows_of<2>(dst, dst_stride, src, src_stride, rows);
    case 4: return copy_rows_of<4>(dst, dst_stride, src, src_stride, rows);
    case 8: return copy_rows_of<8>(dst, dst_stride, src, src_stride, rows);
    case 16: return copy_rows_of<16>(dst, dst_stride, src, src_stride, rows);
    case 32: return copy_rows_of<32>(dst, dst_stride, src, src_stride, rows);
    case 64: return copy_rows_of<64>(dst, dst_stride, src, src_stride, rows);
    default:
      for (int64_t r = 0; r < rows; ++r) copy_run(dst + r * dst_stride, src + r * src_stride, static_cast<size_t>(n));
  }
}

/// The `total` bytes at dst, of which the first `period` are there, repeat these.
inline void repeat_bytes(std::byte* dst, int64_t period, int64_t total) {
  constexpr int64_t kPiece = 16 << 10;  // what is read again and again stays in L1
  for (int64_t done = period; done < total;) {
    const int64_t n = std::min({done, total - done, std::max(period, kPiece / period * period)});
    std::memcpy(dst + done, dst, static_cast<size_t>(n));
    done += n;
  }
}

/// N divides 16.
template <size_t N>
inline void fill_of(std::byte* dst, const std::byte* value, int64_t count) {
  const int64_t total = count * static_cast<int64_t>(N);
  if (total < 16) {
    for (int64_t i = 0; i < total; i += N) std::memcpy(dst + i, value, N);
    return;
  }
  std::byte pattern[16];
  for (size_t i = 0; i < 16; i += N) std::memcpy(pattern + i, value, N);
  for (int64_t i = 0; i + 16 <= total; i += 16) std::memcpy(dst + i, pattern, 16);
  std::memcpy(dst + total - 16, pattern, 16);  // over the one before
}

/// Fills `count` elements of `size` bytes with one value. dst need not be aligned.
inline void fill_elements(std::byte* dst, const std::byte* value, int64_t size, int64_t count) {
  if (count <= 0 || size == 0) return;
  switch (size) {
    case 1: std::memset(dst, static_cast<int>(*value), static_cast<size_t>(count)); return;
    case 2: return fill_of<2>(dst, value, count);
    case 4: return fill_of<4>(dst, value, count);
    case 8: return fill_of<8>(dst, value, count);
    case 16: return fill_of<16>(dst, value, count);
    default: break;
  }
  std::memcpy(dst, value, static_cast<size_t>(size));
  repeat_bytes(dst, size, size * count);
}

}  // namespace tenon::kernels

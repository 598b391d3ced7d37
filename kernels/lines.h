// Cache lines of a destination.
#pragma once

#include <cstdint>

namespace tenon::kernels {

/// How many of the n elements at dst lie in front of the first cache line that begins there; 0 where the run is too short for doing them
/// apart to pay. A buffer of the caller's is only element-aligned, and a vector stored across two lines costs nearly twice.
template <class T>
inline int64_t before_line(const T* dst, int64_t n) {
  constexpr int64_t kLine = 64, kShort = 2048;
  const auto past = static_cast<int64_t>(reinterpret_cast<uintptr_t>(dst) % kLine);
  if (past == 0 || n * static_cast<int64_t>(sizeof(T)) < kShort) return 0;
  return (kLine - past) / static_cast<int64_t>(sizeof(T));
}

/// Calls piece(first, count) for the elements of a run: those in front of the first line, then the others.
template <class T, class Piece>
inline void by_lines(const T* dst, int64_t n, Piece&& piece) {
  const int64_t head = before_line(dst, n);
  if (head > 0) piece(int64_t{0}, head);
  piece(head, n - head);
}

}  // namespace tenon::kernels

// Values become unsigned keys whose order is the order wanted, smallest first; key and index together make one integer that no two
// elements share, so ties need no care and the result does not depend on the algorithm.
#include <algorithm>
#include <bit>

#include "kernels/indexing/resolve.h"

namespace tenon::kernels {
namespace {

template <class T>
struct KeyBits {
  using type = std::conditional_t<(sizeof(T) > 4), uint64_t, uint32_t>;
};

/// An unsigned integer that ascends with the value. Both zeros and all NaNs are one key each.
template <class T>
typename KeyBits<T>::type ascending(T value) {
  using K = typename KeyBits<T>::type;
  if constexpr (std::is_integral_v<T> && std::is_unsigned_v<T>) {
    return value;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<K>(static_cast<std::conditional_t<(sizeof(T) > 4), int64_t, int32_t>>(value)) ^ (K{1} << (8 * sizeof(K) - 1));
  } else {
    using B = std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;
    constexpr B kSign = static_cast<B>(B{1} << (8 * sizeof(B) - 1));
    constexpr B kInf = std::is_same_v<T, double>     ? static_cast<B>(0x7ff0000000000000ull)
                       : std::is_same_v<T, float>    ? static_cast<B>(0x7f800000u)
                       : std::is_same_v<T, BFloat16> ? static_cast<B>(0x7f80u)
                                                     : static_cast<B>(0x7c00u);
    B bits = std::bit_cast<B>(value);
    const B magnitude = static_cast<B>(bits & static_cast<B>(~kSign));
    if (magnitude == 0) bits = 0;
    if (magnitude > kInf) return static_cast<K>(static_cast<B>(~B{0}));
    return static_cast<B>(bits ^ ((bits & kSign) ? static_cast<B>(~B{0}) : kSign));
  }
}

struct WideEntry {
  uint64_t key;
  int64_t index;
  bool operator<(const WideEntry& o) const { return key != o.key ? key < o.key : index < o.index; }
};
struct Packed {
  uint64_t bits;
  bool operator<(const Packed& o) const { return bits < o.bits; }
};

inline Packed entry(uint32_t key, int64_t i) { return {static_cast<uint64_t>(key) << 32 | static_cast<uint64_t>(i)}; }
inline WideEntry entry(uint64_t key, int64_t i) { return {key, i}; }
inline int64_t index_of(Packed e) { return static_cast<int64_t>(e.bits & 0xffffffffu); }
inline int64_t index_of(const WideEntry& e) { return e.index; }

constexpr int64_t kScan = 32;

/// The k smallest of entries make(0..n), sorted, at the front of `buffer` (room for n). worse(i, m, j) may say that all of the m
/// elements from i on come after element j; false when it does not know.
template <class Entry, class Make, class Worse>
void smallest(Entry* buffer, int64_t n, int64_t k, Make&& make, Worse&& worse) {
  if (k == 1) {
    Entry best = make(0);
    for (int64_t i = 1; i < n; i += kScan) {
      const int64_t end = std::min(n, i + kScan);
      if (worse(i, end - i, index_of(best))) continue;
      for (int64_t j = i; j < end; ++j) {
        const Entry e = make(j);
        if (e < best) best = e;
      }
    }
    buffer[0] = best;
    return;
  }
  if (k < n / 8) {
    // Few of many: a heap of the best so far, whose top almost every element fails to beat.
    for (int64_t i = 0; i < k; ++i) buffer[i] = make(i);
    std::make_heap(buffer, buffer + k);
    for (int64_t i = k; i < n; i += kScan) {
      const int64_t end = std::min(n, i + kScan);
      if (worse(i, end - i, index_of(buffer[0]))) continue;
      for (int64_t j = i; j < end; ++j) {
        const Entry e = make(j);
        if (!(e < buffer[0])) continue;
        std::pop_heap(buffer, buffer + k);
        buffer[k - 1] = e;
        std::push_heap(buffer, buffer + k);
      }
    }
    std::sort_heap(buffer, buffer + k);
    return;
  }
  for (int64_t i = 0; i < n; ++i) buffer[i] = make(i);
  if (k < n) std::nth_element(buffer, buffer + k, buffer + n);
  std::sort(buffer, buffer + k);
}

template <class T, class Entry, class K>
void run_lines(const TopKParams& p, const Call& call, int64_t begin, int64_t end) {
  auto* buffer = reinterpret_cast<Entry*>(call.scratch);
  const K flip = p.largest ? static_cast<K>(~K{0}) : K{0};
  for (int64_t line = begin; line < end; ++line) {
    const int64_t o = line / p.inner, i = line % p.inner;
    const T* src = call.in<T>(0) + o * p.n * p.inner + i;
    const auto make = [&](int64_t j) { return entry(static_cast<K>(static_cast<K>(ascending(src[j * p.inner])) ^ flip), j); };
    // A vector comparison rules out most of what a long line holds. NaN fails every comparison, so it is looked at more closely.
    const auto worse = [&](int64_t from, int64_t m, int64_t j) {
      if constexpr (std::is_arithmetic_v<T>) {
        if (p.inner != 1 || m < kScan) return false;
        const T bound = src[j];
        const T* at = src + from;
        int better = 0;
        if (p.largest) {
          for (int64_t e = 0; e < kScan; ++e) better |= !(at[e] <= bound);
        } else {
          for (int64_t e = 0; e < kScan; ++e) better |= !(at[e] >= bound);
        }
        return better == 0;
      }
      return false;
    };
    smallest(buffer, p.n, p.k, make, worse);
    const int64_t to = o * p.k * p.inner + i;
    if (T* values = call.out<T>(0)) {
      for (int64_t j = 0; j < p.k; ++j) values[to + j * p.inner] = src[index_of(buffer[j]) * p.inner];
    }
    if (int64_t* indices = call.out<int64_t>(1)) {
      for (int64_t j = 0; j < p.k; ++j) indices[to + j * p.inner] = index_of(buffer[j]);
    }
  }
}

void run_top_k(const TopKParams& p, const Call& call, Range range) {
  if (p.k == 0) return;
  const int64_t lines = p.outer * p.inner;
  const int64_t begin = range.begin * p.lines_per_part;
  const int64_t end = range.end * p.lines_per_part < lines ? range.end * p.lines_per_part : lines;
  dispatch<float, double, Float16, BFloat16, int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(
      p.dtype, [&](auto t) {
        using T = decltype(t);
        if constexpr (sizeof(T) <= 4) {
          if (p.n <= int64_t{UINT32_MAX}) return run_lines<T, Packed, uint32_t>(p, call, begin, end);
        }
        run_lines<T, WideEntry, uint64_t>(p, call, begin, end);
      });
}

}  // namespace

TENON_ONE_ROW(top_k, TopKParams, TopK, run_top_k)

}  // namespace tenon::kernels

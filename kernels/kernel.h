// What every kernel of the engine looks like. Kernels know raw pointers, sizes and strides; no graph, no tensor class.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace tenon::kernels {

/// A run of independent parts of one kernel call. How work is cut into parts depends on the shape alone, never on the number
/// of threads, so results do not depend on it either.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

/// What a kernel found in the values of its inputs that makes the operation impossible. The first report wins; the executor
/// turns it into a run error that names the node. After a report the outputs are undefined, but every part still returns.
struct Fault {
  enum Kind : int32_t { kNone = 0, kIndex, kDivisionByZero, kLength, kNegative, kValue };
  std::atomic<int32_t> kind{kNone};
  int64_t got = 0;     ///< the offending value
  int64_t limit = 0;   ///< kIndex: the size of the axis it indexes; kLength, kValue: the largest allowed value
  int32_t input = -1;  ///< which operator input held it, -1 when not one

  void report(Kind k, int64_t value, int64_t bound, int32_t which) {
    int32_t expected = kNone;
    if (kind.compare_exchange_strong(expected, k)) {
      got = value;
      limit = bound;
      input = which;
    }
  }
};

/// The buffers of one kernel call. Inputs and outputs are in the operator's order; an omitted optional one is null.
/// Buffers are 64-byte aligned when the engine allocated them and only element-aligned when a caller did; kernels accept both
/// and never read or write past the end of a buffer.
struct Call {
  const void* const* src = nullptr;
  void* const* dst = nullptr;
  std::byte* scratch = nullptr;  ///< this thread's own, 64-byte aligned, of the size the step asked for; contents undefined
  Fault* fault = nullptr;        ///< never null during a run
  std::byte* shared = nullptr;   ///< one for all threads of the step, kept between its phases (packed operands, partial sums)

  template <class T>
  const T* in(int i) const {
    return static_cast<const T*>(src[i]);
  }
  template <class T>
  T* out(int i) const {
    return static_cast<T*>(dst[i]);
  }
};

/// A kernel: reads its parameters (a trivially copyable struct), does the parts in `range`. Called concurrently on disjoint
/// ranges that together cover [0, parts). Never allocates, never throws, never blocks.
template <class Params>
using Kernel = void (*)(const Params&, const Call&, Range);

}  // namespace tenon::kernels

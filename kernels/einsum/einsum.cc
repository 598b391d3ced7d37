#include "kernels/einsum/einsum.h"

#include <algorithm>
#include <concepts>
#include <type_traits>

#include "base/small_float.h"

namespace tenon::kernels {
namespace {

/// What products of T are summed in: unsigned for integers, so that overflow wraps.
template <class T>
struct Sum {
  using type = T;
};
template <std::integral T>
struct Sum<T> {
  using type = std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<T>>;
};
template <>
struct Sum<Float16> {
  using type = float;
};
template <>
struct Sum<BFloat16> {
  using type = float;
};

/// Moves `index` one step on over labels [begin, end), last first, and the operands' offsets with it. False after the last.
bool advance(const EinsumParams& p, int begin, int end, int64_t* index, int64_t* offsets) {
  for (int l = end; l-- > begin;) {
    if (++index[l] < p.dims[l]) {
      for (int i = 0; i < p.operands; ++i) offsets[i] += p.strides[i][l];
      return true;
    }
    index[l] = 0;
    for (int i = 0; i < p.operands; ++i) offsets[i] -= (p.dims[l] - 1) * p.strides[i][l];
  }
  return false;
}

template <class T>
void run(const EinsumParams& p, const Call& call, Range range) {
  using Acc = typename Sum<T>::type;
  T* out = call.out<T>(0);
  // All labels but the last summed one are walked by the odometer; that one is the inner loop.
  const bool sums = p.rank > p.out_rank;
  const int last = p.rank - 1;
  const int64_t inner = sums ? p.dims[last] : 1;
  bool empty = false;
  for (int l = p.out_rank; l < p.rank; ++l) empty |= p.dims[l] == 0;
  for (int64_t part = range.begin; part < range.end; ++part) {
    int64_t at = part * p.chunk;
    const int64_t end = std::min(p.count, at + p.chunk);
    int64_t index[kEinsumLabels] = {}, offsets[kEinsumOperands] = {};
    int64_t rest = at;
    for (int l = p.out_rank; l-- > 0;) {
      index[l] = rest % p.dims[l];
      rest /= p.dims[l];
      for (int i = 0; i < p.operands; ++i) offsets[i] += index[l] * p.strides[i][l];
    }
    for (; at < end; ++at) {
      Acc sum = 0;
      if (!empty) {
        do {
          for (int64_t j = 0; j < inner; ++j) {
            Acc product = 1;
            for (int i = 0; i < p.operands; ++i) {
              product *= static_cast<Acc>(call.in<T>(i)[offsets[i] + (sums ? j * p.strides[i][last] : 0)]);
            }
            sum += product;
          }
        } while (sums && advance(p, p.out_rank, last, index, offsets));
      }
      out[at] = static_cast<T>(sum);
      advance(p, 0, p.out_rank, index, offsets);
    }
  }
}

void Einsum(const EinsumParams& p, const Call& call, Range range) {
  dispatch<float, double, Float16, BFloat16, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>(
      p.dtype, [&](auto zero) { run<decltype(zero)>(p, call, range); });
}

}  // namespace

Kernel<EinsumParams> EinsumPointer() { return &Einsum; }

}  // namespace tenon::kernels

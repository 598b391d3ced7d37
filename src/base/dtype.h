// Element types of tensors. Values equal ONNX's TensorProto.DataType, so they are stable and need no mapping.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/small_float.h"

namespace tenon {

enum class DType : uint8_t {
  kUndefined = 0,
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kFloat64 = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBFloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUint2 = 25,
  kInt2 = 26,
};
inline constexpr int kDTypeCount = 27;

/// A string element in a tensor: a view. The bytes belong to the tensor's buffer, the model, or the run's string heap,
/// so moving string tensors about is moving 16-byte elements like any other.
struct StringRef {
  const char* data = nullptr;
  size_t size = 0;
  std::string_view view() const { return {data, size}; }
  friend bool operator==(const StringRef& a, const StringRef& b) { return a.view() == b.view(); }
};
static_assert(sizeof(StringRef) == 16);

/// Bytes of one element in memory. 2- and 4-bit types occupy one byte an element in memory (packed only in files).
size_t size_of(DType dtype);
/// Bits of one element in an ONNX file (4 for int4, 2 for uint2).
int file_bits(DType dtype);
/// "float32", "int64", "bfloat16", ...: numpy's (and ml_dtypes') names.
std::string_view name_of(DType dtype);
bool is_valid(int32_t onnx_data_type);  ///< a value of the enum other than kUndefined

bool is_float(DType dtype);      ///< float16, bfloat16, float32, float64
bool is_any_float(DType dtype);  ///< is_float, or one of the 8- and 4-bit floats
bool is_integer(DType dtype);    ///< 8 to 64 bits, signed or unsigned
bool is_signed_integer(DType dtype);
bool is_small_integer(DType dtype);  ///< uint4, int4, uint2, int2
bool is_complex(DType dtype);
inline bool is_numeric(DType d) { return is_float(d) || is_integer(d); }

/// C++ type <-> DType. Bool is `bool`, strings are StringRef.
template <class T>
struct DTypeOf;
// clang-format off
#define TENON_DTYPES(X)                                                                                            \
  X(kFloat32, float) X(kUint8, uint8_t) X(kInt8, int8_t) X(kUint16, uint16_t) X(kInt16, int16_t)                    \
  X(kInt32, int32_t) X(kInt64, int64_t) X(kBool, bool) X(kFloat16, Float16) X(kFloat64, double)                     \
  X(kUint32, uint32_t) X(kUint64, uint64_t) X(kBFloat16, BFloat16) X(kString, StringRef)                            \
  X(kFloat8E4M3FN, Float8E4M3FN) X(kFloat8E4M3FNUZ, Float8E4M3FNUZ) X(kFloat8E5M2, Float8E5M2)                      \
  X(kFloat8E5M2FNUZ, Float8E5M2FNUZ) X(kFloat8E8M0, Float8E8M0) X(kFloat4E2M1, Float4E2M1)                          \
  X(kUint4, Uint4) X(kInt4, Int4) X(kUint2, Uint2) X(kInt2, Int2)
// clang-format on
#define TENON_X(name, type)                     \
  template <>                                   \
  struct DTypeOf<type> {                        \
    static constexpr DType value = DType::name; \
  };
TENON_DTYPES(TENON_X)
#undef TENON_X
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

/// Calls `f(T{})` with a value of the C++ type of `dtype` when it is one of Ts; returns false when it is none of them.
template <class... Ts, class F>
bool dispatch(DType dtype, F&& f) {
  return ((dtype == dtype_of<Ts> ? (static_cast<void>(f(Ts{})), true) : false) || ...);
}

}  // namespace tenon

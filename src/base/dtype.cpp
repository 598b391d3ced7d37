#include "base/dtype.h"

namespace tenon {

namespace {

enum Class : uint8_t { kNone, kFloat, kTinyFloat, kSigned, kUnsigned, kSmall, kComplex, kOther };

struct Facts {
  const char* name;
  uint8_t bytes;
  uint8_t bits;  // in a file; 0 for strings, which have no fixed width
  Class kind;
};

// In the order of the enum.
constexpr Facts kFacts[kDTypeCount] = {
    {"undefined", 0, 0, kNone},
    {"float32", 4, 32, kFloat},
    {"uint8", 1, 8, kUnsigned},
    {"int8", 1, 8, kSigned},
    {"uint16", 2, 16, kUnsigned},
    {"int16", 2, 16, kSigned},
    {"int32", 4, 32, kSigned},
    {"int64", 8, 64, kSigned},
    {"string", 16, 0, kOther},
    {"bool", 1, 8, kOther},
    {"float16", 2, 16, kFloat},
    {"float64", 8, 64, kFloat},
    {"uint32", 4, 32, kUnsigned},
    {"uint64", 8, 64, kUnsigned},
    {"complex64", 8, 64, kComplex},
    {"complex128", 16, 128, kComplex},
    {"bfloat16", 2, 16, kFloat},
    {"float8_e4m3fn", 1, 8, kTinyFloat},
    {"float8_e4m3fnuz", 1, 8, kTinyFloat},
    {"float8_e5m2", 1, 8, kTinyFloat},
    {"float8_e5m2fnuz", 1, 8, kTinyFloat},
    {"uint4", 1, 4, kSmall},
    {"int4", 1, 4, kSmall},
    {"float4_e2m1fn", 1, 4, kTinyFloat},
    {"float8_e8m0fnu", 1, 8, kTinyFloat},
    {"uint2", 1, 2, kSmall},
    {"int2", 1, 2, kSmall},
};

const Facts& facts(DType dtype) {
  const auto i = static_cast<uint8_t>(dtype);
  return kFacts[i < kDTypeCount ? i : 0];
}

}  // namespace

size_t size_of(DType dtype) { return facts(dtype).bytes; }
int file_bits(DType dtype) { return facts(dtype).bits; }
std::string_view name_of(DType dtype) { return facts(dtype).name; }
bool is_valid(int32_t onnx_data_type) { return onnx_data_type > 0 && onnx_data_type < kDTypeCount; }

bool is_float(DType dtype) { return facts(dtype).kind == kFloat; }
bool is_any_float(DType dtype) { return is_float(dtype) || facts(dtype).kind == kTinyFloat; }
bool is_integer(DType dtype) { return facts(dtype).kind == kSigned || facts(dtype).kind == kUnsigned; }
bool is_signed_integer(DType dtype) { return facts(dtype).kind == kSigned; }
bool is_small_integer(DType dtype) { return facts(dtype).kind == kSmall; }
bool is_complex(DType dtype) { return facts(dtype).kind == kComplex; }

}  // namespace tenon

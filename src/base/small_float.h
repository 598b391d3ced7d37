// Storage types narrower than float32: conversion only, arithmetic is done in float32.
// Formats: IEEE 754 binary16; bfloat16; OCP 8-bit floats (FN, FNUZ after Graphcore/AMD), OCP MX E8M0 and E2M1;
// 2- and 4-bit integers, one element a byte in memory. Rounding is to nearest even unless said otherwise.
#pragma once

#include <bit>
#include <cstdint>

namespace tenon {

struct Float16 {
  uint16_t bits = 0;
  Float16() = default;
  explicit Float16(float value);
  explicit operator float() const;
};
struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float value);
  explicit operator float() const { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
};

/// An 8-bit (or 4-bit, low nibble) float. from_float saturates to the largest finite value when `saturate`,
/// otherwise overflow gives infinity, or NaN where the format has no infinity (ONNX Cast, tables of opset 19 and 23).
#define TENON_TINY_FLOAT(Name)                                    \
  struct Name {                                                   \
    uint8_t bits = 0;                                             \
    Name() = default;                                             \
    explicit Name(float value) : Name(from_float(value, true)) {} \
    explicit operator float() const;                              \
    static Name from_float(float value, bool saturate);           \
  };
TENON_TINY_FLOAT(Float8E4M3FN)
TENON_TINY_FLOAT(Float8E4M3FNUZ)
TENON_TINY_FLOAT(Float8E5M2)
TENON_TINY_FLOAT(Float8E5M2FNUZ)
TENON_TINY_FLOAT(Float4E2M1)
#undef TENON_TINY_FLOAT

/// A power of two, exponent bias 127, 0xff is NaN; no sign, no zero. ONNX round_mode of Cast: up, down or nearest.
struct Float8E8M0 {
  uint8_t bits = 0;
  enum class Round : uint8_t { kUp, kDown, kNearest };
  Float8E8M0() = default;
  explicit Float8E8M0(float value) : Float8E8M0(from_float(value, true, Round::kUp)) {}
  explicit operator float() const;
  static Float8E8M0 from_float(float value, bool saturate, Round round);
};

/// 2- and 4-bit integers: `bits` holds the value itself (sign-extended for the signed ones).
struct Uint4 {
  uint8_t bits = 0;
  explicit operator int32_t() const { return bits; }
};
struct Int4 {
  int8_t bits = 0;
  explicit operator int32_t() const { return bits; }
};
struct Uint2 {
  uint8_t bits = 0;
  explicit operator int32_t() const { return bits; }
};
struct Int2 {
  int8_t bits = 0;
  explicit operator int32_t() const { return bits; }
};

}  // namespace tenon

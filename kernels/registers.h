// The registers that tiles of sums are cut for.
#pragma once

#include <cstdint>

namespace tenon::kernels {

#if defined(__aarch64__)
/// Whether multiplications take one lane of a register as it is: numbers that other instruction sets load into all lanes, one by one, are
/// then loaded as vectors.
inline constexpr bool kMultipliesByLane = true;
#else
inline constexpr bool kMultipliesByLane = false;
#endif

/// Vector registers of the instruction set whose vectors have so many float32 lanes.
constexpr int vector_registers(int64_t lanes) { return lanes >= 16 || kMultipliesByLane ? 32 : 16; }

}  // namespace tenon::kernels

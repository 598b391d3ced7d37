// What the machine offers, and the floating-point mode of a thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace tenon {

/// Instruction sets that kernels are compiled for, each with all those before it. The baseline is x86-64-v2 (SSE4), or NEON on Arm, or
/// plain C++; AVX2 is x86-64-v3, AVX-512 x86-64-v4.
enum class Isa : uint8_t { kBaseline, kAvx2, kAvx512 };
/// The best one that the CPU has and the operating system keeps the registers of.
Isa best_isa();
/// The same, capped by the environment variable TENON_MAX_ISA on x86 (sse4, avx2, avx512). Asking there for one the CPU lacks, or by another
/// word, is an error, never a silent fallback.
Result<Isa> allowed_isa();
/// Instructions that some CPUs with AVX2 or AVX-512 have beside them; not capped.
struct CpuExtensions {
  bool avx_vnni = false, avx512_vnni = false, avx512_bf16 = false;
};
const CpuExtensions& cpu_extensions();

/// As a word: "avx512", "avx2", "sse4", or "neon", "scalar".
Result<std::string> instruction_set();

/// Flushes denormal inputs and results of the calling thread to zero (they cost up to a hundred times a normal operation).
/// Returns the state before. No-op where the CPU has no such mode.
unsigned flush_denormals(bool on);
void restore_float_mode(unsigned before);

/// Flushes denormals for a scope and restores the caller's mode.
class DenormalGuard {
 public:
  DenormalGuard() : before_(flush_denormals(true)) {}
  ~DenormalGuard() { restore_float_mode(before_); }
  DenormalGuard(const DenormalGuard&) = delete;
  DenormalGuard& operator=(const DenormalGuard&) = delete;

 private:
  unsigned before_;
};

}  // namespace tenon

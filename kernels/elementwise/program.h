// Chains of elementwise functions in one pass: a small register program run on tiles that stay in L1.
#pragma once

#include "kernels/elementwise/binary.h"
#include "kernels/elementwise/unary.h"

namespace tenon::kernels {

inline constexpr int kMaxProgramInputs = 8;
inline constexpr int kMaxProgramSteps = 20;
inline constexpr int64_t kProgramTile = 1024;  ///< elements a register

/// One step: registers in, one register out. Truth values are floats, 0 or 1.
struct ProgramStep {
  enum class Kind : uint8_t {
    kUnary,   ///< a; `unary` with alpha and beta (kIsNaN, kIsInf and kNot give and take truth values)
    kBinary,  ///< a, b; `binary` (comparisons, kAnd, kOr, kXor give truth values)
    kClip,    ///< min(max(a, alpha), beta)
    kWhere,   ///< a != 0 ? b : c
  };
  Kind kind = Kind::kUnary;
  UnaryKind unary = UnaryKind::kRelu;
  BinaryKind binary = BinaryKind::kAdd;
  int8_t a = -1, b = -1, c = -1;  ///< registers: inputs first, then the results of the steps before
  float alpha = 0, beta = 0;

  bool operator==(const ProgramStep&) const = default;
};
/// float32 functions that a program can hold.
bool program_takes(UnaryKind kind);
bool program_takes(BinaryKind kind);

/// The last step's result is the output, float32. Inputs are float32, or bool where `is_bool`. dst may be the buffer of an input that is
/// as large as the output. scratch: slots * kProgramTile floats.
struct ProgramParams {
  int32_t inputs = 0;
  int32_t steps = 0;
  int32_t slots = 0;
  bool is_bool[kMaxProgramInputs] = {};
  ProgramStep step[kMaxProgramSteps];
  int8_t input_slot[kMaxProgramInputs] = {};  ///< tile that a widened (bool), repeated (stride 0) or spelled-out input is written to
  int8_t step_slot[kMaxProgramSteps] = {};    ///< tile of each step's result; the last step writes to dst
  /// Short rows are walked together: `shape` has its last two dims merged, and an input that repeats along one of the two (its stride
  /// in `shape` is 0) is spelled out, element (r, c) of it at r * row_step + c * column_step.
  bool spelled[kMaxProgramInputs] = {};
  int64_t row_step[kMaxProgramInputs] = {};
  int64_t column_step[kMaxProgramInputs] = {};
  int64_t row = 1;  ///< elements of a short row
  int64_t count = 0;
  int64_t chunk = 0;
  BroadcastShape<kMaxProgramInputs> shape;
};
void run_program(const ProgramParams& p, const Call& call, Range range);

}  // namespace tenon::kernels

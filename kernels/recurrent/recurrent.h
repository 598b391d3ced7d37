// RNN, GRU and LSTM layers.
#pragma once

#include "kernels/gemm/gemm.h"

namespace tenon::kernels {

enum class CellKind : uint8_t { kRnn, kGru, kLstm };
constexpr int64_t gates_of(CellKind kind) { return kind == CellKind::kLstm ? 4 : kind == CellKind::kGru ? 3 : 1; }

/// An activation of a cell. `tile` does float32; `kind` says the same for the reference.
enum class CellActivationKind : uint8_t {
  // clang-format off
  kRelu, kTanh, kSigmoid, kAffine, kLeakyRelu, kThresholdedRelu, kScaledTanh, kHardSigmoid, kElu, kSoftsign, kSoftplus,
  // clang-format on
};
struct CellActivation {
  CellActivationKind kind = CellActivationKind::kTanh;
  float alpha = 0, beta = 0;
  UnaryTile tile = nullptr;
};
UnaryTile cell_tile(CellActivationKind kind);

/// Inputs X, W, R, B, sequence_lens, initial_h, initial_c, P; outputs Y, Y_h, Y_c. A sequence shorter than
/// `steps` gives zeros in Y past its end and leaves the state as it was; reversed directions begin at its own last step.
/// One part is a group of rows of the batch in one direction; the steps of a part are done in order.
struct RecurrentParams {
  CellKind cell = CellKind::kLstm;
  DType dtype = DType::kFloat32;
  int64_t steps = 0, batch = 0, inputs = 0, hidden = 0, directions = 1;
  bool reverse[2] = {};
  bool batch_major = false;  ///< layout 1: [batch, steps, ...]
  bool biased = false, lengths = false, initial_h = false, initial_c = false, peepholes = false;
  bool input_forget = false, linear_before_reset = false;
  bool want_y = false, want_h = false, want_c = false;
  bool clips = false;
  float clip = 0;
  CellActivation activations[2][3];

  // Of the float32 path: where things are in Call::shared, in floats. Weights that came packed are read from their inputs.
  bool packed_w = false, packed_r = false;
  int64_t w_at = 0, r_at = 0;
  int64_t r_floats = 0;   ///< packed_r_floats(cell, hidden)
  int64_t bias_at = 0;    ///< [directions, gates * hidden]: sums of both biases, but for the next
  int64_t r_bias_at = 0;  ///< [directions, hidden]: the recurrent bias of GRU's hidden gate when linear_before_reset
  int64_t x_at = -1;      ///< X as float32, -1 when it is that already
  int64_t gates_at = 0;   ///< [directions, rows of X, gates * hidden]: X W + bias
  GemmFew few = nullptr;

  int64_t gates() const { return gates_of(cell); }
  int64_t width() const { return gates() * hidden; }
  int64_t group() const { return batch < kGroup ? batch : kGroup; }  ///< rows a part
  int64_t groups() const { return (batch + kGroup - 1) / kGroup; }
  static constexpr int64_t kGroup = 16;
};

/// Floats of one direction's packed R. GRU's hidden gate is a matrix of its own: it may be applied to another vector.
int64_t packed_r_floats(CellKind cell, int64_t hidden);

/// Phase 0: biases are added up, X is converted. One part a direction, then one part a step when X is converted.
Kernel<RecurrentParams> RecurrentPreparePointer();
/// Phase 1, unless packed: W and R of both directions become panels; each is a GemmPack with offsets.
/// Phase 2: the product X W + bias of all steps at once; `gemm` has a batch dim of directions.
struct ProjectionParams {
  GemmParams gemm;
  Kernel<GemmParams> kernel = nullptr;
  bool packed_w = false;
  int64_t w_at = 0, bias_at = 0, x_at = -1, gates_at = 0;
};
Kernel<ProjectionParams> RecurrentProjectionPointer();
/// Phase 3: the steps. Scratch: recurrent_scratch bytes.
Kernel<RecurrentParams> RecurrentStepsPointer();
int64_t recurrent_scratch(const RecurrentParams& p);

/// Everything in one phase, in double, for any float dtype; plain weights.
Kernel<RecurrentParams> RecurrentReferencePointer();
int64_t recurrent_reference_scratch(const RecurrentParams& p);

}  // namespace tenon::kernels

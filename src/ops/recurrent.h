#pragma once

#include "kernels/recurrent/recurrent.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// ONNX RNN, GRU and LSTM, opset 14 meaning.
struct Recurrent {
  using Cell = kernels::CellKind;
  enum class Direction : uint8_t { kForward, kReverse, kBidirectional };
  struct Function {
    kernels::CellActivationKind kind = kernels::CellActivationKind::kTanh;
    float alpha = 0;
    float beta = 0;
    bool operator==(const Function&) const = default;
  };
  Cell cell = Cell::kLstm;
  Direction direction = Direction::kForward;
  int64_t hidden_size = 0;            ///< 0: taken from R
  std::vector<Function> activations;  ///< as many as the cell has (f; f, g; f, g, h) for each direction
  std::optional<float> clip;
  bool input_forget = false;         ///< LSTM
  bool linear_before_reset = false;  ///< GRU
  bool batch_major = false;          ///< layout 1

  int64_t directions() const { return direction == Direction::kBidirectional ? 2 : 1; }
  bool operator==(const Recurrent&) const = default;
};

/// (X, W, R, B?, sequence_lens?, initial_h?, LSTM: initial_c?, P?: float) -> (Y, Y_h, LSTM: Y_c). W and R may be packed
/// (pack_recurrent_weights); their types then keep ONNX's shapes.
Result<Types> infer(const Recurrent&, const Types& in);
Result<Step> bind(const Recurrent&, const BindContext&);

/// Functions a direction has: 1, 2 or 3.
constexpr int functions_of(Recurrent::Cell cell) { return cell == Recurrent::Cell::kLstm ? 3 : cell == Recurrent::Cell::kGru ? 2 : 1; }

/// A constant W (input 1) or R (input 2) packed for the instruction set in use; nullopt for float64 and empty weights.
struct PackedRecurrentWeights {
  Tensor tensor;
  Layout layout;
};
Result<std::optional<PackedRecurrentWeights>> pack_recurrent_weights(const Recurrent& op, int input, const Tensor& weights,
                                                                     std::shared_ptr<Allocator> allocator = nullptr);

}  // namespace tenon::ops

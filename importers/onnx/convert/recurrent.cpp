// RNN, GRU, LSTM.
#include <algorithm>

#include "importers/onnx/convert.h"
#include "ops/recurrent.h"

namespace tenon::onnx {

namespace {

using Kind = kernels::CellActivationKind;
using ops::Recurrent;

struct Known {
  std::string_view name;
  Kind kind;
  int constants;  ///< how many of alpha, beta it takes
  float alpha, beta;
};
constexpr Known kKnown[] = {
    {"relu", Kind::kRelu, 0, 0, 0},
    {"tanh", Kind::kTanh, 0, 0, 0},
    {"sigmoid", Kind::kSigmoid, 0, 0, 0},
    {"affine", Kind::kAffine, 2, 1.0f, 0.0f},
    {"leakyrelu", Kind::kLeakyRelu, 1, 0.01f, 0},
    {"thresholdedrelu", Kind::kThresholdedRelu, 1, 1.0f, 0},
    {"scaledtanh", Kind::kScaledTanh, 2, 1.0f, 1.0f},
    {"hardsigmoid", Kind::kHardSigmoid, 2, 0.2f, 0.5f},
    {"elu", Kind::kElu, 1, 1.0f, 0},
    {"softsign", Kind::kSoftsign, 0, 0, 0},
    {"softplus", Kind::kSoftplus, 0, 0, 0},
};

Result<const Known*> find_activation(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const Known& k : kKnown) {
    if (k.name == name) return &k;
  }
  return load_error("attribute activations names '", name, "', which is none of the activations of recurrent operators");
}

/// Values are consumed by the activations that take one, in order. A list with one value an activation is read by position.
class Constants {
 public:
  Constants(std::vector<float> values, size_t functions) : values_(std::move(values)), positional_(values_.size() == functions) {}
  float take(size_t position, bool wanted, float otherwise) {
    if (!wanted) return 0;
    const size_t at = positional_ ? position : next_++;
    return at < values_.size() ? values_[at] : otherwise;
  }

 private:
  std::vector<float> values_;
  bool positional_;
  size_t next_ = 0;
};

Status convert(NodeContext& ctx, Recurrent op) {
  TENON_ASSIGN(const std::string direction, ctx.string_attribute("direction", "forward"));
  if (direction == "reverse") {
    op.direction = Recurrent::Direction::kReverse;
  } else if (direction == "bidirectional") {
    op.direction = Recurrent::Direction::kBidirectional;
  } else if (direction != "forward") {
    return load_error("attribute direction is '", direction, "', expected forward, reverse or bidirectional");
  }
  if (ctx.has_attribute("hidden_size")) {
    TENON_ASSIGN(op.hidden_size, ctx.int_attribute("hidden_size"));
    if (op.hidden_size <= 0) return shape_error("attribute hidden_size is ", op.hidden_size, ", expected a positive number");
  }
  if (ctx.has_attribute("clip")) {
    TENON_ASSIGN(const float clip, ctx.float_attribute("clip"));
    if (!(clip >= 0)) return shape_error("attribute clip is ", clip, ", expected a number that is not negative");
    if (clip > 0) op.clip = clip;
  }
  if (ctx.opset() < 14) {
    if (ctx.opset() < 7) TENON_TRY(ctx.int_attribute("output_sequence", 0));
  } else {
    TENON_ASSIGN(const int64_t layout, ctx.int_attribute("layout", 0));
    if (layout != 0 && layout != 1) return load_error("attribute layout is ", layout, ", expected 0 or 1");
    op.batch_major = layout == 1;
  }

  std::vector<std::string> names;
  for (int64_t d = 0; d < op.directions(); ++d) {
    if (op.cell != Recurrent::Cell::kRnn) names.push_back("Sigmoid");
    for (int i = op.cell == Recurrent::Cell::kRnn ? 0 : 1; i < ops::functions_of(op.cell); ++i) names.push_back("Tanh");
  }
  const size_t functions = names.size();
  TENON_ASSIGN(names, ctx.strings_attribute("activations", names));
  // RNN's default is written with both directions in the schema, whatever the direction is.
  if (names.size() < functions) return shape_error("attribute activations has ", names.size(), " names, expected ", functions);
  names.resize(functions);
  TENON_ASSIGN(auto alpha_values, ctx.floats_attribute("activation_alpha", std::vector<float>{}));
  TENON_ASSIGN(auto beta_values, ctx.floats_attribute("activation_beta", std::vector<float>{}));
  Constants alphas(std::move(alpha_values), functions), betas(std::move(beta_values), functions);
  for (size_t i = 0; i < functions; ++i) {
    TENON_ASSIGN(const Known* known, find_activation(names[i]));
    Recurrent::Function f{.kind = known->kind};
    f.alpha = alphas.take(i, known->constants > 0, known->alpha);
    f.beta = betas.take(i, known->constants > 1, known->beta);
    op.activations.push_back(f);
  }
  return ctx.become(op);
}

Status convert_rnn(NodeContext& ctx) {
  Recurrent op;
  op.cell = Recurrent::Cell::kRnn;
  return convert(ctx, op);
}

Status convert_gru(NodeContext& ctx) {
  Recurrent op;
  op.cell = Recurrent::Cell::kGru;
  if (ctx.opset() >= 3) {
    TENON_ASSIGN(const int64_t linear, ctx.int_attribute("linear_before_reset", 0));
    op.linear_before_reset = linear != 0;
  }
  return convert(ctx, op);
}

Status convert_lstm(NodeContext& ctx) {
  Recurrent op;
  op.cell = Recurrent::Cell::kLstm;
  TENON_ASSIGN(const int64_t input_forget, ctx.int_attribute("input_forget", 0));
  op.input_forget = input_forget != 0;
  return convert(ctx, op);
}

constexpr Operator kOperators[] = {
    {"", "RNN", 1, 3, 6, 2, convert_rnn},
    {"", "GRU", 1, 3, 6, 2, convert_gru},
    {"", "LSTM", 1, 3, 8, 3, convert_lstm},
};

}  // namespace

std::span<const Operator> recurrent_operators() { return kOperators; }

}  // namespace tenon::onnx

#pragma once

#include <string>

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// ONNX Einsum with numpy's meaning: any number of operands, repeated labels (diagonals), ellipsis, implicit output, blanks.
/// Two operands that share summed labels become a matrix product; everything else is computed by the definition.
struct Einsum {
  std::string equation;

  bool operator==(const Einsum&) const = default;
};

/// (operands...: the same numeric dtype) -> (y).
Result<Types> infer(const Einsum&, const Types& in);
Result<Step> bind(const Einsum&, const BindContext&);

/// An equation taken apart. Labels are letters; dims under an ellipsis have labels of their own, counted from the right.
struct EinsumTerms {
  static constexpr int kEllipsis = -1;
  std::vector<std::vector<int>> inputs;  ///< letters, or kEllipsis
  std::vector<int> output;
};
Result<EinsumTerms> parse_equation(const std::string& equation);
/// The same with every label spelled out for operands of these ranks: no kEllipsis, but numbers below it in its place.
Result<EinsumTerms> spell(const EinsumTerms& terms, const std::vector<int>& ranks);

}  // namespace tenon::ops

// Op: one operator with its attributes, a value in a closed variant. Copying, comparing and dispatching come from the rows of ops.inc.
#pragma once

#include <string_view>
#include <variant>

#include "ops/generated/includes.h"  // made by the build from ops.inc
#include "ops/step.h"
#include "ops/type.h"

namespace tenon {

using OpVariant = std::variant<
#define OP(Name, stem) ops::Name,
#include "ops/generated/ops.inc"
#undef OP
    std::monostate>;

/// A type of its own, so that symbols and messages say Op and not its fifty alternatives.
struct Op : OpVariant {
  using OpVariant::OpVariant;
};

/// The struct's name: "MatMul".
std::string_view op_name(const Op& op);

/// Output types from input types. A pure function: it knows neither graph nor node. Also carries small integer contents through
/// shape arithmetic (shape_arithmetic.h). Inputs are tensors; an operator that takes sequences and optionals says for which inputs with a
/// `static constexpr bool takes_any_structure(int input)`.
Result<Types> infer(const Op& op, const Types& in);

/// The work for one set of fully known types.
Result<Step> bind(const Op& op, const BindContext& ctx);

}  // namespace tenon

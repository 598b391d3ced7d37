#pragma once

#include "kernels/elementwise/binary.h"
#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// An elementwise function of two inputs with numpy broadcasting, opset 7 meaning: arithmetic, logic, bits, comparisons, PRelu.
struct Binary {
  using Kind = kernels::BinaryKind;
  Kind kind = Kind::kAdd;

  bool operator==(const Binary&) const = default;
};

/// (a, b: same dtype but for Pow) -> (y: a's dtype, bool for comparisons; broadcast shape; for PRelu, a's shape).
/// Channel-blocked: both in the same layout with the same channels, or one of them plain with a single element.
Result<Types> infer(const Binary&, const Types& in);
Result<Step> bind(const Binary&, const BindContext&);

/// "Add", "Greater", ...
std::string_view name_of(Binary::Kind kind);

}  // namespace tenon::ops

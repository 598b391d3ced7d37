// Values seen as products and sums, however an exporter spelled them: the ground of the activation matchers.
#pragma once

#include <vector>

#include "passes/pass.h"

namespace tenon {

/// scale * factors[0] * factors[1] * ...
struct Product {
  double scale = 1;
  std::vector<ValueId> factors;
};

/// Takes `value` apart through Mul, Div by a scalar constant, Pow with exponent 2, 3 or 4, and Neg, without looking into the values in
/// `atoms`. A value that is none of these is a product of itself.
Product product_of(const Graph& graph, ValueId value, const std::vector<ValueId>& atoms);

/// The factors are these, in any order.
bool has_factors(const Product& product, std::vector<ValueId> factors);

/// `value` is scale * x for a scalar constant: x and the scale. x itself when it is no product with a constant.
struct Scaled {
  ValueId x = kNone;
  double scale = 1;
};
Scaled scaled(const Graph& graph, ValueId value);

/// value is a + c (either order) with a scalar constant c: a, else kNone.
ValueId plus_constant(const Graph& graph, ValueId value, double c);

/// The input of the Unary of this kind that computes `value`, else kNone.
ValueId argument_of(const Graph& graph, ValueId value, ops::Unary::Kind kind);

inline bool close(double a, double b) { return a - b < 1e-4 * (b < 0 ? -b : b) && b - a < 1e-4 * (b < 0 ? -b : b); }

/// Both ranked with provably equal shapes, and of one dtype and layout.
bool same_type(const Graph& graph, ValueId a, ValueId b);

}  // namespace tenon

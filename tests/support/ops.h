// Elementwise operators by kind, for tests that build graphs.
#pragma once

#include "ops/op.h"

namespace tenon::testing_support {

inline ops::Unary unary(ops::Unary::Kind kind) {
  ops::Unary op;
  op.kind = kind;
  return op;
}

inline ops::Binary binary(ops::Binary::Kind kind) {
  ops::Binary op;
  op.kind = kind;
  return op;
}

}  // namespace tenon::testing_support

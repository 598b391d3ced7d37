// Shape arithmetic at load: small integer tensors carry their (possibly symbolic) contents through the operators that exporters
// use to compute shapes, so chains from Shape to Reshape disappear even while the input shape is dynamic.
#pragma once

#include "ops/op.h"

namespace tenon {

/// Fills out[i].contents where they follow from the contents of the inputs. Never fails: unknown stays unknown.
void propagate_contents(const Op& op, const Types& in, Types& out);

}  // namespace tenon

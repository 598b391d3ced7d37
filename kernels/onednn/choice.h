// Where oneDNN is the faster provider: one table, made from what benchmarks/onednn_benchmark.cpp measured beside the engine's own rows.
#pragma once

#include "kernels/conv/conv.h"

namespace tenon::kernels::onednn {

/// Null where oneDNN is to be preferred, otherwise why not (a static string). Looks at sizes and the instruction set in use alone, so that
/// the choice is the same on every run, and does not open the module. p.format: how the engine would pack the weights for itself.
const char* slower(const ConvParams& p);

/// Why oneDNN does not do a node whose weights the engine packed for itself: `slower`, or what else stood against it. Opens the module when
/// only its absence can explain it.
const char* refusal(const char* slower);

}  // namespace tenon::kernels::onednn

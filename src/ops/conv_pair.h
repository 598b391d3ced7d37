#pragma once

#include "ops/conv.h"

namespace tenon::ops {

/// Two convolutions of which the second alone reads the result of the first, which is never whole in memory: kernels/conv/pair.h.
struct ConvPair {
  Conv expand;     ///< 1x1
  Conv depthwise;  ///< one filter a channel

  bool operator==(const ConvPair&) const = default;
};

/// (x: channel-blocked float32 [N, C, H, W], w: [M, C, 1, 1] packed, b?: [M], depthwise w: [M, 1, kernel...] packed, depthwise b?: [M]) ->
/// (y: channel-blocked [N, M, ...]).
Result<Types> infer(const ConvPair&, const Types& in);
Result<Step> bind(const ConvPair&, const BindContext&);

/// Whether one step does both faster than two, for x and packed weights of these types; the sizes of x but the first must be known.
bool pair_pays(const ConvPair& op, const Type& x, const Type& w, const Type& depthwise_w);

}  // namespace tenon::ops

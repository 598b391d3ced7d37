#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Blocks of channels become blocks of pixels: [n, c, h, w] -> [n, c / b^2, h * b, w * b]. The place in a block is the outer part of
/// the channel (DCR) or the inner one (CRD).
struct DepthToSpace {
  enum class Mode : uint8_t { kDcr, kCrd };
  int64_t block_size = 1;
  Mode mode = Mode::kDcr;

  bool operator==(const DepthToSpace&) const = default;
};

/// (x: rank 4) -> (y: same dtype).
Result<Types> infer(const DepthToSpace&, const Types& in);
Result<Step> bind(const DepthToSpace&, const BindContext&);

/// The other way round, in DCR order: [n, c, h, w] -> [n, c * b^2, h / b, w / b].
struct SpaceToDepth {
  int64_t block_size = 1;

  bool operator==(const SpaceToDepth&) const = default;
};

/// (x: rank 4) -> (y: same dtype).
Result<Types> infer(const SpaceToDepth&, const Types& in);
Result<Step> bind(const SpaceToDepth&, const BindContext&);

}  // namespace tenon::ops

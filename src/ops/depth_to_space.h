#pragma once

#include "ops/infer.h"
#include "ops/step.h"

namespace tenon::ops {

/// Which part of the channel is the place in a block: the outer one (DCR) or the inner one (CRD).
enum class BlockOrder : uint8_t { kDcr, kCrd };

/// Blocks of channels become blocks of pixels: [n, c, h, w] -> [n, c / b^2, h * b, w * b].
struct DepthToSpace {
  int64_t block_size = 1;
  BlockOrder mode = BlockOrder::kDcr;

  bool operator==(const DepthToSpace&) const = default;
};

/// (x: rank 4) -> (y: same dtype).
Result<Types> infer(const DepthToSpace&, const Types& in);
Result<Step> bind(const DepthToSpace&, const BindContext&);

/// The other way round: [n, c, h, w] -> [n, c * b^2, h / b, w / b].
struct SpaceToDepth {
  int64_t block_size = 1;
  BlockOrder mode = BlockOrder::kDcr;

  bool operator==(const SpaceToDepth&) const = default;
};

/// (x: rank 4) -> (y: same dtype).
Result<Types> infer(const SpaceToDepth&, const Types& in);
Result<Step> bind(const SpaceToDepth&, const BindContext&);

}  // namespace tenon::ops

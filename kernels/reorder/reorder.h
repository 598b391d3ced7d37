// Between plain [N, C, pixels] and channel-blocked [N, C/block, pixels, block] float32 tensors.
#pragma once

#include "kernels/table.h"

namespace tenon::kernels {

struct ReorderParams {
  bool to_blocked = true;
  int64_t batch = 1, channels = 1, pixels = 1;
  int64_t block = 8;  ///< a multiple of 4
  int64_t chunk = 1;  ///< pixels a part
  /// Where operands lie in Call::shared, in bytes, instead of input 0 and output 0; -1: not there.
  int64_t shared_input = -1, shared_output = -1;
  int32_t input = 0;  ///< which input of the operator is read
  int64_t parts() const { return pixels == 0 ? 0 : batch * ((channels + block - 1) / block) * ((pixels + chunk - 1) / chunk); }
};
/// Chooses the chunk by shape.
void plan_reorder(ReorderParams& p);

/// Lanes beyond the last channel become zeros in the blocked tensor and are dropped on the way back.
Kernel<ReorderParams> ReorderPointer();

}  // namespace tenon::kernels

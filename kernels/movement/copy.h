// The vector kernels of the copy family: pointers for the instruction set in use.
#pragma once

#include "kernels/movement/movement.h"

namespace tenon::kernels {

/// The innermost loop is contiguous on both sides, or repeats one element.
Kernel<CopyParams> copy_runs();
Kernel<CopyParams> copy_repeated();
/// The source is contiguous along k, the destination along l: tiles are transposed in registers.
Kernel<CopyParams> copy_transposed();
/// The same where one side interleaves 2 to 4 elements (channels last with few channels).
Kernel<CopyParams> copy_interleaved();

}  // namespace tenon::kernels

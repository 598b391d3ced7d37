// The vector kernels of the copy family: pointers for the instruction set in use.
#pragma once

#include "kernels/movement/movement.h"

namespace tenon::kernels {

/// The source is contiguous along k, the destination along l: tiles are transposed in registers.
Kernel<CopyParams> copy_transposed();
/// The same where one side interleaves 2 to 4 elements (channels last with few channels).
Kernel<CopyParams> copy_interleaved();

}  // namespace tenon::kernels

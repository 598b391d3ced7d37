// Empty tables of families whose converters are not there yet; a family's own file overrides the one here.
#include "importers/onnx/convert.h"

namespace tenon::onnx {
#define FAMILY(name) \
  __attribute__((weak)) std::span<const Operator> name##_operators() { return {}; }
FAMILY(elementwise)
FAMILY(reduction)
FAMILY(normalization)
FAMILY(linear)
FAMILY(convolution)
FAMILY(recurrent)
FAMILY(movement)
FAMILY(indexing)
FAMILY(shape)
FAMILY(vision)
FAMILY(control)
#undef FAMILY
}  // namespace tenon::onnx

// Values serialized by themselves: onnx.TensorProto, SequenceProto, OptionalProto.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "base/tensor.h"

namespace tenon::capi {

struct ParsedValue {
  std::string name;
  Tensor value;
};
Result<ParsedValue> parse_tensor(std::string_view bytes);
/// dtype: of the items, which an empty sequence does not tell; kUndefined for that of the first item. Items that are no tensors are
/// refused.
Result<ParsedValue> parse_sequence(std::string_view bytes, DType dtype);
/// A tensor, a sequence of this dtype, or none.
Result<ParsedValue> parse_optional(std::string_view bytes, DType dtype);

}  // namespace tenon::capi

// A serialized onnx.TensorProto as a tensor.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "base/tensor.h"

namespace tenon::capi {

struct ParsedTensor {
  std::string name;
  Tensor tensor;
};
Result<ParsedTensor> parse_tensor(std::string_view bytes);

}  // namespace tenon::capi

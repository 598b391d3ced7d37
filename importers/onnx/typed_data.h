// Tensor contents in typed fields (float_data, int32_data, ...): elements decoded from the wire, packed or one by one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/tensor.h"
#include "importers/onnx/onnx.pb.h"
#include "importers/onnx/source.h"
#include "importers/onnx/watch.h"

namespace tenon::onnx {

inline constexpr int kRawData = 9;

/// "float_data", ... by field number of TensorProto.
const char* field_name(int field);
/// The typed field that holds elements of `dtype`.
int typed_field(DType dtype);
/// Elements of the field are 4 or 8 bytes each on the wire.
bool is_fixed_width(int field);

/// Refuses contents that cannot hold `count` elements, before memory for them is taken.
Status check_typed_size(const onnxpb::TensorProto& proto, DType dtype, int64_t count);
/// Decodes exactly tensor.count() elements. 2- and 4-bit elements are left packed in the last bytes of the tensor.
Status read_typed(Source& model, const onnxpb::TensorProto& proto, const Tensor& tensor, Watch& watch);
Result<std::vector<std::string>> read_strings(Source& model, const onnxpb::TensorProto& proto, int64_t count, Watch& watch);

}  // namespace tenon::onnx

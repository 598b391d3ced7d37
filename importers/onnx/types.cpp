#include "importers/onnx/types.h"

#include "importers/onnx/tensor_reader.h"

namespace tenon::onnx {

Result<Type> declared_type(const onnxpb::TypeProto& proto, const Limits& limits) {
  const char* other = proto.has_sequence_type()        ? "sequence"
                      : proto.has_map_type()           ? "map"
                      : proto.has_optional_type()      ? "optional"
                      : proto.has_sparse_tensor_type() ? "sparse tensor"
                      : proto.has_opaque_type()        ? "opaque value"
                                                       : nullptr;
  if (other) return load_error("declared a ", other, ", which is not supported yet; expected a tensor");
  if (!proto.has_tensor_type()) return load_error("declared without a type");
  const auto& tensor = proto.tensor_type();
  if (!is_valid(tensor.elem_type())) return load_error("declared with element type ", tensor.elem_type(), ", which is not one of ONNX's");
  const auto dtype = static_cast<DType>(tensor.elem_type());
  if (!tensor.has_shape()) return Type::unranked(dtype);
  if (tensor.shape().dim_size() > limits.rank) {
    return limit_error("declared with rank ", tensor.shape().dim_size(), ", the limit is ", limits.rank);
  }
  std::vector<Dim> dims;
  for (const auto& d : tensor.shape().dim()) {
    if (d.has_dim_value() && d.dim_value() < -1) return load_error("declared with a negative dim, ", d.dim_value());
    if (d.has_dim_value() && d.dim_value() >= 0) {
      dims.push_back(d.dim_value());
    } else if (!d.dim_param().empty()) {
      dims.push_back(Dim::symbol(d.dim_param()));
    } else {
      dims.push_back(Dim::unknown());  // -1 is how some exporters say so
    }
  }
  return Type::of(dtype, Shape(std::move(dims)));
}

Status check_declared(const Type& declared, const Type& inferred) {
  bool differs = declared.dtype != inferred.dtype;
  if (declared.ranked() && inferred.ranked()) {
    differs = differs || declared.rank() != inferred.rank();
    for (size_t i = 0; !differs && i < declared.shape.dims().size(); ++i) {
      const Dim &a = declared.shape[i], &b = inferred.shape[i];
      differs = a.is_const() && b.is_const() && a.value() != b.value();
    }
  }
  if (!differs) return {};
  return shape_error("declared as ", declared.str(), ", inferred ", inferred.str());
}

}  // namespace tenon::onnx

#include "importers/onnx/types.h"

#include "importers/onnx/tensor_reader.h"

namespace tenon::onnx {

namespace {

/// What `proto` declares, in ONNX's words.
std::string_view kind_of(const onnxpb::TypeProto& proto) {
  std::string_view kind = "no type";
  int kinds = 0;
  const auto note = [&](bool present, std::string_view name) {
    if (present) kind = name, ++kinds;
  };
  note(proto.has_tensor_type(), "tensor");
  note(proto.has_sequence_type(), "sequence");
  note(proto.has_optional_type(), "optional");
  note(proto.has_map_type(), "map");
  note(proto.has_sparse_tensor_type(), "sparse tensor");
  note(proto.has_opaque_type(), "opaque value");
  return kinds > 1 ? "several types at once" : kind;
}

Result<Type> tensor_type(const onnxpb::TensorTypeProto& tensor, const Limits& limits) {
  if (!is_valid(tensor.elem_type())) return load_error("declared with element type ", tensor.elem_type(), ", which is not one of ONNX's");
  const auto dtype = static_cast<DType>(tensor.elem_type());
  if (!tensor.has_shape()) return Type::unranked(dtype);
  if (tensor.shape().dim_size() > limits.rank) {
    return limit_error("declared with rank ", tensor.shape().dim_size(), ", the limit is ", limits.rank);
  }
  DimList dims;
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

/// The tensor type within an optional and a sequence, which nest in this order and once each. Null when `proto` is of another make.
const onnxpb::TensorTypeProto* innermost(const onnxpb::TypeProto& proto, Structure& structure) {
  const onnxpb::TypeProto* at = &proto;
  if (kind_of(*at) == "optional") {
    structure.optional = true;
    at = &at->optional_type().elem_type();
  }
  if (kind_of(*at) == "sequence") {
    structure.sequence = true;
    at = &at->sequence_type().elem_type();
  }
  return kind_of(*at) == "tensor" ? &at->tensor_type() : nullptr;
}

/// "sequence of map": a declaration from the outside in, as far as it says why it is refused.
std::string described(const onnxpb::TypeProto& proto) {
  std::string text;
  const onnxpb::TypeProto* at = &proto;
  for (int depth = 0; depth < 3; ++depth) {
    const std::string_view kind = kind_of(*at);
    text += (text.empty() ? "" : " of ") + std::string(kind);
    if (kind == "sequence") {
      at = &at->sequence_type().elem_type();
    } else if (kind == "optional") {
      at = &at->optional_type().elem_type();
    } else {
      break;
    }
  }
  return text;
}

}  // namespace

Result<Type> declared_type(const onnxpb::TypeProto& proto, const Limits& limits) {
  Structure structure;
  if (const auto* tensor = innermost(proto, structure)) {
    TENON_ASSIGN(Type type, tensor_type(*tensor, limits));
    type.structure = structure;
    return type;
  }
  if (kind_of(proto) == "no type") return load_error("declared without a type");
  return load_error("declared as ", described(proto),
                    ", which is not supported; expected a tensor, a sequence of tensors, or an optional of either");
}

bool declares_dtype(const onnxpb::TypeProto& proto) {
  Structure structure;
  const auto* tensor = innermost(proto, structure);
  return tensor && tensor->elem_type() != 0;
}

Status check_declared(const Type& declared, const Type& inferred) {
  bool differs = declared.dtype != inferred.dtype || declared.structure != inferred.structure;
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

// Declared types of a model file.
#pragma once

#include "base/status.h"
#include "importers/onnx/limits.h"
#include "importers/onnx/onnx.pb.h"
#include "ops/type.h"

namespace tenon::onnx {

/// The type of a tensor that `proto` declares; names of dims become symbols. Anything but a tensor is refused.
Result<Type> declared_type(const onnxpb::TypeProto& proto, const Limits& limits);

/// Error unless `declared` and `inferred` can both be true: equal dtypes, equal ranks, no dim with two different numbers.
Status check_declared(const Type& declared, const Type& inferred);

}  // namespace tenon::onnx

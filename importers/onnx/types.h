// Declared types of a model file.
#pragma once

#include "base/status.h"
#include "importers/onnx/limits.h"
#include "importers/onnx/onnx.pb.h"
#include "ops/type.h"

namespace tenon::onnx {

/// The type that `proto` declares: a tensor, a sequence of tensors, or an optional of either; names of dims become symbols. All else is
/// refused.
Result<Type> declared_type(const onnxpb::TypeProto& proto, const Limits& limits);

/// Whether `proto` tells an element type: files may leave out what is inferred.
bool declares_dtype(const onnxpb::TypeProto& proto);

/// Error unless `declared` and `inferred` can both be true: equal structures, dtypes and ranks, no dim with two different numbers.
Status check_declared(const Type& declared, const Type& inferred);

}  // namespace tenon::onnx

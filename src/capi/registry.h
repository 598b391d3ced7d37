// Custom operators on their way from tenon.h into a load.
#pragma once

#include "importers/onnx/load.h"
#include "tenon/tenon.h"

namespace tenon::capi {

/// Hands the operators of `registry` (nullable) to the importer.
void attach_registry(const tenon_registry* registry, onnx::LoadOptions& options);

}  // namespace tenon::capi

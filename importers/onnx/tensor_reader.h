// Tensors of a model file: checked, then read by position straight into their final memory.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/tensor.h"
#include "importers/onnx/external.h"
#include "importers/onnx/limits.h"
#include "importers/onnx/onnx.pb.h"
#include "importers/onnx/source.h"
#include "importers/onnx/watch.h"

namespace tenon::onnx {

class TensorReader {
 public:
  struct Context {
    Source& model;
    ExternalFiles& external;
    const Limits& limits;
    Watch& watch;
    std::shared_ptr<Allocator> allocator;
    bool map = false;
  };
  explicit TensorReader(Context context) : c_(std::move(context)) {}

  /// Checks `proto` and takes memory for it. Its elements are there only after finish(). Errors name `name`.
  Result<Tensor> begin(const onnxpb::TensorProto& proto, std::string_view name);
  /// Reads everything begun, large tensors in parallel.
  Status finish();
  /// begin and finish.
  Result<Tensor> read(const onnxpb::TensorProto& proto, std::string_view name);
  /// The dense form of a sparse tensor, read and checked.
  Result<Tensor> expand(const onnxpb::SparseTensorProto& proto, std::string_view name);

 private:
  struct Copy {
    std::shared_ptr<Source> keep;  ///< keeps an external file open
    Source* source = nullptr;
    uint64_t offset = 0;
    size_t bytes = 0;
    std::byte* to = nullptr;
    std::string name;
  };
  /// Work on a tensor after its bytes have been copied.
  struct Fixup {
    Tensor tensor;
    int bits = 8;
  };

  Result<Tensor> checked(const onnxpb::TensorProto& proto);
  Result<Tensor> inline_contents(const onnxpb::TensorProto& proto, DType dtype, Dims dims, int64_t count);
  Result<Tensor> external_contents(const onnxpb::TensorProto& proto, DType dtype, Dims dims, int64_t count);
  Result<Tensor> raw(std::shared_ptr<Source> keep, Source& source, uint64_t offset, DType dtype, Dims dims, int64_t count);
  Result<Tensor> typed(const onnxpb::TensorProto& proto, DType dtype, Dims dims, int64_t count);
  Result<Tensor> strings(const onnxpb::TensorProto& proto, Dims dims, int64_t count);
  Status run_copies();

  Context c_;
  std::vector<Copy> copies_;
  std::vector<Fixup> fixups_;
  int files_ = 0;  ///< switches between external files in copies_
  std::string name_;  ///< of the tensor being checked
};

/// Name of an ONNX data type number for messages: "float32", or the number where there is none.
std::string data_type_name(int32_t data_type);

}  // namespace tenon::onnx

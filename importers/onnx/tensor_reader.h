// Tensors of a model file: checked, then read by position straight into the memory or the packed form they stay in.
#pragma once

#include <memory>
#include <set>
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
    std::shared_ptr<Source> model;
    ExternalFiles& external;
    const Limits& limits;
    std::shared_ptr<Watch> watch;
    std::shared_ptr<ReadFaults> faults;
    std::shared_ptr<Allocator> allocator;
    std::shared_ptr<WeightCache> cache;
    bool verify_checksums = false;
  };
  explicit TensorReader(Context context) : c_(std::move(context)) {}

  /// Checks `proto` and takes memory for it; most are late then (see Buffer). Errors name `name`.
  Result<Tensor> begin(const onnxpb::TensorProto& proto, std::string_view name);
  /// Reads everything begun, or what of it is small.
  enum class Extent { kAll, kSmall };
  Status finish(Extent extent);
  /// begin and finish for one.
  Result<Tensor> read(const onnxpb::TensorProto& proto, std::string_view name);
  /// The dense form of a sparse tensor, read and checked.
  Result<Tensor> expand(const onnxpb::SparseTensorProto& proto, std::string_view name);

 private:
  Result<Tensor> checked(const onnxpb::TensorProto& proto);
  Result<Tensor> inline_contents(const onnxpb::TensorProto& proto, DType dtype, Dims dims, int64_t count);
  Result<Tensor> external_contents(const onnxpb::TensorProto& proto, DType dtype, Dims dims, int64_t count);
  Result<Tensor> raw(std::shared_ptr<Source> source, uint64_t offset, DType dtype, Dims dims, int64_t count);
  Result<Tensor> typed(const onnxpb::TensorProto& proto, DType dtype, Dims dims, int64_t count);
  Result<Tensor> strings(const onnxpb::TensorProto& proto, Dims dims, int64_t count);

  Context c_;
  std::vector<std::shared_ptr<Buffer>> begun_;
  std::set<const Source*> sources_;  ///< of those begun: no fewer than the files they hold open
  std::string name_;                 ///< of the tensor being checked
};

/// Name of an ONNX data type number for messages: "float32", or the number where there is none.
std::string data_type_name(int32_t data_type);

}  // namespace tenon::onnx

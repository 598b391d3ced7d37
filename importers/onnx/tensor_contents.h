// The elements of one tensor, read from where the model file or a file of external data has them.
#pragma once

#include <memory>
#include <string>

#include "base/contents.h"
#include "base/dtype.h"
#include "importers/onnx/source.h"
#include "importers/onnx/watch.h"

namespace tenon::onnx {

/// Spreads `n` elements of 2 or 4 bits over one byte each. They are packed in the last bytes of the n at `to`, behind `skip` others in
/// the first of these bytes.
void unpack(DType dtype, std::byte* to, size_t n, size_t skip = 0);

/// Offsets and sizes are those of the tensor in memory, where elements of 2 and 4 bits take a byte each.
class TensorContents final : public Contents {
 public:
  /// The bytes begin at `offset` of `source`, which is kept open; the caller has checked that they end inside it. `cache`: nullable.
  TensorContents(std::shared_ptr<Source> source, uint64_t offset, DType dtype, std::string name, std::shared_ptr<const Watch> watch,
                 std::shared_ptr<ReadFaults> faults, std::shared_ptr<WeightCache> cache)
      : Contents(std::move(faults)),
        source_(std::move(source)),
        offset_(offset),
        dtype_(dtype),
        name_(std::move(name)),
        watch_(std::move(watch)),
        cache_(std::move(cache)) {}

  Status read(size_t offset, size_t n, std::byte* to) const override;
  /// None for a source without identity.
  Origin origin() const override;

 private:
  std::shared_ptr<Source> source_;
  uint64_t offset_;
  DType dtype_;
  std::string name_;
  std::shared_ptr<const Watch> watch_;
  std::shared_ptr<WeightCache> cache_;
};

}  // namespace tenon::onnx

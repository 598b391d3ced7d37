// What a value is at run time: a tensor (element type, dims, and a share of a buffer; contiguous, row-major), a sequence of tensors, or
// nothing, which is an empty optional.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/allocator.h"
#include "base/dim.h"
#include "base/dtype.h"
#include "base/status.h"

namespace tenon {

using Dims = std::vector<int64_t>;

/// Copying shares what is held. To code that knows only tensors, a sequence and an empty optional look like a vector without elements.
class Tensor {
 public:
  enum class Kind : uint8_t {
    kTensor,
    kSequence,  ///< any number of tensors of one dtype, each of its own shape
    kNone,      ///< an empty optional
  };

  Tensor() = default;
  /// New memory, contents undefined (string elements: empty). Errors: kLimit (size overflows, allocator limit), kNoMem.
  static Result<Tensor> allocate(DType dtype, Dims dims, std::shared_ptr<Allocator> allocator = nullptr);
  /// A view of `buffer` from `offset` on; the caller has checked that it fits.
  static Tensor view(DType dtype, Dims dims, std::shared_ptr<Buffer> buffer, size_t offset = 0);
  /// Copies values in. For tests and small constants.
  template <class T>
  static Tensor of(Dims dims, const std::vector<T>& values);
  template <class T>
  static Tensor scalar(T value) {
    return of<T>({}, std::vector<T>{value});
  }
  /// A string tensor that owns its bytes.
  static Result<Tensor> strings(Dims dims, std::span<const std::string> values, std::shared_ptr<Allocator> allocator = nullptr);
  /// `items` in order; they are immutable from here on and may be shared with other sequences. Each keeps its own memory: none may be a
  /// view of memory that is reused. kArgument unless all are tensors of this dtype, kLimit and kNoMem for the list itself.
  static Result<Tensor> sequence(DType dtype, std::vector<Tensor> items, std::shared_ptr<Allocator> allocator = nullptr);
  static Tensor none(DType dtype = DType::kUndefined);

  bool empty_handle() const { return buffer_ == nullptr && kind_ == Kind::kTensor; }  ///< default-constructed: no value at all
  Kind kind() const { return kind_; }
  bool is_tensor() const { return kind_ == Kind::kTensor; }
  /// Of a sequence; empty for the other kinds.
  std::span<const Tensor> items() const;
  /// "float32[2, 3]", "a sequence of 2 float32 tensors", "none".
  std::string str() const;
  DType dtype() const { return dtype_; }  ///< of a sequence: its items'
  const Dims& dims() const { return dims_; }
  int rank() const { return static_cast<int>(dims_.size()); }
  int64_t count() const { return count_; }
  size_t bytes() const { return bytes_; }
  const std::shared_ptr<Buffer>& buffer() const { return buffer_; }

  /// The elements. Reads them first when they are late (see Buffer::data).
  void* data() const {
    if (buffer_ && buffer_->late()) buffer_->data();
    return data_;
  }
  template <class T>
  T* as() const {
    return static_cast<T*>(data());
  }
  template <class T>
  std::span<const T> values() const {
    return {as<const T>(), static_cast<size_t>(count_)};
  }
  /// Bytes from the start of the buffer.
  size_t offset() const { return static_cast<size_t>(static_cast<std::byte*>(data_) - buffer_->address()); }
  bool in_place() const { return buffer_->in_place(); }  ///< peek() returns a pointer to the elements themselves
  /// Bytes [from, from + n) of the elements: in place, or read into `room` where taking them all into memory can be spared.
  Result<const std::byte*> peek(size_t from, size_t n, std::byte* room) const { return buffer_->peek(offset() + from, n, room); }

  /// The same memory under other dims of equal count.
  Tensor reshaped(Dims dims) const;
  /// A deep copy that owns everything, string bytes and items included.
  Result<Tensor> clone(std::shared_ptr<Allocator> allocator = nullptr) const;
  /// Elements of an integer, bool or float tensor converted to int64 (floats truncated). For small shape-like tensors.
  std::vector<int64_t> to_ints() const;
  std::vector<double> to_doubles() const;

 private:
  DType dtype_ = DType::kUndefined;
  Kind kind_ = Kind::kTensor;
  Dims dims_;
  int64_t count_ = 0;
  size_t bytes_ = 0;
  void* data_ = nullptr;
  std::shared_ptr<Buffer> buffer_;  ///< of a sequence: its items, one after the other
};

template <class T>
Tensor Tensor::of(Dims dims, const std::vector<T>& values) {  // NOLINT(performance-unnecessary-value-param): moved, which depends on T
  auto t = allocate(dtype_of<T>, std::move(dims));
  if (!t.ok()) return {};
  for (size_t i = 0; i < values.size(); ++i) (*t).template as<T>()[i] = values[i];
  return *std::move(t);
}

}  // namespace tenon

// Tensors whose bytes are late, from memory of the test.
#pragma once

#include <cstring>
#include <memory>
#include <vector>

#include "base/tensor.h"

namespace tenon::test {

class MemoryContents final : public Contents {
 public:
  explicit MemoryContents(const Tensor& t, std::shared_ptr<ReadFaults> faults = std::make_shared<ReadFaults>())
      : Contents(std::move(faults)), bytes_(t.as<std::byte>(), t.as<std::byte>() + t.bytes()) {}
  Status read(size_t offset, size_t n, std::byte* to) const override {
    if (n > bytes_.size() || offset > bytes_.size() - n) return error(Code::kInternal, "read past the end");
    if (offset + n > readable) return error(Code::kIo, "the disk is gone");
    std::memcpy(to, bytes_.data() + offset, n);
    read_bytes += n;
    return {};
  }

  size_t readable = SIZE_MAX;  ///< reading further fails
  mutable std::atomic<size_t> read_bytes{0};

 private:
  std::vector<std::byte> bytes_;
};

/// A late tensor with the elements of `t`.
inline Tensor late(const Tensor& t, std::shared_ptr<MemoryContents> contents) {
  return Tensor::view(t.dtype(), t.dims(), *Buffer::late(t.bytes(), std::move(contents)));
}
inline Tensor late(const Tensor& t) { return late(t, std::make_shared<MemoryContents>(t)); }

}  // namespace tenon::test

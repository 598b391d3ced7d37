#include "importers/onnx/tensor_contents.h"

namespace tenon::onnx {

// Writing never overtakes reading: every byte left to read stands for one element at least.
void unpack(DType dtype, std::byte* to, size_t n, size_t skip) {
  const auto bits = static_cast<size_t>(file_bits(dtype)), per_byte = 8 / bits;
  const bool is_signed = dtype == DType::kInt4 || dtype == DType::kInt2;
  auto* out = reinterpret_cast<uint8_t*>(to);
  const uint8_t* in = out + n - (skip + n + per_byte - 1) / per_byte;
  const auto mask = static_cast<uint8_t>((1 << bits) - 1);
  const auto sign = static_cast<uint8_t>(1 << (bits - 1));
  for (size_t i = 0, k = skip; i < n; k = 0) {
    auto packed = static_cast<uint8_t>(*in++ >> (k * bits));
    for (; k < per_byte && i < n; ++k, ++i, packed = static_cast<uint8_t>(packed >> bits)) {
      const auto value = static_cast<uint8_t>(packed & mask);
      out[i] = is_signed ? static_cast<uint8_t>((value ^ sign) - sign) : value;
    }
  }
}

Status TensorContents::read(size_t offset, size_t n, std::byte* to) const {
  if (Status s = watch_->check(); !s.ok()) return std::move(s).at_tensor(name_);
  if (file_bits(dtype_) >= 8) {
    if (Status s = source_->read(offset_ + offset, n, to); !s.ok()) return std::move(s).at_tensor(name_);
    if (dtype_ == DType::kBool) {  // any byte but 0 is true, and a C++ bool holds 0 or 1 only
      for (size_t i = 0; i < n; ++i) to[i] = std::byte{to[i] != std::byte{0}};
    }
    return {};
  }
  const size_t per_byte = 8 / static_cast<size_t>(file_bits(dtype_)), skip = offset % per_byte,
               bytes = (skip + n + per_byte - 1) / per_byte;
  if (Status s = source_->read(offset_ + offset / per_byte, bytes, to + (n - bytes)); !s.ok()) return std::move(s).at_tensor(name_);
  unpack(dtype_, to, n, skip);
  return {};
}

Origin TensorContents::origin() const {
  const std::string source = cache_ ? source_->identity() : std::string();
  if (source.empty()) return {};
  return {cache_, source + " at " + std::to_string(offset_) + " " + std::string(name_of(dtype_))};
}

}  // namespace tenon::onnx

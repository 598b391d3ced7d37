#include "base/tensor.h"

#include <cmath>
#include <cstring>
#include <memory>

namespace tenon {

Result<Tensor> Tensor::allocate(DType dtype, Dims dims, std::shared_ptr<Allocator> allocator) {
  TENON_ASSIGN(const int64_t count, element_count(dims));
  const auto bytes = checked_mul(count, static_cast<int64_t>(size_of(dtype)));
  if (!bytes) return limit_error("size in bytes of ", name_of(dtype), tenon::str(dims), " overflows");
  TENON_ASSIGN(auto buffer, Buffer::allocate(static_cast<size_t>(*bytes), std::move(allocator)));
  if (dtype == DType::kString) std::memset(buffer->data(), 0, static_cast<size_t>(*bytes));
  return view(dtype, std::move(dims), std::move(buffer));
}

Tensor Tensor::view(DType dtype, Dims dims, std::shared_ptr<Buffer> buffer, size_t offset) {
  Tensor t;
  t.dtype_ = dtype;
  t.count_ = 1;
  for (const int64_t d : dims) t.count_ *= d;
  t.dims_ = std::move(dims);
  t.bytes_ = static_cast<size_t>(t.count_) * size_of(dtype);
  t.data_ = buffer->address() + offset;
  t.buffer_ = std::move(buffer);
  return t;
}

Result<Tensor> Tensor::strings(Dims dims, std::span<const std::string> values, std::shared_ptr<Allocator> allocator) {
  TENON_ASSIGN(const int64_t count, element_count(dims));
  if (count != static_cast<int64_t>(values.size())) {
    return error(Code::kArgument, "string tensor of shape ", tenon::str(dims), " given ", values.size(), " values, expected ", count);
  }
  size_t bytes = values.size() * sizeof(StringRef);
  for (const std::string& v : values) bytes += v.size();
  TENON_ASSIGN(auto buffer, Buffer::allocate(bytes, std::move(allocator)));
  auto* refs = reinterpret_cast<StringRef*>(buffer->data());
  char* at = reinterpret_cast<char*>(refs + values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].empty()) std::memcpy(at, values[i].data(), values[i].size());
    refs[i] = {at, values[i].size()};
    at += values[i].size();
  }
  return view(DType::kString, std::move(dims), std::move(buffer));
}

Result<Tensor> Tensor::sequence(DType dtype, std::vector<Tensor> items, std::shared_ptr<Allocator> allocator) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i].empty_handle() || !items[i].is_tensor() || items[i].dtype() != dtype) {
      return error(Code::kArgument, "item ", i, " is ", items[i].str(), ", expected a tensor of ", name_of(dtype));
    }
  }
  TENON_ASSIGN(auto memory, Buffer::allocate(items.size() * sizeof(Tensor), std::move(allocator)));
  auto* first = reinterpret_cast<Tensor*>(memory->data());
  const size_t count = items.size();
  Tensor t;
  t.buffer_ = Buffer::borrow(first, count * sizeof(Tensor), [memory, first, count] { std::destroy_n(first, count); });
  std::uninitialized_move_n(items.begin(), count, first);
  t.kind_ = Kind::kSequence;
  t.dtype_ = dtype;
  t.dims_ = {0};
  return t;
}

Tensor Tensor::none(DType dtype) {
  Tensor t;
  t.kind_ = Kind::kNone;
  t.dtype_ = dtype;
  t.dims_ = {0};
  return t;
}

std::span<const Tensor> Tensor::items() const {
  if (kind_ != Kind::kSequence) return {};
  return {reinterpret_cast<const Tensor*>(buffer_->data()), buffer_->size() / sizeof(Tensor)};
}

std::string Tensor::str() const {
  if (kind_ == Kind::kNone || empty_handle()) return "none";
  if (kind_ == Kind::kTensor) return std::string(name_of(dtype_)) + tenon::str(dims_);
  const size_t n = items().size();
  return "a sequence of " + std::to_string(n) + " " + std::string(name_of(dtype_)) + (n == 1 ? " tensor" : " tensors");
}

Tensor Tensor::reshaped(Dims dims) const {
  Tensor t = *this;
  t.dims_ = std::move(dims);
  return t;
}

Result<Tensor> Tensor::clone(std::shared_ptr<Allocator> allocator) const {
  if (kind_ == Kind::kNone) return *this;
  if (kind_ == Kind::kSequence) {
    std::vector<Tensor> copies;
    for (const Tensor& item : items()) {
      TENON_ASSIGN(Tensor copy, item.clone(allocator));
      copies.push_back(std::move(copy));
    }
    return sequence(dtype_, std::move(copies), std::move(allocator));
  }
  if (dtype_ == DType::kString) {
    size_t bytes = static_cast<size_t>(count_) * sizeof(StringRef);
    for (const StringRef& s : values<StringRef>()) bytes += s.size;
    TENON_ASSIGN(auto buffer, Buffer::allocate(bytes, std::move(allocator)));
    auto* refs = reinterpret_cast<StringRef*>(buffer->data());
    char* at = reinterpret_cast<char*>(refs + count_);
    for (int64_t i = 0; i < count_; ++i) {
      const StringRef& s = as<StringRef>()[i];
      if (s.size) std::memcpy(at, s.data, s.size);
      refs[i] = {at, s.size};
      at += s.size;
    }
    return view(dtype_, dims_, std::move(buffer));
  }
  TENON_ASSIGN(Tensor copy, allocate(dtype_, dims_, std::move(allocator)));
  if (bytes_ == 0) return copy;
  TENON_ASSIGN(const std::byte* bytes, peek(0, bytes_, static_cast<std::byte*>(copy.data_)));
  if (bytes != copy.data_) std::memcpy(copy.data_, bytes, bytes_);
  return copy;
}

namespace {
template <class Out>
std::vector<Out> convert(const Tensor& t) {
  std::vector<Out> out;
  out.reserve(static_cast<size_t>(t.count()));
  const auto floats = [&](auto zero) {
    for (auto v : t.values<decltype(zero)>()) {
      const double d = static_cast<double>(static_cast<float>(v));
      if constexpr (std::is_integral_v<Out>) {
        out.push_back(d >= 9.2e18 ? INT64_MAX : d <= -9.2e18 ? INT64_MIN : std::isnan(d) ? 0 : static_cast<Out>(d));
      } else {
        out.push_back(d);
      }
    }
  };
  dispatch<float, Float16, BFloat16>(t.dtype(), floats);
  dispatch<double>(t.dtype(), [&](double) {
    for (double d : t.values<double>()) {
      if constexpr (std::is_integral_v<Out>) {
        out.push_back(d >= 9.2e18 ? INT64_MAX : d <= -9.2e18 ? INT64_MIN : std::isnan(d) ? 0 : static_cast<Out>(d));
      } else {
        out.push_back(d);
      }
    }
  });
  dispatch<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, bool>(t.dtype(), [&](auto zero) {
    for (auto v : t.values<decltype(zero)>()) out.push_back(static_cast<Out>(v));
  });
  dispatch<Int4, Uint4, Int2, Uint2>(t.dtype(), [&](auto zero) {
    for (auto v : t.values<decltype(zero)>()) out.push_back(static_cast<Out>(static_cast<int32_t>(v)));
  });
  return out;
}
}  // namespace

std::vector<int64_t> Tensor::to_ints() const { return convert<int64_t>(*this); }
std::vector<double> Tensor::to_doubles() const { return convert<double>(*this); }

}  // namespace tenon

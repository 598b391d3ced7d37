// Tenon for C++: element types, errors, results and tensors. Part of <tenon/tenon.hpp>, which is what programs include.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>
#if __cplusplus >= 202002L
#include <span>
#endif

#include "tenon/tenon.h"

namespace tenon {
// The inline namespace keeps these names apart from the library's own in one program's symbol table.
inline namespace api {

#if __cplusplus >= 202002L
template <class T>
using Span = std::span<T>;
#else
/// The part of std::span that tensors need, for C++17.
template <class T>
class Span {
 public:
  Span() = default;
  Span(T* data, size_t size) : data_(data), size_(size) {}
  T* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](size_t i) const { return data_[i]; }
  T* begin() const { return data_; }
  T* end() const { return data_ + size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};
#endif

using Dims = std::vector<int64_t>;

// clang-format off
enum class Code : int32_t {
  kOk = TENON_OK, kArgument = TENON_ARGUMENT, kLoad = TENON_LOAD, kShape = TENON_SHAPE, kRun = TENON_RUN, kLimit = TENON_LIMIT,
  kCancelled = TENON_CANCELLED, kNoMem = TENON_NOMEM, kIo = TENON_IO, kInternal = TENON_INTERNAL,
};
// clang-format on

// clang-format off
enum class DType : int32_t {
  kUndefined = TENON_UNDEFINED, kFloat32 = TENON_FLOAT32, kUint8 = TENON_UINT8, kInt8 = TENON_INT8, kUint16 = TENON_UINT16,
  kInt16 = TENON_INT16, kInt32 = TENON_INT32, kInt64 = TENON_INT64, kString = TENON_STRING, kBool = TENON_BOOL,
  kFloat16 = TENON_FLOAT16, kFloat64 = TENON_FLOAT64, kUint32 = TENON_UINT32, kUint64 = TENON_UINT64,
  kComplex64 = TENON_COMPLEX64, kComplex128 = TENON_COMPLEX128, kBFloat16 = TENON_BFLOAT16,
  kFloat8E4M3FN = TENON_FLOAT8E4M3FN, kFloat8E4M3FNUZ = TENON_FLOAT8E4M3FNUZ, kFloat8E5M2 = TENON_FLOAT8E5M2,
  kFloat8E5M2FNUZ = TENON_FLOAT8E5M2FNUZ, kUint4 = TENON_UINT4, kInt4 = TENON_INT4, kFloat4E2M1 = TENON_FLOAT4E2M1,
  kFloat8E8M0 = TENON_FLOAT8E8M0, kUint2 = TENON_UINT2, kInt2 = TENON_INT2,
};
// clang-format on

inline std::string_view view(tenon_string s) { return s.data ? std::string_view(s.data, s.size) : std::string_view(); }
inline tenon_string to_c(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view name_of(DType d) { return view(tenon_dtype_name(static_cast<tenon_dtype>(d))); }
inline std::string_view name_of(Code c) { return view(tenon_status_name(static_cast<tenon_status>(c))); }
inline size_t size_of(DType d) { return tenon_dtype_size(static_cast<tenon_dtype>(d)); }

/// Bits of a half-precision float, where the program has no type of its own for them.
struct Float16 {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

/// C++ element type -> DType. Any other type with the right bits: use Tensor::data() and a cast.
template <class T>
struct DTypeOf;
// clang-format off
template <> struct DTypeOf<float> { static constexpr DType value = DType::kFloat32; };
template <> struct DTypeOf<double> { static constexpr DType value = DType::kFloat64; };
template <> struct DTypeOf<int8_t> { static constexpr DType value = DType::kInt8; };
template <> struct DTypeOf<int16_t> { static constexpr DType value = DType::kInt16; };
template <> struct DTypeOf<int32_t> { static constexpr DType value = DType::kInt32; };
template <> struct DTypeOf<int64_t> { static constexpr DType value = DType::kInt64; };
template <> struct DTypeOf<uint8_t> { static constexpr DType value = DType::kUint8; };
template <> struct DTypeOf<uint16_t> { static constexpr DType value = DType::kUint16; };
template <> struct DTypeOf<uint32_t> { static constexpr DType value = DType::kUint32; };
template <> struct DTypeOf<uint64_t> { static constexpr DType value = DType::kUint64; };
template <> struct DTypeOf<bool> { static constexpr DType value = DType::kBool; };
template <> struct DTypeOf<Float16> { static constexpr DType value = DType::kFloat16; };
template <> struct DTypeOf<BFloat16> { static constexpr DType value = DType::kBFloat16; };
template <> struct DTypeOf<tenon_string> { static constexpr DType value = DType::kString; };
// clang-format on
template <class T>
inline constexpr DType dtype_of = DTypeOf<std::remove_cv_t<T>>::value;

/// Why a call failed. Thrown by the functions without try_ in their name; held by Result otherwise.
class Error : public std::exception {
 public:
  Error(Code code, std::string text) : code_(code), message_(text), text_(std::move(text)) {}
  /// Takes the error object and frees it; `status` stands in when there is none.
  static Error take(tenon_status status, tenon_error* error) {
    tenon_error_info info{};
    info.size = sizeof info;
    Error e(static_cast<Code>(status), std::string(view(tenon_status_name(status))));
    if (error && tenon_error_get_info(error, &info) == TENON_OK) {
      e.message_ = view(info.message), e.text_ = view(info.text), e.node_ = view(info.node), e.op_ = view(info.op);
      e.domain_ = view(info.domain), e.tensor_ = view(info.tensor), e.source_ = view(info.source), e.opset_ = info.opset;
    }
    tenon_error_free(error);
    return e;
  }

  const char* what() const noexcept override { return message_.c_str(); }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }  ///< everything in one line
  const std::string& text() const { return text_; }        ///< what was expected and what came
  const std::string& node() const { return node_; }
  const std::string& op() const { return op_; }
  const std::string& domain() const { return domain_; }
  const std::string& tensor() const { return tensor_; }
  const std::string& source() const { return source_; }
  int64_t opset() const { return opset_; }

 private:
  Code code_;
  std::string message_, text_, node_, op_, domain_, tensor_, source_;
  int64_t opset_ = 0;
};

[[noreturn]] inline void raise(const Error& error) {
#if defined(__cpp_exceptions)
  throw error;
#else
  std::terminate();
  (void)error;
#endif
}

/// A value or the Error that prevented it, for programs that do without exceptions.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : v_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : v_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit by design
  bool ok() const { return v_.index() == 0; }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return *std::get_if<1>(&v_); }  ///< requires !ok()
  T& operator*() & { return *std::get_if<0>(&v_); }            ///< requires ok()
  const T& operator*() const& { return *std::get_if<0>(&v_); }
  T&& operator*() && { return std::move(*std::get_if<0>(&v_)); }
  T* operator->() { return std::get_if<0>(&v_); }
  const T* operator->() const { return std::get_if<0>(&v_); }
  T& value() & { return ok() ? **this : (raise(error()), **this); }  ///< throws the error
  T&& value() && { return ok() ? std::move(**this) : (raise(error()), std::move(**this)); }

 private:
  std::variant<T, Error> v_;
};
struct Nothing {};

namespace detail {
/// Calls a function of tenon.h whose last argument is the error.
template <class F, class... Args>
Result<Nothing> call(F function, Args... args) {
  tenon_error* error = nullptr;
  const tenon_status status = function(args..., &error);
  if (status != TENON_OK) return Error::take(status, error);
  return Nothing{};
}
template <class F, class... Args>
void must(F function, Args... args) {
  tenon_error* error = nullptr;
  const tenon_status status = function(args..., &error);
  if (status != TENON_OK) raise(Error::take(status, error));
}
}  // namespace detail

/// What a Tensor holds.
enum class Kind : int32_t { kTensor = TENON_KIND_TENSOR, kSequence = TENON_KIND_SEQUENCE, kNone = TENON_KIND_NONE };

/// A counted reference to memory with a dtype and dims; row-major. Copying a Tensor shares the memory, clone() copies it. It may also hold
/// a sequence of tensors, or none: an empty optional.
class Tensor {
 public:
  Tensor() = default;  ///< no tensor; given for an optional input: none
  /// Takes ownership of a handle.
  explicit Tensor(tenon_tensor* handle) : handle_(handle, tenon_tensor_free) {}
  /// Zeros.
  Tensor(DType dtype, const Dims& dims) {
    tenon_tensor* t = nullptr;
    detail::must(tenon_tensor_new, c(dtype), dims.data(), dims.size(), &t);
    *this = Tensor(t);
  }

  /// A copy of values. Dims default to {size}.
  template <class T>
  static Tensor copy_of(const T* values, size_t count, Dims dims) {
    tenon_tensor* t = nullptr;
    detail::must(tenon_tensor_copy, c(dtype_of<T>), dims.data(), dims.size(), static_cast<const void*>(values), count * sizeof(T), &t);
    return Tensor(t);
  }
  template <class T>
  static Tensor of(const std::vector<T>& values, Dims dims) {
    return copy_of(values.data(), values.size(), std::move(dims));
  }
  template <class T>
  static Tensor of(const std::vector<T>& values) {
    return of(values, {static_cast<int64_t>(values.size())});
  }
  template <class T, size_t N>
  static Tensor of(const std::array<T, N>& values, Dims dims = {static_cast<int64_t>(N)}) {
    return copy_of(values.data(), N, std::move(dims));
  }
  template <class T>
  static Tensor of(std::initializer_list<T> values, Dims dims) {
    return copy_of(values.begin(), values.size(), std::move(dims));
  }
  template <class T>
  static Tensor scalar(T value) {
    return copy_of(&value, 1, {});
  }
  static Tensor strings(const std::vector<std::string>& values, Dims dims) {
    std::vector<tenon_string> views;
    views.reserve(values.size());
    for (const auto& v : values) views.push_back(to_c(v));
    return copy_of(views.data(), views.size(), std::move(dims));
  }
  /// The caller's memory, without a copy. It stays valid while any tensor or session shares it, or until `release` runs (once).
  template <class T, class Release>
  static Tensor borrow(T* data, size_t count, const Dims& dims, Release release) {
    auto held = std::make_unique<Release>(std::move(release));
    tenon_tensor* t = nullptr;
    detail::must(tenon_tensor_borrow, c(dtype_of<T>), dims.data(), dims.size(), static_cast<void*>(const_cast<std::remove_cv_t<T>*>(data)),
                 count * sizeof(T),
                 static_cast<tenon_release_fn>([](void* user) { std::unique_ptr<Release>(static_cast<Release*>(user))->operator()(); }),
                 static_cast<void*>(held.get()), &t);
    (void)held.release();  // the tensor owns it now
    return Tensor(t);
  }
  template <class T>
  static Tensor borrow(T* data, size_t count, const Dims& dims) {
    return borrow(data, count, dims, [] {});
  }
  /// The vector's memory, owned by the tensor from here on; no copy.
  template <class T>
  static Tensor adopt(std::vector<T> values, const Dims& dims) {
    auto held = std::make_shared<std::vector<T>>(std::move(values));
    return borrow(held->data(), held->size(), dims, [held] {});
  }
  /// The tensor of a serialized onnx.TensorProto.
  static Tensor parse(std::string_view bytes) {
    tenon_tensor* t = nullptr;
    detail::must(tenon_tensor_parse, static_cast<const void*>(bytes.data()), bytes.size(), static_cast<tenon_string*>(nullptr), &t);
    return Tensor(t);
  }
  /// The sequence of a serialized onnx.SequenceProto, the value of an OptionalProto. dtype: of the items, which an empty sequence does not
  /// tell.
  static Tensor parse_sequence(std::string_view bytes, DType dtype = DType::kUndefined) {
    return parsed(tenon_sequence_parse, bytes, dtype);
  }
  static Tensor parse_optional(std::string_view bytes, DType dtype = DType::kUndefined) {
    return parsed(tenon_optional_parse, bytes, dtype);
  }
  /// Tensors of one dtype; their memory is shared, not copied.
  static Tensor sequence(DType dtype, const std::vector<Tensor>& items) {
    std::vector<const tenon_tensor*> handles;
    handles.reserve(items.size());
    for (const Tensor& item : items) handles.push_back(item.get());
    tenon_tensor* t = nullptr;
    detail::must(tenon_sequence_new, c(dtype), handles.data(), handles.size(), &t);
    return Tensor(t);
  }
  /// A handle somebody else owns; valid as long as theirs.
  static Tensor unowned(const tenon_tensor* handle) {
    Tensor t;
    t.handle_ = std::shared_ptr<tenon_tensor>(std::shared_ptr<void>(), const_cast<tenon_tensor*>(handle));
    return t;
  }

  explicit operator bool() const { return handle_ != nullptr; }
  tenon_tensor* get() const { return handle_.get(); }
  Kind kind() const { return static_cast<Kind>(tenon_tensor_kind(get())); }
  /// The tensors of a sequence; none for the other kinds.
  std::vector<Tensor> items() const {
    std::vector<Tensor> all;
    for (size_t i = 0; i < tenon_sequence_count(get()); ++i) {
      tenon_tensor* item = nullptr;
      detail::must(tenon_sequence_item, static_cast<const tenon_tensor*>(get()), i, &item);
      all.emplace_back(item);
    }
    return all;
  }
  DType dtype() const { return static_cast<DType>(tenon_tensor_dtype(get())); }
  size_t rank() const { return tenon_tensor_rank(get()); }
  Span<const int64_t> dims() const { return {tenon_tensor_dims(get()), rank()}; }
  size_t count() const { return static_cast<size_t>(tenon_tensor_count(get())); }
  size_t bytes() const { return tenon_tensor_bytes(get()); }
  void* data() const { return tenon_tensor_data(get()); }

  /// The elements as T; Error(kArgument) when they are of another type, or this is no tensor. Valid while the tensor (or a copy of it) is.
  template <class T>
  Span<T> as() const {
    if (kind() != Kind::kTensor)
      raise(Error(Code::kArgument, std::string(kind() == Kind::kSequence ? "a sequence" : "none") + " read as a tensor"));
    if (dtype() != dtype_of<T>) {
      raise(Error(Code::kArgument, "tensor of " + std::string(name_of(dtype())) + " read as " + std::string(name_of(dtype_of<T>))));
    }
    return {static_cast<T*>(data()), count()};
  }
  template <class T>
  std::vector<T> to_vector() const {
    const auto values = as<T>();
    return std::vector<T>(values.begin(), values.end());
  }
  std::string_view string(size_t i) const { return view(tenon_tensor_string(get(), i)); }

  Tensor reshape(const Dims& dims) const {
    tenon_tensor* t = nullptr;
    detail::must(tenon_tensor_reshape, static_cast<const tenon_tensor*>(get()), dims.data(), dims.size(), &t);
    return Tensor(t);
  }
  Tensor clone() const {
    tenon_tensor* t = nullptr;
    detail::must(tenon_tensor_clone, static_cast<const tenon_tensor*>(get()), &t);
    return Tensor(t);
  }

 private:
  static tenon_dtype c(DType d) { return static_cast<tenon_dtype>(d); }
  template <class Parse>
  static Tensor parsed(Parse parse, std::string_view bytes, DType dtype) {
    tenon_tensor* t = nullptr;
    detail::must(parse, static_cast<const void*>(bytes.data()), bytes.size(), c(dtype), static_cast<tenon_string*>(nullptr), &t);
    return Tensor(t);
  }
  std::shared_ptr<tenon_tensor> handle_;
};

}  // namespace api
}  // namespace tenon

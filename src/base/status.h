// Status and Result: how every fallible function of the engine reports failure. No exception is thrown by the engine.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace tenon {

/// Error classes. The values are part of the C ABI (tenon_status) and are never renumbered.
enum class Code : int32_t {
  kOk = 0,
  kArgument = 1,   ///< the caller broke the contract of the API (null handle, unknown name, wrong dtype)
  kLoad = 2,       ///< the model file is malformed or uses something this build does not have
  kShape = 3,      ///< shapes, dtypes or attribute values do not fit together
  kRun = 4,        ///< the values of a tensor make the operation impossible (index out of range, integer division by zero)
  kLimit = 5,      ///< a configured limit (nodes, rank, depth, folded bytes, run memory, deadline) was reached
  kCancelled = 6,  ///< the caller cancelled
  kNoMem = 7,      ///< an allocation failed
  kIo = 8,         ///< a file could not be opened or read
  kInternal = 9,   ///< a broken invariant of the engine itself: always a defect worth reporting
};

const char* code_name(Code code);

/// Where an error happened. Empty strings mean "not known at this level"; callers further up fill them in.
struct ErrorInfo {
  Code code = Code::kInternal;
  std::string text;    ///< what was expected and what came
  std::string node;    ///< node name
  std::string op;      ///< operator type
  std::string domain;  ///< operator domain, "" for ai.onnx
  int64_t opset = 0;
  std::string tensor;  ///< value name
  std::string source;  ///< file name or "<memory>"
};

/// Success, or one heap-allocated error. One pointer wide, null when OK.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string text);
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  Status(const Status& other) : info_(other.info_ ? std::make_unique<ErrorInfo>(*other.info_) : nullptr) {}
  Status& operator=(const Status& other) {
    info_ = other.info_ ? std::make_unique<ErrorInfo>(*other.info_) : nullptr;
    return *this;
  }

  bool ok() const { return info_ == nullptr; }
  explicit operator bool() const { return ok(); }
  Code code() const { return info_ ? info_->code : Code::kOk; }
  const ErrorInfo* info() const { return info_.get(); }
  ErrorInfo* mutable_info() { return info_.get(); }

  /// The whole message: "source: node 'n' (Op, opset 17): text".
  std::string message() const;

  /// Adds context that is still unknown; already known fields stay. Returns *this for `return status.at_node(...)`.
  Status&& at_node(std::string_view node, std::string_view op, std::string_view domain = {}, int64_t opset = 0) &&;
  Status&& at_tensor(std::string_view tensor) &&;
  Status&& at_source(std::string_view source) &&;

 private:
  std::unique_ptr<ErrorInfo> info_;
};

/// One part of an error text: anything with an operator<<, looked at while the expression that names it is evaluated. The type is
/// forgotten here, so that a place that can fail costs few bytes of code.
class ErrorPart {
 public:
  explicit ErrorPart(const char* text)
      : value_(text), write_([](std::ostream& out, const void* v) { out << static_cast<const char*>(v); }) {}
  template <class T>
  explicit ErrorPart(const T& value) : value_(&value), write_([](std::ostream& out, const void* v) { out << *static_cast<const T*>(v); }) {}
  void write(std::ostream& out) const { write_(out, value_); }

 private:
  const void* value_;
  void (*write_)(std::ostream&, const void*);
};
Status error_of(Code code, std::initializer_list<ErrorPart> parts);

/// Builds an error text from its parts: `return error(Code::kShape, "axis ", axis, " is outside rank ", rank);`
template <class... Parts>
Status error(Code code, const Parts&... parts) {
  return error_of(code, {ErrorPart(parts)...});
}
template <class... Parts>
Status shape_error(const Parts&... parts) {
  return error(Code::kShape, parts...);
}
template <class... Parts>
Status load_error(const Parts&... parts) {
  return error(Code::kLoad, parts...);
}
template <class... Parts>
Status run_error(const Parts&... parts) {
  return error(Code::kRun, parts...);
}
template <class... Parts>
Status limit_error(const Parts&... parts) {
  return error(Code::kLimit, parts...);
}

/// A value or the error that prevented it.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T&& value) : value_(std::move(value)) {}       // NOLINT: implicit by design
  Result(const T& value) : value_(value) {}             // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) {  // NOLINT: implicit by design
    if (status_.ok()) status_ = Status(Code::kInternal, "Result built from an OK status");
  }
  // clang-format off
  template <class U>
    requires(std::is_convertible_v<U&&, T> && !std::is_same_v<std::remove_cvref_t<U>, T> &&
             !std::is_same_v<std::remove_cvref_t<U>, Status>)
  Result(U&& value) : value_(std::forward<U>(value)) {}    // NOLINT: implicit by design
  // clang-format on

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Status& status() const& { return status_; }
  Status&& status() && { return std::move(status_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return *std::move(value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

inline Status to_status(Status s) { return s; }
template <class T>
Status to_status(Result<T>&& r) {
  return r.ok() ? Status() : std::move(r).status();
}

#define TENON_CONCAT_(a, b) a##b
#define TENON_CONCAT(a, b) TENON_CONCAT_(a, b)

/// Returns from the enclosing function when `expr` (a Status or Result) failed.
#define TENON_TRY(expr)                                                                           \
  do {                                                                                            \
    if (auto tenon_status_ = ::tenon::to_status(expr); !tenon_status_.ok()) return tenon_status_; \
  } while (false)

/// `TENON_ASSIGN(auto x, make_x());` declares x from a Result, or returns its error.
#define TENON_ASSIGN(declaration, expr) TENON_ASSIGN_(TENON_CONCAT(tenon_result_, __LINE__), declaration, expr)
#define TENON_ASSIGN_(tmp, declaration, expr)    \
  auto tmp = (expr);                             \
  if (!tmp.ok()) return std::move(tmp).status(); \
  declaration = *std::move(tmp)

}  // namespace tenon

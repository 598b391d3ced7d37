// A dimension: a constant, or an integer expression over symbols such as `batch` or `2*seq + 1`.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/inline_vector.h"
#include "base/status.h"

namespace tenon {

/// Checked int64 arithmetic: the only way sizes and offsets from files are computed.
inline std::optional<int64_t> checked_add(int64_t a, int64_t b) {
  int64_t r;
  return __builtin_add_overflow(a, b, &r) ? std::nullopt : std::optional(r);
}
inline std::optional<int64_t> checked_mul(int64_t a, int64_t b) {
  int64_t r;
  return __builtin_mul_overflow(a, b, &r) ? std::nullopt : std::optional(r);
}

class Dim {
 public:
  Dim() = default;
  Dim(int64_t value) : value_(value) {}  // NOLINT: implicit by design
  Dim(const Dim& other) : value_(other.value_), expr_(other.expr_) {
    if (expr_) share(*expr_);
  }
  Dim(Dim&& other) noexcept : value_(other.value_), expr_(std::exchange(other.expr_, nullptr)) {}
  Dim& operator=(Dim other) noexcept {
    value_ = other.value_;
    std::swap(expr_, other.expr_);
    return *this;
  }
  ~Dim() {
    if (expr_) release(expr_);
  }
  /// A named symbol; equal names are the same symbol within one graph.
  static Dim symbol(std::string_view name);
  /// A value that nothing is known about, different from every other.
  static Dim unknown();

  bool is_const() const { return expr_ == nullptr; }
  int64_t value() const { return value_; }  ///< requires is_const()
  bool is(int64_t v) const { return is_const() && value_ == v; }

  /// Arithmetic in canonical form, so `(n+1)-1 == n`. Anything that would overflow or cannot be expressed is unknown().
  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  /// Rounds towards minus infinity; b must not be zero when constant (gives unknown()).
  static Dim floor_div(const Dim& a, const Dim& b);
  static Dim ceil_div(const Dim& a, const Dim& b);
  static Dim min(const Dim& a, const Dim& b);
  static Dim max(const Dim& a, const Dim& b);

  /// Provably equal. Two different expressions may still have equal values at run time.
  friend bool operator==(const Dim& a, const Dim& b) {
    return a.is_const() || b.is_const() ? a.expr_ == b.expr_ && a.value_ == b.value_ : same(*a.expr_, *b.expr_);
  }

  /// "4", "batch", "2*seq + 1", "?".
  std::string str() const;
  size_t hash() const;

  struct Expr;

 private:
  friend struct DimAlgebra;
  static void share(const Expr& expr);
  static void release(const Expr* expr);
  static bool same(const Expr& a, const Expr& b);

  int64_t value_ = 0;
  const Expr* expr_ = nullptr;  ///< shared by all copies; null of a constant
};

/// Dims of a shape, or elements of a small tensor.
using DimList = InlineVector<Dim, 4>;

/// The dims of a value, or "unranked" when not even their number is known.
class Shape {
 public:
  Shape() = default;
  Shape(DimList dims) : dims_(std::move(dims)) {}  // NOLINT: implicit by design
  Shape(std::initializer_list<Dim> dims) : dims_(dims) {}
  static Shape of(const std::vector<int64_t>& dims) { return Shape(DimList(dims.begin(), dims.end())); }
  static Shape unranked() {
    Shape s;
    s.ranked_ = false;
    return s;
  }

  bool ranked() const { return ranked_; }
  int rank() const { return static_cast<int>(dims_.size()); }  ///< requires ranked()
  Dim& operator[](size_t i) { return dims_[i]; }
  const Dim& operator[](size_t i) const { return dims_[i]; }
  DimList& dims() { return dims_; }
  const DimList& dims() const { return dims_; }
  auto begin() const { return dims_.begin(); }
  auto end() const { return dims_.end(); }

  bool is_static() const;  ///< ranked and every dim constant
  /// The dims as numbers; requires is_static().
  std::vector<int64_t> to_ints() const;
  Dim count() const;        ///< product of the dims; requires ranked()
  std::string str() const;  ///< "[batch, 3, 224, 224]", "[]" for a scalar, "[...]" unranked

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  DimList dims_;
  bool ranked_ = true;
};

/// Product of dims, or a limit error on overflow; every dim must be >= 0.
Result<int64_t> element_count(const std::vector<int64_t>& dims);
std::string str(const std::vector<int64_t>& dims);  ///< "[2, 3]"

}  // namespace tenon

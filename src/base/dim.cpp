#include "base/dim.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <set>

namespace tenon {

namespace {

/// Something an expression is made of: a symbol, or an operation on two dims that is not a polynomial.
struct Atom {
  enum Kind : uint8_t { kSymbol, kUnknown, kFloorDiv, kMin, kMax } kind = kSymbol;
  std::string name;  // kSymbol
  uint64_t id = 0;   // kUnknown
  DimList args;
  std::string key;  // total order and identity: equal keys are equal atoms
};

using AtomPtr = std::shared_ptr<const Atom>;

struct ByKey {
  bool operator()(const AtomPtr& a, const AtomPtr& b) const { return a->key < b->key; }
};

/// A product of atoms, sorted by key.
using Monomial = std::vector<AtomPtr>;
struct MonomialLess {
  bool operator()(const Monomial& a, const Monomial& b) const {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), ByKey());
  }
};
using Terms = std::map<Monomial, int64_t, MonomialLess>;

}  // namespace

/// A polynomial over atoms, in canonical form: no zero coefficients; the constant is the empty monomial.
struct Dim::Expr {
  explicit Expr(Terms terms) : terms(std::move(terms)) {}
  const Terms terms;
  mutable std::atomic<uint32_t> owners{1};
};

void Dim::share(const Expr& expr) { expr.owners.fetch_add(1, std::memory_order_relaxed); }
void Dim::release(const Expr* expr) {
  if (expr->owners.fetch_sub(1, std::memory_order_acq_rel) == 1) delete expr;
}

struct DimAlgebra {
  static Dim make(Terms terms) {
    for (auto it = terms.begin(); it != terms.end();) it = it->second == 0 ? terms.erase(it) : std::next(it);
    if (terms.empty()) return Dim(0);
    if (terms.size() == 1 && terms.begin()->first.empty()) return Dim(terms.begin()->second);
    Dim d;
    d.expr_ = new Dim::Expr(std::move(terms));
    return d;
  }
  static Terms terms_of(const Dim& d) {
    if (d.expr_) return d.expr_->terms;
    Terms t;
    if (d.value_ != 0) t[{}] = d.value_;
    return t;
  }
  static Dim of_atom(AtomPtr atom) {
    Terms t;
    t[{std::move(atom)}] = 1;
    return make(std::move(t));
  }
  static const Terms* terms_ptr(const Dim& d) { return d.expr_ ? &d.expr_->terms : nullptr; }

  static Dim opaque(Atom::Kind kind, const char* word, const Dim& a, const Dim& b) {
    auto atom = std::make_shared<Atom>();
    atom->kind = kind;
    atom->args = {a, b};
    atom->key = std::string(word) + "(" + a.str() + ", " + b.str() + ")";
    // Unknown dims print alike; keep their identity in the key.
    for (const Dim* d : {&a, &b})
      if (d->expr_)
        for (const auto& [m, c] : d->expr_->terms)
          for (const AtomPtr& x : m)
            if (x->kind == Atom::kUnknown) atom->key += "#" + std::to_string(x->id);
    return of_atom(atom);
  }
  static size_t size(const Dim& d) { return d.expr_ ? d.expr_->terms.size() : 1; }

  /// min(x, c) with a constant c >= 1.
  static bool is_capped(const Dim& d, const Dim& x) {
    if (!d.expr_ || d.expr_->terms.size() != 1) return false;
    const auto& [monomial, factor] = *d.expr_->terms.begin();
    if (factor != 1 || monomial.size() != 1 || monomial[0]->kind != Atom::kMin) return false;
    const Dim &a = monomial[0]->args[0], &b = monomial[0]->args[1];
    return (a == x && b.is_const() && b.value_ >= 1) || (b == x && a.is_const() && a.value_ >= 1);
  }
  /// Surely not negative: symbols are sizes, and nothing is subtracted.
  static bool is_size(const Dim& d) {
    if (!d.expr_) return d.value_ >= 0;
    for (const auto& [monomial, factor] : d.expr_->terms) {
      if (factor < 0) return false;
      for (const AtomPtr& x : monomial) {
        if (x->kind != Atom::kSymbol) return false;
      }
    }
    return true;
  }
};

namespace {
// Expressions past this size say nothing useful and would make hostile files expensive.
constexpr size_t kMaxTerms = 32;
constexpr size_t kMaxDegree = 8;
}  // namespace

Dim Dim::symbol(std::string_view name) {
  auto atom = std::make_shared<Atom>();
  atom->kind = Atom::kSymbol;
  atom->name = name;
  atom->key = "s:" + atom->name;
  return DimAlgebra::of_atom(atom);
}

Dim Dim::unknown() {
  static std::atomic<uint64_t> next{1};
  auto atom = std::make_shared<Atom>();
  atom->kind = Atom::kUnknown;
  atom->id = next.fetch_add(1, std::memory_order_relaxed);
  atom->key = "u:" + std::to_string(atom->id);
  return DimAlgebra::of_atom(atom);
}

Dim operator+(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const()) {
    const auto r = checked_add(a.value_, b.value_);
    return r ? Dim(*r) : Dim::unknown();
  }
  Terms t = DimAlgebra::terms_of(a);
  for (const auto& [m, c] : DimAlgebra::terms_of(b)) {
    auto& slot = t[m];
    const auto r = checked_add(slot, c);
    if (!r) return Dim::unknown();
    slot = *r;
  }
  if (t.size() > kMaxTerms) return Dim::unknown();
  return DimAlgebra::make(std::move(t));
}

Dim operator-(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const()) {
    int64_t r;
    return __builtin_sub_overflow(a.value_, b.value_, &r) ? Dim::unknown() : Dim(r);
  }
  return a + b * Dim(-1);
}

Dim operator*(const Dim& a, const Dim& b) {
  if (a.is_const() && b.is_const()) {
    const auto r = checked_mul(a.value_, b.value_);
    return r ? Dim(*r) : Dim::unknown();
  }
  if (DimAlgebra::size(a) * DimAlgebra::size(b) > kMaxTerms) return Dim::unknown();
  Terms t;
  for (const auto& [ma, ca] : DimAlgebra::terms_of(a)) {
    for (const auto& [mb, cb] : DimAlgebra::terms_of(b)) {
      Monomial m = ma;
      m.insert(m.end(), mb.begin(), mb.end());
      if (m.size() > kMaxDegree) return Dim::unknown();
      std::sort(m.begin(), m.end(), ByKey());
      const auto c = checked_mul(ca, cb);
      if (!c) return Dim::unknown();
      auto& slot = t[m];
      const auto sum = checked_add(slot, *c);
      if (!sum) return Dim::unknown();
      slot = *sum;
    }
  }
  return DimAlgebra::make(std::move(t));
}  // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): copies share an expression, the last of them frees it

Dim Dim::floor_div(const Dim& a, const Dim& b) {
  if (b.is(0)) return unknown();
  if (b.is(1)) return a;
  if (a.is_const() && b.is_const()) {
    if (a.value_ == INT64_MIN && b.value_ == -1) return unknown();
    const int64_t q = a.value_ / b.value_, r = a.value_ % b.value_;
    return Dim(r != 0 && ((r < 0) != (b.value_ < 0)) ? q - 1 : q);
  }
  if (b.is_const()) {
    // (k*x + c) / k == x + c/k when every non-constant coefficient divides.
    bool divides = true;
    Terms q;
    int64_t rest = 0;
    for (const auto& [m, c] : DimAlgebra::terms_of(a)) {
      if (m.empty()) {
        rest = c;
      } else if (b.value_ != -1 && c % b.value_ == 0) {
        q[m] = c / b.value_;
      } else {
        divides = false;
      }
    }
    if (divides) return DimAlgebra::make(std::move(q)) + floor_div(Dim(rest), b);
  } else {
    if (a == b) return Dim(1);
    // (x * s) / s for a single-term divisor.
    const Terms* tb = DimAlgebra::terms_ptr(b);
    if (tb->size() == 1) {
      const auto& [mb, cb] = *tb->begin();
      Terms q;
      bool divides = cb != -1;
      for (const auto& [m, c] : DimAlgebra::terms_of(a)) {
        Monomial rest;
        auto it = m.begin();
        size_t found = 0;
        for (const AtomPtr& x : mb) {
          while (it != m.end() && (*it)->key < x->key) rest.push_back(*it++);
          if (it != m.end() && (*it)->key == x->key) {
            ++it;
            ++found;
          }
        }
        rest.insert(rest.end(), it, m.end());
        if (found != mb.size() || !divides || c % cb != 0) {
          divides = false;
          break;
        }
        q[rest] += c / cb;
      }
      if (divides) return DimAlgebra::make(std::move(q));
    }
  }
  return DimAlgebra::opaque(Atom::kFloorDiv, "floordiv", a, b);
}

Dim Dim::ceil_div(const Dim& a, const Dim& b) {
  // ceil(a/b) == -floor(-a/b); for constant positive b the form below stays simpler for symbols.
  if (b.is_const() && b.value_ > 0) return floor_div(a + Dim(b.value_ - 1), b);
  return Dim(0) - floor_div(Dim(0) - a, b);
}

Dim Dim::min(const Dim& a, const Dim& b) {
  if (a == b) return a;
  const Dim d = a - b;
  if (d.is_const()) return d.value_ < 0 ? a : b;
  if (DimAlgebra::is_capped(a, b)) return a;
  if (DimAlgebra::is_capped(b, a)) return b;
  return DimAlgebra::opaque(Atom::kMin, "min", a, b);
}

Dim Dim::max(const Dim& a, const Dim& b) {
  if (a == b) return a;
  const Dim d = a - b;
  if (d.is_const()) return d.value_ > 0 ? a : b;
  if (a.is_const() && a.value_ <= 0 && DimAlgebra::is_size(b)) return b;
  if (b.is_const() && b.value_ <= 0 && DimAlgebra::is_size(a)) return a;
  return DimAlgebra::opaque(Atom::kMax, "max", a, b);
}

bool Dim::same(const Expr& a, const Expr& b) {
  if (&a == &b) return true;
  const Terms &ta = a.terms, &tb = b.terms;
  if (ta.size() != tb.size()) return false;
  auto less = MonomialLess();
  for (auto i = ta.begin(), j = tb.begin(); i != ta.end(); ++i, ++j) {
    if (i->second != j->second || less(i->first, j->first) || less(j->first, i->first)) return false;
  }
  return true;
}

std::string Dim::str() const {
  if (is_const()) return std::to_string(value_);
  std::string out;
  std::string constant;
  for (const auto& [m, c] : expr_->terms) {
    if (m.empty()) {
      constant = c < 0 ? " - " + std::to_string(c).substr(1) : " + " + std::to_string(c);
      continue;
    }
    std::string term;
    for (const AtomPtr& x : m) {
      if (!term.empty()) term += "*";
      term += x->kind == Atom::kSymbol ? x->name : x->kind == Atom::kUnknown ? "?" : x->key.substr(0, x->key.find('#'));
    }
    if (out.empty()) {
      out = c == 1 ? term : std::to_string(c) + "*" + term;
    } else {
      out += c < 0 ? " - " : " + ";
      const uint64_t magnitude = c < 0 ? 0 - static_cast<uint64_t>(c) : static_cast<uint64_t>(c);
      out += magnitude == 1 ? term : std::to_string(magnitude) + "*" + term;
    }
  }
  return out + constant;
}

size_t Dim::hash() const { return is_const() ? std::hash<int64_t>()(value_) : std::hash<std::string>()(str()); }

bool Shape::is_static() const {
  return ranked_ && std::all_of(dims_.begin(), dims_.end(), [](const Dim& d) { return d.is_const(); });
}

std::vector<int64_t> Shape::to_ints() const {
  std::vector<int64_t> out;
  out.reserve(dims_.size());
  for (const Dim& d : dims_) out.push_back(d.value());
  return out;
}

namespace {
Dim product_of_all(const DimList& dims) {
  Dim n(1);
  for (const Dim& d : dims) n = n * d;
  return n;
}
}  // namespace

Dim Shape::count() const {
  if (std::any_of(dims_.begin(), dims_.end(), [](const Dim& d) { return d.is(0); })) return Dim(0);
  int64_t numbers = 1;
  for (const Dim& d : dims_) {
    if (!d.is_const() || __builtin_mul_overflow(numbers, d.value(), &numbers)) return product_of_all(dims_);
  }
  return numbers;
}

std::string Shape::str() const {
  if (!ranked_) return "[...]";
  std::string out = "[";
  for (size_t i = 0; i < dims_.size(); ++i) out += (i ? ", " : "") + dims_[i].str();
  return out + "]";
}

Result<int64_t> element_count(const std::vector<int64_t>& dims) {
  int64_t n = 1;
  bool zero = false;
  for (const int64_t d : dims) {
    if (d < 0) return shape_error("negative dim ", d, " in shape ", str(dims));
    zero |= d == 0;
  }
  if (zero) return int64_t{0};
  for (const int64_t d : dims) {
    const auto r = checked_mul(n, d);
    if (!r) return limit_error("element count of shape ", str(dims), " overflows");
    n = *r;
  }
  return n;
}

std::string str(const std::vector<int64_t>& dims) {
  std::string out = "[";
  for (size_t i = 0; i < dims.size(); ++i) out += (i ? ", " : "") + std::to_string(dims[i]);
  return out + "]";
}

}  // namespace tenon

#include "ops/shape_arithmetic.h"

#include <algorithm>
#include <limits>

#include "ops/binary.h"
#include "ops/cast.h"
#include "ops/clip.h"
#include "ops/concat.h"
#include "ops/copy.h"
#include "ops/expand.h"
#include "ops/gather.h"
#include "ops/identity.h"
#include "ops/range.h"
#include "ops/reduce.h"
#include "ops/reshape.h"
#include "ops/shape_of.h"
#include "ops/slice.h"
#include "ops/split.h"
#include "ops/transpose.h"
#include "ops/unary.h"
#include "ops/where.h"

namespace tenon {

namespace {

using ops::is_not_negative;
using Elements = DimList;

bool carries_contents(const Type& t) {
  if (!(is_integer(t.dtype) || t.dtype == DType::kBool) || !t.is_static()) return false;
  const Dim n = t.shape.count();
  return n.is_const() && n.value() <= kMaxContents;
}

/// What fits the dtype: arithmetic wraps around at run time, which contents do not follow.
Dim kept(const Dim& d, DType dtype) {
  if (!d.is_const()) return d;
  const int64_t v = d.value();
  bool fits = true;
  dispatch<int8_t, uint8_t, int16_t, uint16_t, int32_t, uint32_t>(
      dtype, [&](auto t) { fits = v >= std::numeric_limits<decltype(t)>::min() && v <= std::numeric_limits<decltype(t)>::max(); });
  if (dtype == DType::kUint64) fits = v >= 0;
  if (dtype == DType::kBool) fits = v == 0 || v == 1;
  return fits ? d : Dim::unknown();
}

/// True, false, or not known.
std::optional<bool> equal(const Dim& a, const Dim& b) {
  const auto same = ops::dims_equal(a, b);
  if (same) return same;
  // A size never equals a negative number, such as the -1 that exporters compare with.
  const auto negative = [](const Dim& d) { return d.is_const() && d.value() < 0; };
  if ((negative(a) && is_not_negative(b)) || (negative(b) && is_not_negative(a))) return false;
  return std::nullopt;
}
std::optional<bool> less(const Dim& a, const Dim& b) {
  const Dim distance = b - a;
  if (distance.is_const()) return distance.value() > 0;
  if (is_not_negative(a) && b.is_const() && b.value() <= 0) return false;
  if (is_not_negative(b) && a.is_const() && a.value() < 0) return true;
  return std::nullopt;
}
Dim truth(std::optional<bool> b) { return b ? Dim(*b ? 1 : 0) : Dim::unknown(); }
std::optional<bool> negated(std::optional<bool> b) { return b ? std::optional(!*b) : std::nullopt; }

Dim divided(const Dim& a, const Dim& b) {
  if (b.is(0)) return Dim::unknown();
  if (a.is_const() && b.is_const()) return b.is(-1) ? Dim(0) - a : Dim(a.value() / b.value());  // towards zero
  return is_not_negative(a) && is_not_negative(b) ? Dim::floor_div(a, b) : Dim::unknown();
}

Dim combine(kernels::BinaryKind kind, const Dim& a, const Dim& b) {
  using Kind = kernels::BinaryKind;
  switch (kind) {
    case Kind::kAdd: return a + b;
    case Kind::kSub: return a - b;
    case Kind::kMul: return a * b;
    case Kind::kDiv: return divided(a, b);
    case Kind::kMod: return b.is_const() && b.value() > 0 ? a - Dim::floor_div(a, b) * b : Dim::unknown();
    case Kind::kMax: return Dim::max(a, b);
    case Kind::kMin: return Dim::min(a, b);
    case Kind::kEqual: return truth(equal(a, b));
    case Kind::kLess: return truth(less(a, b));
    case Kind::kGreater: return truth(less(b, a));
    case Kind::kLessOrEqual: return truth(negated(less(b, a)));
    case Kind::kGreaterOrEqual: return truth(negated(less(a, b)));
    case Kind::kAnd: return a.is(0) || b.is(0) ? Dim(0) : a.is(1) && b.is(1) ? Dim(1) : Dim::unknown();
    case Kind::kOr: return a.is(1) || b.is(1) ? Dim(1) : a.is(0) && b.is(0) ? Dim(0) : Dim::unknown();
    default: return Dim::unknown();
  }
}

Dim changed(kernels::UnaryKind kind, const Dim& a) {
  using Kind = kernels::UnaryKind;
  switch (kind) {
    case Kind::kNeg: return Dim(0) - a;
    case Kind::kAbs: return is_not_negative(a) ? a : a.is_const() ? Dim(0) - a : Dim::unknown();
    case Kind::kRelu: return Dim::max(a, Dim(0));
    case Kind::kNot: return a.is_const() ? Dim(a.is(0) ? 1 : 0) : Dim::unknown();
    case Kind::kSign: return a.is_const() ? Dim((a.value() > 0) - (a.value() < 0)) : Dim::unknown();
    default: return Dim::unknown();
  }
}

/// Strides in elements of a dense tensor; 0 along dims of 1, so that they broadcast.
Dims strides_of(const Dims& dims) {
  Dims strides(dims.size());
  int64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0; stride *= dims[i]) strides[i] = dims[i] == 1 ? 0 : stride;
  return strides;
}

/// Reads `from` in nested loops, outermost first.
struct Loop {
  int64_t count, stride;
};
Elements take(const Elements& from, int64_t offset, const std::vector<Loop>& loops) {
  Elements out;
  std::vector<int64_t> index(loops.size(), 0);
  for (const Loop& l : loops) {
    if (l.count <= 0) return out;
  }
  for (;;) {
    out.push_back(from[static_cast<size_t>(offset)]);
    size_t i = loops.size();
    for (; i > 0; --i) {
      offset += loops[i - 1].stride;
      if (++index[i - 1] < loops[i - 1].count) break;
      offset -= loops[i - 1].stride * loops[i - 1].count;
      index[i - 1] = 0;
    }
    if (i == 0) return out;
  }
}

/// `from` of shape `dims` broadcast to `to`, whose rank is as large at least.
Elements broadcast(const Elements& from, const Dims& dims, const Dims& to) {
  if (dims == to) return from;
  const Dims strides = strides_of(dims);
  std::vector<Loop> loops;
  for (size_t i = 0; i < to.size(); ++i) {
    const size_t added = to.size() - dims.size();
    loops.push_back({to[i], i < added ? 0 : strides[i - added]});
  }
  return take(from, 0, loops);
}

/// One operator: the contents of its outputs from those of its inputs.
struct Flow {
  const Types& in;
  Types& out;

  Dims dims(int i) const { return in[i].shape.to_ints(); }
  Dims out_dims() const { return out[0].shape.to_ints(); }
  /// The elements of input i when it is static and they are known.
  std::optional<Elements> elements(int i) const {
    if (!ops::has(in, i) || !carries_contents(in[i])) return std::nullopt;
    auto e = ops::contents_of(in, i);
    if (!e || !in[i].shape.count().is(static_cast<int64_t>(e->size()))) return std::nullopt;
    if (e->empty() && in[i].rank() != 1) return std::nullopt;  // says nothing, and its other dims may be of any size
    return e;
  }
  void set(int i, Elements elements) const {
    if (!carries_contents(out[i]) || !out[i].shape.count().is(static_cast<int64_t>(elements.size()))) return;
    for (Dim& d : elements) d = kept(d, out[i].dtype);
    out[i].contents = std::move(elements);
  }
  void same() const {
    if (auto e = elements(0)) set(0, std::move(*e));
  }

  template <class T>
  void operator()(const T&) const {}

  void operator()(const ops::ShapeOf& op) const {
    if (!in[0].ranked()) return;
    const ops::DimRange taken = ops::dims_taken(op, in[0].rank());
    const auto& all = in[0].shape.dims();
    set(0, Elements(all.begin() + taken.begin, all.begin() + taken.end));
  }
  void operator()(const ops::Size&) const {
    if (in[0].ranked()) set(0, {in[0].shape.count()});
  }
  void operator()(const ops::Identity&) const { same(); }
  void operator()(const ops::Reshape&) const { same(); }
  void operator()(const ops::Flatten&) const { same(); }
  void operator()(const ops::Squeeze&) const { same(); }
  void operator()(const ops::Unsqueeze&) const { same(); }

  void operator()(const ops::Cast& op) const {
    auto e = elements(0);
    if (!e) return;
    if (op.to == DType::kBool) {
      for (Dim& d : *e) d = d.is_const() ? Dim(d.is(0) ? 0 : 1) : Dim::unknown();
    }
    set(0, std::move(*e));
  }

  void operator()(const ops::Gather& op) const {
    const auto data = elements(0);
    const auto indices = ops::ints_of(in, 1);
    if (!data || data->empty() || !indices || !carries_contents(out[0])) return;
    const Dims d = dims(0);
    const int64_t axis = op.axis < 0 ? op.axis + static_cast<int64_t>(d.size()) : op.axis;
    const int64_t outer = ops::product(d, 0, axis), inner = ops::product(d, axis + 1, d.size());
    Elements picked;
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i : *indices) {
        if (i < 0) i += d[axis];
        if (i < 0 || i >= d[axis]) return;
        for (int64_t k = 0; k < inner; ++k) picked.push_back((*data)[(o * d[axis] + i) * inner + k]);
      }
    }
    set(0, std::move(picked));
  }

  void operator()(const ops::Slice&) const {
    const auto data = elements(0);
    const auto starts = ops::ints_of(in, 1), ends = ops::ints_of(in, 2), axes = ops::ints_of(in, 3), steps = ops::ints_of(in, 4);
    if (!data || !starts || !ends || (ops::has(in, 3) && !axes) || (ops::has(in, 4) && !steps)) return;
    const Dims d = dims(0), strides = strides_of(d);
    std::vector<Loop> loops;
    for (size_t i = 0; i < d.size(); ++i) loops.push_back({d[i], strides[i]});
    int64_t offset = 0;
    for (size_t i = 0; i < starts->size(); ++i) {
      int64_t axis = axes ? (*axes)[i] : static_cast<int64_t>(i);
      if (axis < 0) axis += static_cast<int64_t>(d.size());
      const int64_t step = steps ? (*steps)[i] : 1;
      const ops::SliceExtent extent = ops::slice_extent((*starts)[i], (*ends)[i], step, d[axis]);
      offset += extent.first * strides[axis];
      loops[axis] = {extent.count, extent.count > 1 ? step * strides[axis] : 0};
    }
    set(0, take(*data, offset, loops));
  }

  void operator()(const ops::Transpose& op) const {
    const auto data = elements(0);
    if (!data) return;
    const auto perm = ops::full_perm(op, in[0].rank());
    if (!perm.ok()) return;
    const Dims d = dims(0), strides = strides_of(d);
    std::vector<Loop> loops;
    for (const int64_t p : *perm) loops.push_back({d[p], strides[p]});
    set(0, take(*data, 0, loops));
  }

  void operator()(const ops::Concat& op) const {
    if (!carries_contents(out[0]) || out[0].shape.count().is(0)) return;
    std::vector<Elements> parts;
    bool any = false;
    for (size_t i = 0; i < in.size(); ++i) {
      if (!in[i].is_static()) return;
      auto e = elements(static_cast<int>(i));
      any |= e.has_value();
      // What is not known leaves the rest known.
      parts.push_back(e ? std::move(*e) : unknown(in[i].shape.count().value()));
    }
    if (!any) return;
    const Dims d = out_dims();
    const int64_t axis = op.axis < 0 ? op.axis + static_cast<int64_t>(d.size()) : op.axis;
    const int64_t outer = ops::product(d, 0, axis);
    Elements joined;
    for (int64_t o = 0; o < outer; ++o) {
      for (const Elements& part : parts) {
        const int64_t n = static_cast<int64_t>(part.size()) / outer;
        joined.insert(joined.end(), part.begin() + o * n, part.begin() + (o + 1) * n);
      }
    }
    set(0, std::move(joined));
  }

  void operator()(const ops::Split& op) const {
    const auto data = elements(0);
    if (!data) return;
    const Dims d = dims(0), strides = strides_of(d);
    const int64_t axis = op.axis < 0 ? op.axis + static_cast<int64_t>(d.size()) : op.axis;
    int64_t at = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      if (!out[i].is_static()) return;
      std::vector<Loop> loops;
      for (size_t k = 0; k < d.size(); ++k) loops.push_back({out[i].shape[k].value(), strides[k]});
      set(static_cast<int>(i), take(*data, at * strides[axis], loops));
      at += out[i].shape[axis].value();
    }
  }

  void operator()(const ops::Expand&) const {
    const auto data = elements(0);
    if (data && carries_contents(out[0])) set(0, broadcast(*data, dims(0), out_dims()));
  }

  void operator()(const ops::Tile&) const {
    const auto data = elements(0);
    if (!data || data->empty() || !carries_contents(out[0])) return;
    const Dims d = dims(0), to = out_dims(), strides = strides_of(d);
    std::vector<Loop> loops;
    for (size_t i = 0; i < d.size(); ++i) {
      loops.push_back({to[i] / d[i], 0});
      loops.push_back({d[i], strides[i]});
    }
    set(0, take(*data, 0, loops));
  }

  void operator()(const ops::Range&) const {
    const auto start = elements(0), delta = elements(2);
    if (!start || !delta || !carries_contents(out[0])) return;
    Elements e;
    for (int64_t i = 0; i < out[0].shape[0].value(); ++i) e.push_back((*start)[0] + Dim(i) * (*delta)[0]);
    set(0, std::move(e));
  }

  void operator()(const ops::Binary& op) const {
    if (!carries_contents(out[0]) || op.kind == kernels::BinaryKind::kPRelu) return;
    const auto a = elements(0), b = elements(1);
    if (!a || !b) return;
    Elements x = broadcast(*a, dims(0), out_dims());
    const Elements y = broadcast(*b, dims(1), out_dims());
    for (size_t i = 0; i < x.size(); ++i) x[i] = combine(op.kind, x[i], y[i]);
    set(0, std::move(x));
  }

  void operator()(const ops::Unary& op) const {
    auto e = elements(0);
    if (!e) return;
    for (Dim& d : *e) d = changed(op.kind, d);
    set(0, std::move(*e));
  }

  void operator()(const ops::Clip&) const {
    auto e = elements(0);
    const auto low = elements(1), high = elements(2);
    if (!e || (ops::has(in, 1) && (!low || low->size() != 1)) || (ops::has(in, 2) && (!high || high->size() != 1))) return;
    for (Dim& d : *e) {
      if (low) d = Dim::max(d, (*low)[0]);
      if (high) d = Dim::min(d, (*high)[0]);
    }
    set(0, std::move(*e));
  }

  void operator()(const ops::Where&) const {
    if (!carries_contents(out[0])) return;
    for (int i = 0; i < 3; ++i) {
      if (!in[i].is_static()) return;
    }
    const auto condition = elements(0), a = elements(1), b = elements(2);
    if (!condition || (!a && !b)) return;
    const Dims to = out_dims();
    const Elements c = broadcast(*condition, dims(0), to);
    Elements x = a ? broadcast(*a, dims(1), to) : unknown(static_cast<int64_t>(c.size()));
    const Elements y = b ? broadcast(*b, dims(2), to) : unknown(static_cast<int64_t>(c.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      if (c[i].is(0)) {
        x[i] = y[i];
      } else if (!c[i].is_const() && !(x[i] == y[i])) {
        x[i] = Dim::unknown();
      }
    }
    set(0, std::move(x));
  }

  void operator()(const ops::Reduce& op) const {
    const auto e = elements(0);
    // Only reductions of everything: what shapes are computed with.
    if (!e || e->empty() || !out[0].is_static() || !out[0].shape.count().is(1)) return;
    using Kind = kernels::ReduceKind;
    Dim all = (*e)[0];
    for (size_t i = 1; i < e->size(); ++i) {
      const Dim& d = (*e)[i];
      switch (op.kind) {
        case Kind::kProd: all = all * d; break;
        case Kind::kSum: all = all + d; break;
        case Kind::kMax: all = Dim::max(all, d); break;
        case Kind::kMin: all = Dim::min(all, d); break;
        default: return;
      }
    }
    if (op.kind == Kind::kProd || op.kind == Kind::kSum || op.kind == Kind::kMax || op.kind == Kind::kMin) set(0, {all});
  }

  static Elements unknown(int64_t n) {
    Elements e;
    for (int64_t i = 0; i < n; ++i) e.push_back(Dim::unknown());
    return e;
  }
};

}  // namespace

void propagate_contents(const Op& op, const Types& in, Types& out) {
  if (std::none_of(out.begin(), out.end(), carries_contents)) return;
  std::visit(Flow{in, out}, op);
}

}  // namespace tenon

#include "ops/regions.h"

#include <algorithm>

namespace tenon::ops {

std::vector<int> regions_of(const Op& op) {
  if (const auto* o = std::get_if<If>(&op)) return {o->then_region, o->else_region};
  if (const auto* o = std::get_if<Loop>(&op)) return {o->body};
  if (const auto* o = std::get_if<Scan>(&op)) return {o->body};
  return {};
}

std::vector<bool> wanted_of_body(const Op& op, const std::vector<bool>& wanted, size_t count) {
  // The node's output i is output i + skipped of the body; what the next turn reads, the first `kept` of the body, is always needed.
  size_t skipped = 0, kept = 0;
  if (const auto* o = std::get_if<Loop>(&op)) skipped = 1, kept = 1 + static_cast<size_t>(o->carried);
  if (const auto* o = std::get_if<Scan>(&op)) kept = static_cast<size_t>(o->states);
  std::vector<bool> needed(count, false);
  for (size_t i = 0; i < count; ++i) needed[i] = i < kept || (i >= skipped && i - skipped < wanted.size() && wanted[i - skipped]);
  return needed;
}

Types body_inputs(const Op& op, const Types& in) {
  Types out;
  if (const auto* o = std::get_if<Loop>(&op)) {
    out = {Type::of(DType::kInt64, Shape{}), Type::of(DType::kBool, Shape{})};
    for (size_t i = 2; i < 2 + static_cast<size_t>(o->carried); ++i) out.push_back(Type::of(in[i].dtype, in[i].shape, in[i].structure));
  }
  if (const auto* o = std::get_if<Scan>(&op)) {
    for (size_t i = 0; i < in.size(); ++i) {
      Type t = Type::of(in[i].dtype, in[i].shape);
      if (i >= static_cast<size_t>(o->states) && t.ranked()) {
        DimList dims = t.shape.dims();
        const int64_t axis = o->input_axes[i - static_cast<size_t>(o->states)];
        dims.erase(dims.begin() + (axis < 0 ? axis + t.rank() : axis));
        t.shape = Shape(std::move(dims));
      }
      out.push_back(std::move(t));
    }
  }
  return out;
}

}  // namespace tenon::ops

#include "ops/type.h"

namespace tenon {

std::string Layout::str() const {
  switch (kind) {
    case Kind::kPlain: return "plain";
    case Kind::kChannelBlocked: return "blocked" + std::to_string(block);
    case Kind::kPacked: return "packed:" + std::to_string(format);
  }
  return "?";
}

Type Type::of(const Tensor& value) {
  switch (value.kind()) {
    case Tensor::Kind::kTensor: break;
    case Tensor::Kind::kSequence: return unranked(value.dtype(), {.sequence = true});
    case Tensor::Kind::kNone: return unranked(value.dtype(), {.optional = true});
  }
  return of(value.dtype(), Shape::of(value.dims()));
}

std::string Type::str() const {
  if (!present()) return "none";
  std::string text = std::string(name_of(dtype)) + shape.str() + (layout.plain() ? "" : "{" + layout.str() + "}");
  if (structure.sequence) text = "sequence(" + text + ")";
  return structure.optional ? "optional(" + text + ")" : text;
}

namespace {

/// `tensor` has this dtype, and this shape where it is known.
bool agrees(const Tensor& tensor, DType dtype, const Shape& shape) {
  if (tensor.dtype() != dtype) return false;
  if (!shape.ranked()) return true;
  const Dims& dims = tensor.dims();
  if (dims.size() != shape.dims().size()) return false;
  for (size_t d = 0; d < dims.size(); ++d) {
    if (shape[d].is_const() && shape[d].value() != dims[d]) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string> Type::mismatch(const Tensor& value) const {
  bool fits = false;
  switch (value.kind()) {
    case Tensor::Kind::kTensor: fits = !structure.sequence && agrees(value, dtype, shape); break;
    case Tensor::Kind::kNone: fits = structure.optional; break;
    case Tensor::Kind::kSequence: {
      fits = structure.sequence && value.dtype() == dtype;
      const std::span<const Tensor> items = value.items();
      for (size_t i = 0; fits && i < items.size(); ++i) {
        if (!agrees(items[i], dtype, shape)) return value.str() + ", of which item " + std::to_string(i) + " is " + items[i].str();
      }
      break;
    }
  }
  if (fits) return std::nullopt;
  return value.str();
}

}  // namespace tenon

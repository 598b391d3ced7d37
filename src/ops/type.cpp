#include "ops/type.h"

#include <algorithm>

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
  return std::equal(dims.begin(), dims.end(), shape.begin(), shape.end(),
                    [](int64_t dim, const Dim& known) { return !known.is_const() || known.value() == dim; });
}

}  // namespace

std::optional<std::string> Type::mismatch(const Tensor& value) const {
  switch (value.kind()) {
    case Tensor::Kind::kTensor:
      if (!structure.sequence && agrees(value, dtype, shape)) return std::nullopt;
      break;
    case Tensor::Kind::kNone:
      if (structure.optional) return std::nullopt;
      break;
    case Tensor::Kind::kSequence: {
      if (!structure.sequence || value.dtype() != dtype) break;
      const std::span<const Tensor> items = value.items();
      const auto wrong = std::find_if(items.begin(), items.end(), [&](const Tensor& item) { return !agrees(item, dtype, shape); });
      if (wrong == items.end()) return std::nullopt;
      return value.str() + ", of which item " + std::to_string(wrong - items.begin()) + " is " + wrong->str();
    }
  }
  return value.str();
}

}  // namespace tenon

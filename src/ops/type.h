// The type of a value: what is known about it before it is computed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/dim.h"
#include "base/dtype.h"
#include "base/tensor.h"

namespace tenon {

/// How the elements of a value lie in memory. Part of its type, so a missing reorder is a type error.
struct Layout {
  enum class Kind : uint8_t {
    kPlain,           ///< row-major
    kChannelBlocked,  ///< [N, C/block, spatial..., block]: dim 1 split, padded with zeros up to a multiple of block
    kPacked,          ///< a constant operand packed for one kernel; `format` names the packing, bytes are opaque
  };
  Kind kind = Kind::kPlain;
  uint8_t block = 0;    ///< channels a block, kChannelBlocked only
  uint16_t format = 0;  ///< kPacked only: a kernels::PackFormat value
  bool plain() const { return kind == Kind::kPlain; }
  bool operator==(const Layout&) const = default;
  std::string str() const;  ///< "plain", "blocked16", "packed:3"
};

/// How a value is made of tensors: one tensor, a sequence of them, and whether there may be none of it (ONNX's optional).
struct Structure {
  bool sequence = false;
  bool optional = false;
  bool operator==(const Structure&) const = default;
};

struct Type {
  DType dtype = DType::kUndefined;  ///< of a sequence: its items'
  Shape shape = Shape::unranked();  ///< of a sequence: its items'. They may differ in every dim that is not constant
  Layout layout;
  Structure structure;

  /// Known elements of a small integer (or bool, as 0/1) tensor in row-major order: what Shape, Gather, Concat... compute at load.
  std::optional<DimList> contents;
  /// The tensor itself when it is a constant (or, while a plan runs, when it has been computed). Not owned: it outlives the call.
  const Tensor* constant = nullptr;

  static Type of(DType dtype, Shape shape, Structure structure = {}) { return Type{dtype, std::move(shape), {}, structure, {}, nullptr}; }
  static Type unranked(DType dtype, Structure structure = {}) { return of(dtype, Shape::unranked(), structure); }
  /// The type of a value at hand. A sequence is taken for one of items of any shape.
  static Type of(const Tensor& value);
  /// An input that the node leaves out.
  static Type none() { return {}; }
  bool present() const { return dtype != DType::kUndefined; }
  bool is_tensor() const { return structure == Structure{}; }
  bool ranked() const { return shape.ranked(); }
  int rank() const { return shape.rank(); }
  bool is_static() const { return shape.is_static() && is_tensor(); }  ///< a tensor whose size in memory is known
  std::string str() const;                                             ///< "float32[batch, 3, 224, 224]", "optional(sequence(float32[n]))"

  /// Same dtype, shape, layout and structure; contents and constant do not take part.
  bool same_as(const Type& other) const {
    return dtype == other.dtype && shape == other.shape && layout == other.layout && structure == other.structure;
  }
  /// Nothing when `value` is of this type, otherwise what it is instead: "float32[2]", "a sequence of 2 float32 tensors, of which item 1 is
  /// float32[3]".
  std::optional<std::string> mismatch(const Tensor& value) const;
};

using Types = std::vector<Type>;

/// Most elements for which contents are tracked.
inline constexpr int64_t kMaxContents = 1024;

}  // namespace tenon

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
    kPlain,          ///< row-major
    kChannelBlocked, ///< [N, C/block, spatial..., block]: dim 1 split, padded with zeros up to a multiple of block
    kPacked,         ///< a constant operand packed for one kernel; `format` names the packing, bytes are opaque
  };
  Kind kind = Kind::kPlain;
  uint8_t block = 0;    ///< channels a block, kChannelBlocked only
  uint16_t format = 0;  ///< kPacked only: a kernels::PackFormat value
  bool plain() const { return kind == Kind::kPlain; }
  bool operator==(const Layout&) const = default;
  std::string str() const;  ///< "plain", "blocked16", "packed:3"
};

struct Type {
  DType dtype = DType::kUndefined;
  Shape shape = Shape::unranked();
  Layout layout;

  /// Known elements of a small integer (or bool, as 0/1) tensor in row-major order: what Shape, Gather, Concat... compute at load.
  std::optional<std::vector<Dim>> contents;
  /// The value itself when it is a constant (or, while a plan runs, when it has been computed). Not owned: it outlives the call.
  const Tensor* constant = nullptr;

  static Type of(DType dtype, Shape shape) { return Type{dtype, std::move(shape), {}, {}, nullptr}; }
  static Type unranked(DType dtype) { return Type{dtype, Shape::unranked(), {}, {}, nullptr}; }
  /// An input that the node leaves out.
  static Type none() { return {}; }
  bool present() const { return dtype != DType::kUndefined; }
  bool ranked() const { return shape.ranked(); }
  int rank() const { return shape.rank(); }
  bool is_static() const { return shape.is_static(); }
  std::string str() const;  ///< "float32[batch, 3, 224, 224]"

  /// Same dtype, shape and layout; contents and constant do not take part.
  bool same_as(const Type& other) const { return dtype == other.dtype && shape == other.shape && layout == other.layout; }
};

using Types = std::vector<Type>;

/// Most elements for which contents are tracked.
inline constexpr int64_t kMaxContents = 1024;

}  // namespace tenon

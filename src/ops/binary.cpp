#include "ops/binary.h"

#include "kernels/elementwise/broadcast.h"
#include "ops/elements.h"

namespace tenon::ops {

std::string_view name_of(Binary::Kind kind) {
  static constexpr std::string_view kNames[] = {"Add",       "Sub",        "Mul",       "Div",        "Pow",   "Mod",     "Fmod",
                                                "Max",       "Min",        "PRelu",     "And",        "Or",    "Xor",     "BitwiseAnd",
                                                "BitwiseOr", "BitwiseXor", "ShiftLeft", "ShiftRight", "Equal", "Greater", "GreaterOrEqual",
                                                "Less",      "LessOrEqual"};
  static_assert(std::size(kNames) == kernels::kBinaryKinds);
  return kNames[static_cast<int>(kind)];
}

namespace {

bool one_element(const Shape& shape) {
  if (!shape.ranked()) return false;
  for (const Dim& d : shape)
    if (!d.is(1)) return false;
  return true;
}

Status check_dtypes(Binary::Kind kind, const Types& in) {
  using K = Binary::Kind;
  if (kind == K::kPow) {
    TENON_TRY(expect_numeric(in, 0));
    return expect_numeric(in, 1);
  }
  switch (kind) {
    // clang-format off
    case K::kAnd: case K::kOr: case K::kXor: TENON_TRY(expect_bool(in, 0)); break;
    case K::kBitwiseAnd: case K::kBitwiseOr: case K::kBitwiseXor: case K::kShiftLeft: case K::kShiftRight:
      TENON_TRY(expect_integer(in, 0)); break;
    // clang-format on
    case K::kEqual:
      if (in[0].dtype != DType::kBool && in[0].dtype != DType::kString) TENON_TRY(expect_numeric(in, 0));
      break;
    default: TENON_TRY(expect_numeric(in, 0));
  }
  return expect_same_dtype(in, 0, 1);
}

/// The layout both inputs can be walked in together.
Result<Layout> common_layout(const Types& in) {
  if (in[0].layout == in[1].layout) {
    if (in[0].layout.kind == Layout::Kind::kChannelBlocked &&
        !(in[0].ranked() && in[1].ranked() && in[0].rank() == in[1].rank() && in[0].rank() >= 2 && in[0].shape[1] == in[1].shape[1])) {
      return error(Code::kInternal, "channel-blocked inputs need the same rank and channels, but are ", in[0].str(), " and ", in[1].str());
    }
    return in[0].layout;
  }
  if (in[0].layout.plain() && one_element(in[0].shape) && in[1].ranked() && in[0].rank() <= in[1].rank()) return in[1].layout;
  if (in[1].layout.plain() && one_element(in[1].shape) && in[0].ranked() && in[1].rank() <= in[0].rank()) return in[0].layout;
  return error(Code::kInternal, "inputs have layouts ", in[0].layout.str(), " and ", in[1].layout.str(), ", expected the same");
}

}  // namespace

Result<Types> infer(const Binary& op, const Types& in) {
  TENON_TRY(expect_inputs(in, 2));
  TENON_TRY(check_dtypes(op.kind, in));
  TENON_ASSIGN(Shape shape, broadcast(in[0].shape, in[1].shape));
  if (op.kind == Binary::Kind::kPRelu) {
    if (shape.is_static() && in[0].is_static() && shape != in[0].shape) {
      return input_error(1, "(slope) has shape ", in[1].shape.str(), ", expected one that broadcasts to ", in[0].shape.str());
    }
    shape = in[0].shape;
  }
  Type out = Type::of(kernels::is_comparison(op.kind) ? DType::kBool : in[0].dtype, std::move(shape));
  TENON_ASSIGN(out.layout, common_layout(in));
  return Types{std::move(out)};
}

Result<Step> bind(const Binary& op, const BindContext& ctx) {
  kernels::BinaryParams p;
  p.kind = op.kind;
  p.dtype = ctx.dtype(0);
  p.exponent_dtype = ctx.dtype(1);
  const Dims a = physical_dims(ctx.dims(0), ctx.layout(0)), b = physical_dims(ctx.dims(1), ctx.layout(1));
  const Dims out = physical_dims(ctx.out_dims(0), ctx.out_layout(0));
  if (!kernels::make_broadcast_shape<2>(out, {std::span<const int64_t>(a), std::span<const int64_t>(b)}, p.shape)) {
    return limit_error("broadcasting ", str(ctx.dims(0)), " with ", str(ctx.dims(1)), " needs rank over ", kernels::kMaxBroadcastRank);
  }
  p.count = count_of(out);
  const Cut c = cut(p.count, kernels::binary_cost(op.kind, p.dtype), 64);
  p.chunk = c.chunk;
  TENON_ASSIGN(Step step, ctx.choose(kernels::binary, p, c.parts, c.nanoseconds));
  if (count_of(a) == p.count && size_of(ctx.dtype(0)) == size_of(ctx.out_dtype(0))) step.in_place.push_back({0, 0});
  if (count_of(b) == p.count && size_of(ctx.dtype(1)) == size_of(ctx.out_dtype(0))) step.in_place.push_back({0, 1});
  return step;
}

}  // namespace tenon::ops

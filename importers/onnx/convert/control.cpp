// If, Loop and the table of control-flow operators.
#include "importers/onnx/convert/control.h"

#include <algorithm>

#include "ops/control.h"

namespace tenon::onnx {

Shape merged(const Shape& a, const Shape& b) {
  if (!a.ranked() || !b.ranked() || a.rank() != b.rank()) return Shape::unranked();
  DimList dims;
  for (int i = 0; i < a.rank(); ++i) dims.push_back(a[i] == b[i] ? a[i] : Dim::unknown());
  return Shape(std::move(dims));
}

Type loosened(const Type& t) {
  if (!t.ranked() || !t.is_tensor()) return Type::unranked(t.dtype, t.structure);
  DimList dims;
  for (int i = 0; i < t.rank(); ++i) dims.push_back(Dim::unknown());
  return Type::of(t.dtype, Shape(std::move(dims)));
}

Type output_type(const NodeContext& ctx, RegionId region, size_t i) { return ctx.graph().type(ctx.graph().region(region).outputs[i]); }

namespace {

Status convert_if(NodeContext& ctx) {
  TENON_ASSIGN(const RegionId then_region, ctx.graph_attribute("then_branch"));
  TENON_ASSIGN(const RegionId else_region, ctx.graph_attribute("else_branch"));
  const size_t a = ctx.graph().region(then_region).outputs.size(), b = ctx.graph().region(else_region).outputs.size();
  if (a != b) return shape_error("then_branch has ", a, " outputs, else_branch has ", b);
  if (static_cast<size_t>(ctx.outputs()) > a) return shape_error("has ", ctx.outputs(), " outputs, but its branches have ", a);
  ops::If op;
  op.then_region = then_region;
  op.else_region = else_region;
  for (size_t i = 0; i < a; ++i) {
    const Type t = output_type(ctx, then_region, i), e = output_type(ctx, else_region, i);
    if (t.dtype != e.dtype) {
      return shape_error("output ", i, " is ", name_of(t.dtype), " in then_branch and ", name_of(e.dtype), " in else_branch");
    }
    if (t.structure != e.structure) return shape_error("output ", i, " is ", t.str(), " in then_branch and ", e.str(), " in else_branch");
    op.results.push_back({t.dtype, merged(t.shape, e.shape), t.structure});
  }
  return ctx.become(op);
}

Status convert_loop(NodeContext& ctx) {
  const int carried = std::max(ctx.inputs() - 2, 0);
  Types inputs{Type::of(DType::kInt64, Shape{}), Type::of(DType::kBool, Shape{})};
  for (int i = 0; i < carried; ++i) inputs.push_back(loosened(ctx.type(2 + i)));
  TENON_ASSIGN(const RegionId body, ctx.graph_attribute("body", inputs));
  const Region& region = ctx.graph().region(body);
  if (static_cast<int>(region.inputs.size()) != 2 + carried) {
    return shape_error("the body has ", region.inputs.size(), " inputs, expected ", 2 + carried, " (iteration, condition, ", carried,
                       " carried)");
  }
  if (static_cast<int>(region.outputs.size()) < 1 + carried) {
    return shape_error("the body has ", region.outputs.size(), " outputs, expected at least ", 1 + carried);
  }
  const int results = static_cast<int>(region.outputs.size()) - 1;
  if (ctx.outputs() > results) return shape_error("has ", ctx.outputs(), " outputs, but its body gives ", results);
  if (output_type(ctx, body, 0).dtype != DType::kBool || !output_type(ctx, body, 0).is_tensor())
    return shape_error("output 0 of the body is ", output_type(ctx, body, 0).str(), ", expected bool");
  ops::Loop op;
  op.body = body;
  op.carried = carried;
  for (int i = 0; i < results; ++i) {
    const Type t = output_type(ctx, body, static_cast<size_t>(i) + 1);
    if (i < carried) {
      const Type& initial = ctx.type(2 + i);
      if (initial.present() && t.dtype != initial.dtype) {
        return shape_error("carried value ", i, " starts as ", name_of(initial.dtype), ", but the body gives ", name_of(t.dtype));
      }
      if (initial.present() && t.structure != initial.structure) {
        return shape_error("carried value ", i, " starts as ", initial.str(), ", but the body gives ", t.str());
      }
      op.results.push_back({t.dtype, merged(t.shape, initial.shape), t.structure});
    } else if (!t.is_tensor()) {
      return shape_error("output ", i + 1, " of the body is ", t.str(), ", expected a tensor: scan outputs are stacked");
    } else if (t.ranked()) {
      DimList dims{Dim::unknown()};
      dims.insert(dims.end(), t.shape.begin(), t.shape.end());
      op.results.push_back({t.dtype, Shape(std::move(dims))});
    } else {
      op.results.push_back({t.dtype, Shape::unranked()});
    }
  }
  return ctx.become(op);
}

constexpr Operator kControl[] = {
    {"", "If", 1, 1, 1, INT32_MAX, convert_if},
    {"", "Loop", 1, 0, INT32_MAX, INT32_MAX, convert_loop, true},
    {"", "Scan", 8, 1, INT32_MAX, INT32_MAX, convert_scan},
};

}  // namespace

std::span<const Operator> control_operators() { return kControl; }

}  // namespace tenon::onnx

// If, Loop, Scan.
#include <algorithm>

#include "importers/onnx/convert.h"
#include "ops/control.h"
#include "ops/infer.h"

namespace tenon::onnx {

namespace {

/// What two branches agree on.
Shape merged(const Shape& a, const Shape& b) {
  if (!a.ranked() || !b.ranked() || a.rank() != b.rank()) return Shape::unranked();
  std::vector<Dim> dims;
  for (int i = 0; i < a.rank(); ++i) dims.push_back(a[i] == b[i] ? a[i] : Dim::unknown());
  return Shape(std::move(dims));
}

Type output_type(const NodeContext& ctx, RegionId region, size_t i) {
  return ctx.graph().type(ctx.graph().region(region).outputs[i]);
}

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

/// The input type of a loop body for a carried value: dims may change from turn to turn, so only dtype and rank are taken for granted, and
/// those only while the body agrees. A sequence may grow by items of another rank.
Type loosened(const Type& t) {
  if (!t.ranked() || !t.is_tensor()) return Type::unranked(t.dtype, t.structure);
  std::vector<Dim> dims;
  for (int i = 0; i < t.rank(); ++i) dims.push_back(Dim::unknown());
  return Type::of(t.dtype, Shape(std::move(dims)));
}

Status convert_loop(NodeContext& ctx) {
  const int carried = std::max(ctx.inputs() - 2, 0);
  Types inputs{Type::of(DType::kInt64, Shape{}), Type::of(DType::kBool, Shape{})};
  for (int i = 0; i < carried; ++i) inputs.push_back(loosened(ctx.type(2 + i)));
  TENON_ASSIGN(const RegionId body, ctx.graph_attribute("body", inputs));
  const Region& region = ctx.graph().region(body);
  if (static_cast<int>(region.inputs.size()) != 2 + carried) {
    return shape_error("the body has ", region.inputs.size(), " inputs, expected ", 2 + carried, " (iteration, condition, ", carried, " carried)");
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
      std::vector<Dim> dims{Dim::unknown()};
      dims.insert(dims.end(), t.shape.begin(), t.shape.end());
      op.results.push_back({t.dtype, Shape(std::move(dims))});
    } else {
      op.results.push_back({t.dtype, Shape::unranked()});
    }
  }
  return ctx.become(op);
}

Status convert_scan(NodeContext& ctx) {
  if (ctx.opset() < 9) return load_error("Scan of opset 8 (batched) is not supported, expected opset 9 or later");
  TENON_ASSIGN(const int64_t scans, ctx.int_attribute("num_scan_inputs"));
  if (scans < 1 || scans > ctx.inputs()) return shape_error("num_scan_inputs is ", scans, ", expected 1 to ", ctx.inputs());
  const int states = ctx.inputs() - static_cast<int>(scans);
  ops::Scan op;
  op.states = states;
  TENON_ASSIGN(op.input_axes, ctx.ints_attribute("scan_input_axes", std::vector<int64_t>(static_cast<size_t>(scans), 0)));
  TENON_ASSIGN(op.input_directions, ctx.ints_attribute("scan_input_directions", std::vector<int64_t>(static_cast<size_t>(scans), 0)));
  if (static_cast<int64_t>(op.input_axes.size()) != scans || static_cast<int64_t>(op.input_directions.size()) != scans) {
    return shape_error("scan_input_axes and scan_input_directions must have ", scans, " elements, but have ", op.input_axes.size(), " and ",
                       op.input_directions.size());
  }
  Types inputs;
  for (int i = 0; i < states; ++i) inputs.push_back(loosened(ctx.type(i)));
  for (int64_t s = 0; s < scans; ++s) {
    const Type& t = ctx.type(states + static_cast<int>(s));
    if (!t.ranked()) {
      inputs.push_back(Type::unranked(t.dtype));
      continue;
    }
    TENON_ASSIGN(const int64_t axis, ops::normal_axis(op.input_axes[static_cast<size_t>(s)], t.rank(), "scan_input_axes"));
    std::vector<Dim> dims = t.shape.dims();
    dims.erase(dims.begin() + axis);
    inputs.push_back(Type::of(t.dtype, Shape(std::move(dims))));
  }
  TENON_ASSIGN(op.body, ctx.graph_attribute("body", inputs));
  const Region& region = ctx.graph().region(op.body);
  if (static_cast<int>(region.inputs.size()) != ctx.inputs()) {
    return shape_error("the body has ", region.inputs.size(), " inputs, expected ", ctx.inputs());
  }
  if (static_cast<int>(region.outputs.size()) < states) {
    return shape_error("the body has ", region.outputs.size(), " outputs, expected at least ", states);
  }
  const size_t outs = region.outputs.size() - static_cast<size_t>(states);
  if (ctx.outputs() > static_cast<int>(region.outputs.size())) {
    return shape_error("has ", ctx.outputs(), " outputs, but its body gives ", region.outputs.size());
  }
  TENON_ASSIGN(op.output_axes, ctx.ints_attribute("scan_output_axes", std::vector<int64_t>(outs, 0)));
  TENON_ASSIGN(op.output_directions, ctx.ints_attribute("scan_output_directions", std::vector<int64_t>(outs, 0)));
  if (op.output_axes.size() != outs || op.output_directions.size() != outs) {
    return shape_error("scan_output_axes and scan_output_directions must have ", outs, " elements, but have ", op.output_axes.size(), " and ",
                       op.output_directions.size());
  }
  Dim length = Dim::unknown();
  const Type& first = ctx.type(states);
  if (first.ranked()) {
    TENON_ASSIGN(const int64_t axis, ops::normal_axis(op.input_axes[0], first.rank(), "scan_input_axes"));
    length = first.shape[static_cast<size_t>(axis)];
  }
  for (size_t i = 0; i < region.outputs.size(); ++i) {
    const Type t = output_type(ctx, op.body, i);
    if (!t.is_tensor()) return shape_error("output ", i, " of the body is ", t.str(), ", expected a tensor");
    if (static_cast<int>(i) < states) {
      const Type& initial = ctx.type(static_cast<int>(i));
      if (t.dtype != initial.dtype) {
        return shape_error("state ", i, " starts as ", name_of(initial.dtype), ", but the body gives ", name_of(t.dtype));
      }
      op.results.push_back({t.dtype, merged(t.shape, initial.shape)});
      continue;
    }
    if (!t.ranked()) {
      op.results.push_back({t.dtype, Shape::unranked()});
      continue;
    }
    TENON_ASSIGN(const int64_t axis, ops::normal_axis(op.output_axes[i - static_cast<size_t>(states)], t.rank() + 1, "scan_output_axes"));
    std::vector<Dim> dims = t.shape.dims();
    dims.insert(dims.begin() + axis, length);
    op.results.push_back({t.dtype, Shape(std::move(dims))});
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

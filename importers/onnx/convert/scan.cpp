// Scan, and the batched Scan of opset 8.
#include "importers/onnx/convert/control.h"
#include "ops/binary.h"
#include "ops/concat.h"
#include "ops/control.h"
#include "ops/infer.h"
#include "ops/pad.h"
#include "ops/reshape.h"
#include "ops/shape_of.h"
#include "ops/split.h"

namespace tenon::onnx {

namespace {

/// An attribute with one number for each of `count` inputs or outputs, zeros by default.
Result<std::vector<int64_t>> one_each(NodeContext& ctx, const char* name, size_t count) {
  TENON_ASSIGN(auto values, ctx.ints_attribute(name, std::vector<int64_t>(count, 0)));
  if (values.size() != count) return shape_error(name, " has ", values.size(), " elements, expected ", count);
  return values;
}

Result<std::vector<int64_t>> directions(NodeContext& ctx, const char* name, size_t count) {
  TENON_ASSIGN(auto values, one_each(ctx, name, count));
  for (const int64_t d : values)
    if (d != 0 && d != 1) return shape_error(name, " holds ", d, ", expected 0 (forward) or 1 (reverse)");
  return values;
}

/// Attribute num_scan_inputs, for a node with `values` states and scan inputs.
Result<int> scan_inputs(NodeContext& ctx, int values) {
  TENON_ASSIGN(const int64_t scans, ctx.int_attribute("num_scan_inputs"));
  if (scans < 1 || scans > values) return shape_error("num_scan_inputs is ", scans, ", expected 1 to ", values);
  return static_cast<int>(scans);
}

/// Without dim `axis`.
Type without(const Type& t, int64_t axis) {
  if (!t.ranked()) return Type::unranked(t.dtype);
  DimList dims = t.shape.dims();
  dims.erase(dims.begin() + axis);
  return Type::of(t.dtype, Shape(std::move(dims)));
}

/// With a dim inserted at `axis`.
Shape with(const Shape& shape, int64_t axis, const Dim& dim) {
  if (!shape.ranked()) return Shape::unranked();
  DimList dims = shape.dims();
  dims.insert(dims.begin() + axis, dim);
  return Shape(std::move(dims));
}

/// Completes `op`, of which states, input axes and input directions are known, for inputs of the types `in`: reads the body and the
/// attributes of the outputs, and says what the results are.
Status add_body(NodeContext& ctx, const Types& in, ops::Scan& op) {
  const auto states = static_cast<size_t>(op.states);
  Types inputs;
  Dim length = Dim::unknown();
  for (size_t i = 0; i < in.size(); ++i) {
    if (i < states || !in[i].ranked()) {
      inputs.push_back(i < states ? loosened(in[i]) : Type::unranked(in[i].dtype));
      continue;
    }
    TENON_ASSIGN(const int64_t axis, ops::normal_axis(op.input_axes[i - states], in[i].rank(), "scan_input_axes"));
    inputs.push_back(without(in[i], axis));
    if (i == states) length = in[i].shape[static_cast<size_t>(axis)];
  }
  TENON_ASSIGN(op.body, ctx.graph_attribute("body", inputs));
  const Region& region = ctx.graph().region(op.body);
  if (region.inputs.size() != in.size()) return shape_error("the body has ", region.inputs.size(), " inputs, expected ", in.size());
  if (region.outputs.size() < states) return shape_error("the body has ", region.outputs.size(), " outputs, expected at least ", states);
  if (static_cast<size_t>(ctx.outputs()) > region.outputs.size()) {
    return shape_error("has ", ctx.outputs(), " outputs, but its body gives ", region.outputs.size());
  }
  op.output_axes.assign(region.outputs.size() - states, 0);
  op.output_directions = op.output_axes;
  if (ctx.opset() >= 9) {
    TENON_ASSIGN(op.output_axes, one_each(ctx, "scan_output_axes", op.output_axes.size()));
    TENON_ASSIGN(op.output_directions, directions(ctx, "scan_output_directions", op.output_axes.size()));
  }
  for (size_t i = 0; i < region.outputs.size(); ++i) {
    const Type t = output_type(ctx, op.body, i);
    if (!t.is_tensor()) return shape_error("output ", i, " of the body is ", t.str(), ", expected a tensor");
    if (i < states) {
      if (t.dtype != in[i].dtype)
        return shape_error("state ", i, " starts as ", name_of(in[i].dtype), ", but the body gives ", name_of(t.dtype));
      op.results.push_back({t.dtype, merged(t.shape, in[i].shape)});
    } else if (!t.ranked()) {
      op.results.push_back({t.dtype, Shape::unranked()});
    } else {
      TENON_ASSIGN(const int64_t axis, ops::normal_axis(op.output_axes[i - states], t.rank() + 1, "scan_output_axes"));
      op.results.push_back({t.dtype, with(t.shape, axis, length)});
    }
  }
  return {};
}

/// Opset 8: (sequence_lens?, states..., scan inputs...) with a batch axis 0 on all of them, and the sequence axis 1 on scan inputs and
/// outputs. It becomes a Scan over the batch whose body scans one sequence, cut to its length before and filled up with zeros after.
Status batched_scan(NodeContext& ctx) {
  TENON_ASSIGN(const int scans, scan_inputs(ctx, ctx.inputs() - 1));
  ops::Scan sequence, batch;
  sequence.states = ctx.inputs() - 1 - scans;
  sequence.input_axes.assign(static_cast<size_t>(scans), 0);
  TENON_ASSIGN(sequence.input_directions, directions(ctx, "directions", static_cast<size_t>(scans)));
  const bool lens = ctx.has_input(0);
  std::vector<ValueId> values;
  Types rows;
  Dim size = Dim::unknown(), length = Dim::unknown();
  for (int i = 1; i < ctx.inputs(); ++i) {
    const Type& t = ctx.type(i);
    const bool scanned = i > sequence.states;
    if (!ctx.has_input(i)) return shape_error("input ", i, " is left out");
    if (t.ranked() && t.rank() < (scanned ? 2 : 1)) {
      return shape_error("input ", i, " is ", t.str(), scanned ? ", expected a batch and a sequence axis" : ", expected a batch axis");
    }
    values.push_back(ctx.input(i));
    rows.push_back(t.ranked() ? without(t, 0) : Type::unranked(t.dtype));
    if (t.ranked() && i == sequence.states + 1) size = t.shape[0], length = t.shape[1];
  }
  if (lens) {
    const Type& t = ctx.type(0);
    if (t.dtype != DType::kInt64 || (t.ranked() && t.rank() != 1))
      return shape_error("sequence_lens is ", t.str(), ", expected int64[batch]");
    values.push_back(ctx.input(0));
    rows.push_back(Type::of(DType::kInt64, Shape{}));
  }
  batch.input_axes.assign(values.size(), 0);
  batch.input_directions = batch.input_axes;

  TENON_ASSIGN(std::vector<ValueId> row, ctx.begin_region("batch", rows));
  ValueId rest = kNone;  // how far the sequence is from the longest
  if (lens) {
    const auto first = static_cast<size_t>(sequence.states);
    TENON_ASSIGN(const ValueId len, ctx.add1(ops::Reshape{}, {row.back(), ctx.ints({1})}));
    row.pop_back();
    TENON_ASSIGN(const ValueId longest, ctx.add1(ops::ShapeOf{.start = 0, .end = 1}, {row[first]}));
    TENON_ASSIGN(rest, ctx.add1(ops::Binary{.kind = ops::Binary::Kind::kSub}, {longest, len}));
    TENON_ASSIGN(const ValueId pieces, ctx.add1(ops::Concat{.axis = 0}, {len, rest}));
    for (size_t i = first; i < row.size(); ++i) {
      TENON_ASSIGN(const auto split, ctx.add(ops::Split{.axis = 0, .outputs = 2}, {row[i], pieces}, 2));
      row[i] = split[0];
    }
  }
  TENON_TRY(add_body(ctx, ctx.graph().types_of(row), sequence));
  TENON_ASSIGN(std::vector<ValueId> results, ctx.add(sequence, row, static_cast<int>(sequence.results.size())));
  if (lens) {
    TENON_ASSIGN(const ValueId pads, ctx.add1(ops::Concat{.axis = 0}, {ctx.ints({0}), rest}));
    for (size_t i = static_cast<size_t>(sequence.states); i < results.size(); ++i) {
      TENON_ASSIGN(results[i], ctx.add1(ops::Pad{}, {results[i], pads, kNone, ctx.ints({0})}));
    }
  }
  TENON_ASSIGN(batch.body, ctx.end_region(results));

  batch.output_axes.assign(results.size(), 0);
  batch.output_directions = batch.output_axes;
  for (size_t i = 0; i < results.size(); ++i) {
    Type t = ctx.graph().type(results[i]);
    if (t.ranked() && i >= static_cast<size_t>(sequence.states)) t.shape.dims()[0] = length;
    batch.results.push_back({t.dtype, with(t.shape, 0, size)});
  }
  TENON_ASSIGN(const auto outputs, ctx.add(batch, values, static_cast<int>(results.size())));
  return ctx.set_outputs(outputs);
}

}  // namespace

Status convert_scan(NodeContext& ctx) {
  if (ctx.opset() < 9) return batched_scan(ctx);
  TENON_ASSIGN(const int scans, scan_inputs(ctx, ctx.inputs()));
  ops::Scan op;
  op.states = ctx.inputs() - scans;
  TENON_ASSIGN(op.input_axes, one_each(ctx, "scan_input_axes", static_cast<size_t>(scans)));
  TENON_ASSIGN(op.input_directions, directions(ctx, "scan_input_directions", static_cast<size_t>(scans)));
  Types in;
  for (int i = 0; i < ctx.inputs(); ++i) in.push_back(ctx.type(i));
  TENON_TRY(add_body(ctx, in, op));
  return ctx.become(op);
}

}  // namespace tenon::onnx

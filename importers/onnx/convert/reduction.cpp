// Converters of the reductions: Reduce*, ArgMax, ArgMin, CumSum, CumProd.
#include "importers/onnx/convert.h"

namespace tenon::onnx {
namespace {

using K = ops::Reduce::Kind;

/// The axes became an input in opset 18 (13 for ReduceSum); before, they are an attribute, absent for all axes.
template <K kind, int64_t axes_input_since>
Status reduce(NodeContext& c) {
  ops::Reduce op{kind};
  TENON_ASSIGN(const int64_t keepdims, c.int_attribute("keepdims", 1));
  op.keepdims = keepdims != 0;
  if (c.opset() >= axes_input_since) {
    TENON_ASSIGN(const int64_t noop, c.int_attribute("noop_with_empty_axes", 0));
    op.noop_with_empty_axes = noop != 0;
    return c.become(op);
  }
  std::vector<ValueId> inputs{c.input(0)};
  if (c.has_attribute("axes")) {
    TENON_ASSIGN(std::vector<int64_t> axes, c.ints_attribute("axes"));
    if (!axes.empty()) inputs.push_back(c.ints(axes));
  }
  TENON_ASSIGN(const ValueId y, c.add1(op, inputs));
  return c.set_outputs({y});
}

template <ops::ArgReduce::Kind kind>
Status arg_reduce(NodeContext& c) {
  ops::ArgReduce op{kind};
  TENON_ASSIGN(op.axis, c.int_attribute("axis", 0));
  TENON_ASSIGN(const int64_t keepdims, c.int_attribute("keepdims", 1));
  op.keepdims = keepdims != 0;
  if (c.opset() >= 12) {
    TENON_ASSIGN(const int64_t last, c.int_attribute("select_last_index", 0));
    op.select_last_index = last != 0;
  }
  return c.become(op);
}

template <ops::Cumulative::Kind kind>
Status cumulative(NodeContext& c) {
  ops::Cumulative op{kind};
  TENON_ASSIGN(const int64_t exclusive, c.int_attribute("exclusive", 0));
  TENON_ASSIGN(const int64_t reverse, c.int_attribute("reverse", 0));
  op.exclusive = exclusive != 0;
  op.reverse = reverse != 0;
  return c.become(op);
}

constexpr Operator kOperators[] = {
    {"", "ArgMax", 1, 1, 1, 1, arg_reduce<ops::ArgReduce::Kind::kMax>},
    {"", "ArgMin", 1, 1, 1, 1, arg_reduce<ops::ArgReduce::Kind::kMin>},
    {"", "CumProd", 26, 2, 2, 1, cumulative<ops::Cumulative::Kind::kProd>},
    {"", "CumSum", 11, 2, 2, 1, cumulative<ops::Cumulative::Kind::kSum>},
    {"", "ReduceL1", 1, 1, 2, 1, reduce<K::kL1, 18>},
    {"", "ReduceL2", 1, 1, 2, 1, reduce<K::kL2, 18>},
    {"", "ReduceLogSum", 1, 1, 2, 1, reduce<K::kLogSum, 18>},
    {"", "ReduceLogSumExp", 1, 1, 2, 1, reduce<K::kLogSumExp, 18>},
    {"", "ReduceMax", 1, 1, 2, 1, reduce<K::kMax, 18>},
    {"", "ReduceMean", 1, 1, 2, 1, reduce<K::kMean, 18>},
    {"", "ReduceMin", 1, 1, 2, 1, reduce<K::kMin, 18>},
    {"", "ReduceProd", 1, 1, 2, 1, reduce<K::kProd, 18>},
    {"", "ReduceSum", 1, 1, 2, 1, reduce<K::kSum, 13>},
    {"", "ReduceSumSquare", 1, 1, 2, 1, reduce<K::kSumSquare, 18>},
};

}  // namespace

std::span<const Operator> reduction_operators() { return kOperators; }

}  // namespace tenon::onnx

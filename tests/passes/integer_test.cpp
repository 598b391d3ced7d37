// The rewrites around products of 8-bit integers: the smallest graphs that match, their neighbours that must not, and results before and
// after.
#include <gtest/gtest.h>

#include "ops/dynamic_quantize_linear.h"
#include "support/rewrite.h"

namespace tenon {
namespace {

using ops::Binary;
using ops::Cast;
using ops::QLinearConv;
using ops::QLinearMatMul;
constexpr auto kAdd = Binary::Kind::kAdd, kMul = Binary::Kind::kMul;

class IntegerPasses : public test::RewriteTest {
 protected:
  ValueId bytes(Dims dims) {
    const Tensor t = test::values(dims, 5);
    std::vector<int8_t> v;
    for (int64_t i = 0; i < t.count(); ++i) v.push_back(static_cast<int8_t>(t.as<float>()[i] * 100));
    return graph_.add_constant(0, "w", Tensor::of<int8_t>(std::move(dims), v));
  }
  ValueId floats(Dims dims) { return graph_.add_constant(0, "f", test::values(std::move(dims), 9)); }
  struct Quantized {
    ValueId y, scale, zero;
  };
  Quantized quantized(Dims dims) {
    auto out = graph_.add_node(0, ops::DynamicQuantizeLinear{}, {input(std::move(dims))});
    EXPECT_TRUE(out.ok()) << out.status().message();
    return {(*out)[0], (*out)[1], (*out)[2]};
  }
  ValueId to_float(ValueId v) { return add(Cast{DType::kFloat32}, {v}); }
};

TEST_F(IntegerPasses, DynamicQuantisation) {
  for (const Dims& scale : {Dims{}, Dims{1}, Dims{6}}) {
    graph_ = Graph();
    inputs_.clear();
    const Quantized x = quantized({2, 5, 8});
    const ValueId sums = add(QLinearMatMul{DType::kInt32}, {x.y, kNone, x.zero, bytes({8, 6})});
    const ValueId scales = add(Binary{kMul}, {x.scale, floats(scale)});
    const ValueId y = add(Binary{kMul}, {to_float(sums), scales});
    output(add(Binary{kAdd}, {floats({6}), y}));
    expect(passes::fuse_integer_scale, 1, 3);
    expect(passes::fuse_integer_bias, 1, 2);
  }
}

TEST_F(IntegerPasses, DynamicallyQuantisedConvolution) {
  const Quantized x = quantized({1, 3, 6, 6});
  const ValueId sums = add(QLinearConv{.window = {}, .group = 1, .to = DType::kInt32}, {x.y, kNone, x.zero, bytes({4, 3, 3, 3})});
  output(add(Binary{kMul}, {add(Binary{kMul}, {floats({}), x.scale}), to_float(sums)}));
  expect(passes::fuse_integer_scale, 1, 2);
}

TEST_F(IntegerPasses, ScaleOfRowsStays) {
  const Quantized x = quantized({6, 8});
  const ValueId sums = add(QLinearMatMul{DType::kInt32}, {x.y, kNone, x.zero, bytes({8, 6})});
  output(add(Binary{kMul}, {to_float(sums), add(Binary{kMul}, {x.scale, floats({6, 1})})}));
  expect(passes::fuse_integer_scale, 0, 5);
}

TEST_F(IntegerPasses, SumsWithAnotherReaderStay) {
  const Quantized x = quantized({6, 8});
  const ValueId sums = add(QLinearMatMul{DType::kInt32}, {x.y, kNone, x.zero, bytes({8, 6})});
  const ValueId scaled = add(Binary{kMul}, {to_float(sums), add(Binary{kMul}, {x.scale, floats({})})});
  output(add(Binary{kAdd}, {scaled, add(Cast{DType::kFloat32}, {add(Cast{DType::kInt64}, {sums})})}));
  expect(passes::fuse_integer_scale, 0, 8);
}

TEST_F(IntegerPasses, BiasOfRowsStays) {
  const Quantized x = quantized({6, 8});
  const ValueId y = add(QLinearMatMul{DType::kFloat32}, {x.y, x.scale, x.zero, bytes({8, 6}), floats({})});
  output(add(Binary{kAdd}, {y, floats({6, 1})}));
  expect(passes::fuse_integer_bias, 0, 3);
}

/// DequantizeLinear -> Conv or MatMul -> QuantizeLinear, with steps of 1/8 for x and y.
class FuseQuantizedProducts : public IntegerPasses {
 protected:
  ValueId dequantized(ValueId x, ValueId scale, int64_t axis = 1) {
    return add(ops::DequantizeLinear{.to = DType::kFloat32, .axis = axis}, {x, scale, kNone});
  }
  ValueId step(float x) { return graph_.add_constant(0, "step", Tensor::scalar<float>(x)); }
  ValueId dequantized_input(Dims dims) {
    const ValueId q = add(ops::QuantizeLinear{.to = DType::kInt8}, {input(std::move(dims)), step(0.125f), kNone});
    return dequantized(q, step(0.125f));
  }
  static ops::Pool pool(ops::Pool::Kind kind, std::vector<int64_t> pads = {}) {
    ops::Pool op;
    op.kind = kind;
    op.window.kernel_shape = {3, 3};
    op.window.pads = std::move(pads);
    return op;
  }
  void quantized_output(ValueId y, DType to, float scale) {
    const ValueId q = add(ops::QuantizeLinear{.to = to}, {y, step(scale), kNone});
    output(add(ops::DequantizeLinear{}, {q, step(scale), kNone}));
  }
};

TEST_F(FuseQuantizedProducts, Product) {
  const ValueId w = dequantized(bytes({8, 6}), floats({6}), 1);
  quantized_output(add(ops::MatMul{}, {dequantized_input({5, 8}), w}), DType::kInt8, 4);
  expect(passes::fuse_quantized_products, 1, 3, 4.001f);
}

TEST_F(FuseQuantizedProducts, ConvolutionWithBiasAndRelu) {
  const ValueId w = dequantized(bytes({4, 3, 3, 3}), graph_.add_constant(0, "s", Tensor::of<float>({4}, {0.5f, 0.25f, 0.125f, 1})), 0);
  const ValueId y = add(ops::Conv{}, {dequantized_input({1, 3, 6, 6}), w, floats({4})});
  quantized_output(add(ops::Unary{ops::Unary::Kind::kRelu}, {y}), DType::kUint8, 4);
  expect(passes::fuse_quantized_products, 1, 3, 4.001f);
}

TEST_F(FuseQuantizedProducts, ReluOfSignedResultsStays) {
  const ValueId w = dequantized(bytes({8, 6}), step(0.5f));
  const ValueId y = add(ops::MatMul{}, {dequantized_input({5, 8}), w});
  quantized_output(add(ops::Unary{ops::Unary::Kind::kRelu}, {y}), DType::kInt8, 4);
  expect(passes::fuse_quantized_products, 0, 7);
}

TEST_F(FuseQuantizedProducts, ScalesAlongTheSumStay) {
  const ValueId w = dequantized(bytes({8, 6}), floats({8}), 0);
  quantized_output(add(ops::MatMul{}, {dequantized_input({5, 8}), w}), DType::kInt8, 4);
  expect(passes::fuse_quantized_products, 0, 6);
}

TEST_F(FuseQuantizedProducts, Sum) {
  const ValueId y = add(Binary{kAdd}, {dequantized_input({2, 5, 8}), dequantized_input({2, 5, 8})});
  quantized_output(add(ops::Unary{ops::Unary::Kind::kRelu}, {y}), DType::kUint8, 0.25f);
  expect(passes::fuse_quantized_products, 1, 4, 0.2501f);
}

TEST_F(FuseQuantizedProducts, SumThatBroadcastsStays) {
  quantized_output(add(Binary{kAdd}, {dequantized_input({2, 5, 8}), dequantized_input({5, 8})}), DType::kInt8, 0.25f);
  expect(passes::fuse_quantized_products, 0, 7);
}

TEST_F(FuseQuantizedProducts, LargestOfAWindow) {
  quantized_output(add(pool(ops::Pool::Kind::kMax, {1, 1, 1, 1}), {dequantized_input({1, 2, 6, 7})}), DType::kInt8, 0.125f);
  expect(passes::fuse_quantized_products, 1, 3, 0);
}

TEST_F(FuseQuantizedProducts, LargestOfAWindowInOtherStepsStays) {
  quantized_output(add(pool(ops::Pool::Kind::kMax), {dequantized_input({1, 2, 6, 7})}), DType::kInt8, 0.25f);
  expect(passes::fuse_quantized_products, 0, 5);
}

TEST_F(FuseQuantizedProducts, MeanOfAWindowStays) {
  quantized_output(add(pool(ops::Pool::Kind::kAverage), {dequantized_input({1, 2, 6, 7})}), DType::kInt8, 0.125f);
  expect(passes::fuse_quantized_products, 0, 5);
}

TEST_F(FuseQuantizedProducts, DifferenceStays) {
  quantized_output(add(Binary{Binary::Kind::kSub}, {dequantized_input({5, 8}), dequantized_input({5, 8})}), DType::kInt8, 0.25f);
  expect(passes::fuse_quantized_products, 0, 7);
}

TEST_F(FuseQuantizedProducts, ProductWithAnotherReaderStays) {
  const ValueId y = add(ops::MatMul{}, {dequantized_input({5, 8}), dequantized(bytes({8, 6}), step(0.5f))});
  quantized_output(y, DType::kInt8, 4);
  output(y);
  expect(passes::fuse_quantized_products, 0, 6);
}

}  // namespace
}  // namespace tenon

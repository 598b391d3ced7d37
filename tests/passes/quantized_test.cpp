// Products of quantised constants: which take them packed, and what becomes of the others. Results are compared in tests/python/bits_test.py.
#include <gtest/gtest.h>

#include "kernels/gemm/bits.h"
#include "ops/matmul_bits.h"
#include "support/rewrite.h"

namespace tenon {
namespace {

using ops::DequantizeBits;
using ops::DequantizeLinear;
using ops::MatMul;

class QuantizedProducts : public test::RewriteTest {
 protected:
  ValueId bytes(DType dtype, Dims dims) {
    Tensor t = *Tensor::allocate(dtype, std::move(dims));
    for (int64_t i = 0; i < t.count(); ++i) t.as<uint8_t>()[i] = static_cast<uint8_t>(i % 4);
    return graph_.add_constant(0, "q", std::move(t));
  }
  /// How many products have weights of so many bits.
  int pack(int bits) {
    const auto done = run_pass(graph_, {.name = "pack", .whole = passes::pack_quantized_weights});
    EXPECT_TRUE(done.ok()) << done.status().message();
    graph_.remove_dead();
    const Status valid = validate(graph_);
    EXPECT_TRUE(valid.ok()) << valid.message();
    int count = 0;
    for (const NodeId id : graph_.region(0).nodes) {
      const auto* op = std::get_if<MatMul>(&graph_.node(id).op);
      if (op == nullptr) continue;
      const Layout& layout = graph_.type(graph_.node(id).inputs[1]).layout;
      const auto format = static_cast<kernels::GemmFormat>(layout.format);
      if (layout.kind != Layout::Kind::kPacked || !kernels::is_bits(format)) continue;
      EXPECT_FALSE(op->trans_b);
      EXPECT_EQ(kernels::bits_format(format).bits, bits);
      ++count;
    }
    return count;
  }
  /// x [3, k] times a dequantised constant of these dims.
  void product(DequantizeLinear op, DType dtype, Dims dims, Dims scales, bool trans = false) {
    const ValueId x = input({3, dims[trans ? 1 : 0]});
    output(add(MatMul{.trans_b = trans}, {x, add(op, {bytes(dtype, dims), constant(std::move(scales))})}));
  }
};

TEST_F(QuantizedProducts, BlocksAlongTheRows) {
  product({.axis = 0, .block_size = 16}, DType::kInt4, {48, 20}, {3, 20});
  EXPECT_EQ(pack(4), 1);
  EXPECT_EQ(graph_.live_nodes(), 1);
}

TEST_F(QuantizedProducts, TransposedWithScalesOfColumns) {
  product({.axis = 0}, DType::kUint8, {20, 48}, {20}, true);
  EXPECT_EQ(pack(8), 1);
}

TEST_F(QuantizedProducts, OneScale) {
  product({}, DType::kUint2, {40, 20}, {});
  EXPECT_EQ(pack(2), 1);
}

TEST_F(QuantizedProducts, ThroughATransposeAndShared) {
  const ValueId w = add(DequantizeLinear{.axis = 1, .block_size = 32}, {bytes(DType::kUint4, {20, 64}), constant({20, 2})});
  const ValueId t = add(ops::Transpose{{1, 0}}, {w});
  output(add(MatMul{}, {input({3, 64}), t}));
  output(add(MatMul{.trans_b = true}, {input({5, 64}), w}));
  EXPECT_EQ(pack(4), 2);
  EXPECT_EQ(graph_.live_nodes(), 2);
  const auto& nodes = graph_.region(0).nodes;
  EXPECT_EQ(graph_.node(nodes[0]).inputs[1], graph_.node(nodes[1]).inputs[1]);
}

TEST_F(QuantizedProducts, WeightsOfMatMulNBits) {
  const ValueId w =
      add(DequantizeBits{.n = 20, .k = 50, .bits = 4, .block_size = 32}, {bytes(DType::kUint8, {20, 2, 16}), constant({20, 2})});
  output(add(MatMul{.trans_b = true}, {input({3, 50}), w, constant({20})}));
  EXPECT_EQ(pack(4), 1);
  EXPECT_EQ(graph_.live_nodes(), 1);
}

TEST_F(QuantizedProducts, NeighboursStayAndAreFolded) {
  product({.axis = 1, .block_size = 16}, DType::kInt8, {48, 32}, {48, 2});  // blocks along the columns
  product({.axis = 0}, DType::kInt8, {48, 32}, {48});                       // a scale for each row
  product({.axis = 0, .block_size = 24}, DType::kInt8, {48, 32}, {2, 32});  // no power of two
  product({.axis = 0, .block_size = 8}, DType::kInt8, {48, 32}, {6, 32});   // too short
  product({}, DType::kInt8, {48, 1}, {});                                   // one column
  const ValueId w =
      add(DequantizeBits{.n = 20, .k = 32, .bits = 4, .block_size = 32}, {bytes(DType::kUint8, {20, 1, 16}), constant({20, 1})});
  output(add(MatMul{}, {input({3, 20}), w}));  // not transposed
  EXPECT_EQ(pack(8), 0);
  EXPECT_EQ(graph_.live_nodes(), 12);
  EXPECT_EQ(*run_pass(graph_, {.name = "fold", .rule = passes::fold_constants}), 0);
  EXPECT_EQ(*run_pass(graph_, {.name = "fold", .rule = passes::fold_dequantized}), 6);
  graph_.remove_dead();
  EXPECT_EQ(graph_.live_nodes(), 6);
}

class QuantizedTables : public QuantizedProducts {
 protected:
  void expect_gathered(DequantizeLinear op, Dims dims, Dims scales, int nodes, bool zeros = false) {
    const ValueId ids = graph_.add_constant(0, "ids", Tensor::of<int64_t>({2, 3}, {0, 5, -1, 2, 2, 4}));
    std::vector<ValueId> inputs{bytes(DType::kInt8, std::move(dims)), constant(scales)};
    if (zeros) inputs.push_back(bytes(DType::kInt8, std::move(scales)));
    output(add(ops::Gather{0}, {add(op, std::move(inputs)), ids}));
    expect(passes::gather_quantized, nodes > 0 ? 1 : 0, nodes > 0 ? nodes : 2, 0);
    const Node& last = graph_.node(graph_.region(0).nodes.back());
    EXPECT_EQ(std::holds_alternative<DequantizeLinear>(last.op), nodes > 0);
  }
};

TEST_F(QuantizedTables, OneScale) { expect_gathered({}, {6, 32}, {}, 2, true); }
TEST_F(QuantizedTables, ScalesOfColumns) { expect_gathered({.axis = -1}, {6, 32}, {32}, 2, true); }
TEST_F(QuantizedTables, BlocksOfARow) { expect_gathered({.axis = 1, .block_size = 16}, {6, 32}, {6, 2}, 4, true); }
TEST_F(QuantizedTables, BlocksOfColumnsStay) { expect_gathered({.axis = 0, .block_size = 2}, {6, 32}, {3, 32}, 0); }
TEST_F(QuantizedTables, ScalesOfRowsStay) { expect_gathered({.axis = 0}, {6, 32}, {6}, 0); }

}  // namespace
}  // namespace tenon

#include "ops/depth_to_space.h"

#include "tests/support/movement.h"

namespace tenon {
namespace {

using namespace testing;

TEST(DepthToSpace, BothOrders) {
  for (const DType dtype : kSizes) {
    for (const int64_t b : {1, 2, 3}) {
      const int64_t c = 3, h = 4, w = 5;
      const Tensor x = counting(dtype, {2, c * b * b, h, w});
      const Dims out = {2, c, h * b, w * b};
      expect_moved(run(ops::DepthToSpace{b, ops::BlockOrder::kDcr}, {&x}), out, x, [&](const Dims& i) {
        return Dims{i[0], (i[2] % b * b + i[3] % b) * c + i[1], i[2] / b, i[3] / b};
      });
      expect_moved(run(ops::DepthToSpace{b, ops::BlockOrder::kCrd}, {&x}), out, x, [&](const Dims& i) {
        return Dims{i[0], (i[1] * b + i[2] % b) * b + i[3] % b, i[2] / b, i[3] / b};
      });
    }
  }
}

TEST(SpaceToDepth, BothOrders) {
  for (const DType dtype : kSizes) {
    for (const int64_t b : {1, 2, 3}) {
      const int64_t c = 3, h = 4, w = 5;
      const Tensor x = counting(dtype, {2, c, h * b, w * b});
      const Dims out = {2, c * b * b, h, w};
      expect_moved(run(ops::SpaceToDepth{b}, {&x}), out, x, [&](const Dims& i) {
        const int64_t place = i[1] / c;
        return Dims{i[0], i[1] % c, i[2] * b + place / b, i[3] * b + place % b};
      });
      expect_moved(run(ops::SpaceToDepth{b, ops::BlockOrder::kCrd}, {&x}), out, x, [&](const Dims& i) {
        const int64_t place = i[1] % (b * b);
        return Dims{i[0], i[1] / (b * b), i[2] * b + place / b, i[3] * b + place % b};
      });
    }
  }
}

TEST(DepthToSpace, Types) {
  const Type x = Type::of(DType::kFloat32, {1, 8, 3, Dim::symbol("w")});
  EXPECT_EQ((*infer(Op(ops::DepthToSpace{2}), {x}))[0].shape.str(), "[1, 2, 6, 2*w]");
  expect_error(infer(Op(ops::DepthToSpace{3}), {x}), Code::kShape, {"8", "9"});
  expect_error(infer(Op(ops::DepthToSpace{0}), {x}), Code::kShape, {"blocksize", "0"});
  expect_error(infer(Op(ops::SpaceToDepth{2}), {x}), Code::kShape, {"3", "blocksize 2"});
  expect_error(infer(Op(ops::SpaceToDepth{-1}), {x}), Code::kShape, {"blocksize", "-1"});
  expect_error(infer(Op(ops::DepthToSpace{2}), {Type::of(DType::kFloat32, {4, 4})}), Code::kShape, {"rank"});
}

}  // namespace
}  // namespace tenon

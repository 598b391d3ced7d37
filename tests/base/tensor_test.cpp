// Values that are not plain tensors: sequences and none.
#include "base/tensor.h"

#include <gtest/gtest.h>

namespace tenon {
namespace {

Tensor floats(Dims dims, std::vector<float> v) { return Tensor::of<float>(std::move(dims), v); }

TEST(Sequence, HoldsItemsOfAnyShapeInTheirMemory) {
  const Tensor a = floats({2}, {1, 2}), b = floats({1, 3}, {3, 4, 5});
  const auto s = Tensor::sequence(DType::kFloat32, {a, b});
  ASSERT_TRUE(s.ok()) << s.status().message();
  EXPECT_EQ(s->kind(), Tensor::Kind::kSequence);
  ASSERT_EQ(s->items().size(), 2u);
  EXPECT_EQ(s->items()[0].data(), a.data());
  EXPECT_EQ(s->items()[1].dims(), (Dims{1, 3}));
  EXPECT_EQ(s->str(), "a sequence of 2 float32 tensors");
}

TEST(Sequence, LooksLikeAnEmptyVectorToCodeThatKnowsOnlyTensors) {
  for (const Tensor& t : {*Tensor::sequence(DType::kInt64, {Tensor::scalar<int64_t>(7)}), Tensor::none(DType::kInt64)}) {
    EXPECT_FALSE(t.is_tensor());
    EXPECT_FALSE(t.empty_handle());
    EXPECT_EQ(t.dims(), (Dims{0}));
    EXPECT_EQ(t.count(), 0);
    EXPECT_EQ(t.bytes(), 0u);
    EXPECT_EQ(t.data(), nullptr);
    EXPECT_TRUE(t.to_ints().empty());
    EXPECT_TRUE(t.values<int64_t>().empty());
  }
}

TEST(Sequence, AnEmptyOneIsNotNone) {
  const Tensor empty = *Tensor::sequence(DType::kFloat32, {});
  EXPECT_EQ(empty.kind(), Tensor::Kind::kSequence);
  EXPECT_EQ(empty.dtype(), DType::kFloat32);
  EXPECT_TRUE(empty.items().empty());
  EXPECT_EQ(Tensor::none().kind(), Tensor::Kind::kNone);
  EXPECT_EQ(Tensor::none().str(), "none");
}

TEST(Sequence, RefusesWhatIsNoTensorOfItsType) {
  const Tensor inner = *Tensor::sequence(DType::kFloat32, {});
  for (const Tensor& bad : {Tensor::scalar<int64_t>(1), inner, Tensor::none(DType::kFloat32), Tensor()}) {
    const auto s = Tensor::sequence(DType::kFloat32, {Tensor::scalar(1.0f), bad});
    ASSERT_FALSE(s.ok());
    EXPECT_EQ(s.status().code(), Code::kArgument);
    EXPECT_NE(s.status().message().find("item 1 is " + bad.str() + ", expected a tensor of float32"), std::string::npos)
        << s.status().message();
  }
}

TEST(Sequence, TheListIsAccountedForAndLetsItsItemsGo) {
  const auto allocator = std::make_shared<Allocator>(10 * sizeof(Tensor));
  int released = 0;
  float data[1] = {5};
  {
    const Tensor item = Tensor::view(DType::kFloat32, {1}, Buffer::borrow(data, sizeof data, [&] { ++released; }));
    Tensor s = *Tensor::sequence(DType::kFloat32, {item, item, item}, allocator);
    EXPECT_EQ(allocator->bytes(), 3 * sizeof(Tensor));
    const Tensor shared = s;
    s = Tensor();
    EXPECT_EQ(shared.items()[2].as<float>()[0], 5);
    EXPECT_EQ(Tensor::sequence(DType::kFloat32, std::vector<Tensor>(8, item), allocator).status().code(), Code::kLimit);
  }
  EXPECT_EQ(released, 1);
  EXPECT_EQ(allocator->bytes(), 0u);
}

TEST(Sequence, CloneCopiesEveryItem) {
  Tensor words = *Tensor::strings({2}, std::vector<std::string>{"tenon", ""});
  Tensor s = *Tensor::sequence(DType::kString, {words});
  const Tensor copy = *s.clone();
  words = s = Tensor();
  EXPECT_EQ(copy.items()[0].as<StringRef>()[0].view(), "tenon");

  const Tensor a = floats({1}, {1});
  const Tensor b = *(*Tensor::sequence(DType::kFloat32, {a})).clone();
  a.as<float>()[0] = 2;
  EXPECT_EQ(b.items()[0].as<float>()[0], 1);
  EXPECT_EQ((*Tensor::none().clone()).kind(), Tensor::Kind::kNone);
}

}  // namespace
}  // namespace tenon

#include "ops/rotary_embedding.h"

#include <gtest/gtest.h>

#include <random>

#include "ops/evaluate.h"
#include "support/targets.h"

namespace tenon {
namespace {

Tensor random_tensor(const Dims& dims, uint32_t seed) {
  Tensor t = *Tensor::allocate(DType::kFloat32, dims);
  std::mt19937 gen(seed);
  std::uniform_real_distribution<float> dist(-1, 1);
  for (int64_t i = 0; i < t.count(); ++i) t.as<float>()[i] = dist(gen);
  return t;
}

/// Element [i, j, k, l] of a tensor that is broadcast, its dims counted from the last.
double at(const Tensor& t, const Dims& index) {
  int64_t offset = 0;
  const size_t skip = index.size() - t.dims().size();
  for (size_t d = 0; d < t.dims().size(); ++d) offset = offset * t.dims()[d] + (t.dims()[d] == 1 ? 0 : index[skip + d]);
  return static_cast<double>(t.as<float>()[offset]);
}

void check(const Dims& x_dims, const Dims& angles, bool swap) {
  SCOPED_TRACE(str(x_dims) + " by " + str(angles));
  const Tensor x = random_tensor(x_dims, 1), cos = random_tensor(angles, 2), sin = random_tensor(angles, 3);
  const auto out = evaluate(ops::RotaryEmbedding{swap}, {&x, &cos, &sin});
  ASSERT_TRUE(out.ok()) << out.status().message();
  Dims dims = x_dims;
  if (swap) std::swap(dims[1], dims[2]);
  ASSERT_EQ((*out)[0].dims(), dims);
  const int64_t half = dims[3] / 2;
  const float* y = (*out)[0].as<float>();
  for (int64_t i = 0; i < dims[0]; ++i)
    for (int64_t j = 0; j < dims[1]; ++j)
      for (int64_t k = 0; k < dims[2]; ++k)
        for (int64_t l = 0; l < dims[3]; ++l) {
          const auto of_x = [&](int64_t e) { return swap ? at(x, {i, k, j, e}) : at(x, {i, j, k, e}); };
          const int64_t angle = l % angles.back();
          const double other = l < half ? -of_x(l + half) : of_x(l - half);
          ASSERT_NEAR(*y++, of_x(l) * at(cos, {i, j, k, angle}) + other * at(sin, {i, j, k, angle}), 1e-6);
        }
}

TEST(RotaryEmbedding, Shapes) {
  test::for_each_target([] {
    for (const bool swap : {false, true}) {
      for (const int64_t size : {2, 6, 16, 50, 64, 128}) {
        const Dims x = swap ? Dims{2, 9, 3, size} : Dims{2, 3, 9, size};
        for (const int64_t width : {size, size / 2}) {
          if (width == 1) continue;
          check(x, {1, 1, 9, width}, swap);
          check(x, {2, 1, 9, width}, swap);
          check(x, {9, width}, swap);
          check(x, {3, 1, width}, swap);
          check(x, {width}, swap);
        }
      }
    }
    check({2, 0, 9, 8}, {9, 8}, false);
  });
}

TEST(RotaryEmbedding, ErrorsNameWhatIsWrong) {
  const auto message = [](const Dims& x, const Dims& cos, const Dims& sin) {
    const Tensor a = random_tensor(x, 1), b = random_tensor(cos, 2), c = random_tensor(sin, 3);
    const auto out = evaluate(ops::RotaryEmbedding{}, {&a, &b, &c});
    return out.ok() ? std::string("no error") : std::string(out.status().message());
  };
  EXPECT_NE(message({2, 3, 9, 7}, {7}, {7}).find("even"), std::string::npos);
  EXPECT_NE(message({2, 3, 8}, {8}, {8}).find("rank"), std::string::npos);
  EXPECT_NE(message({2, 3, 9, 8}, {5, 8}, {9, 8}).find("does not broadcast"), std::string::npos);
  EXPECT_NE(message({2, 3, 9, 8}, {9, 8}, {9, 6}).find("all or half"), std::string::npos);
  EXPECT_NE(message({2, 3, 9, 8}, {9, 8}, {9, 4}).find("as many elements"), std::string::npos);
}

}  // namespace
}  // namespace tenon

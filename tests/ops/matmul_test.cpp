#include "ops/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ops/evaluate.h"
#include "tests/support/late.h"

namespace tenon {
namespace {

using ops::MatMul;

template <class T>
Tensor values_of(Dims dims, uint32_t seed) {
  int64_t count = 1;
  for (int64_t d : dims) count *= d;
  std::mt19937 gen(seed);
  std::vector<T> v(static_cast<size_t>(count));
  for (T& x : v) x = static_cast<T>(static_cast<float>(static_cast<int>(gen() % 17) - 8) / 4);
  return Tensor::of<T>(std::move(dims), v);
}
Tensor values(Dims dims, uint32_t seed) { return values_of<float>(std::move(dims), seed); }

Shape infer_shape(const MatMul& op, const Types& in) {
  auto out = infer(Op(op), in);
  EXPECT_TRUE(out.ok()) << out.status().message();
  return out.ok() ? (*out)[0].shape : Shape();
}
std::string infer_error(const MatMul& op, const Types& in) {
  auto out = infer(Op(op), in);
  EXPECT_FALSE(out.ok());
  return out.ok() ? "" : out.status().message();
}
Type f32(Shape shape) { return Type::of(DType::kFloat32, std::move(shape)); }

/// y[batch..., m, n] by the definition, in double; operands are given by strides derived here on their own.
std::vector<double> reference(const Tensor& a, const Tensor& b, bool ta, bool tb, Dims* dims) {
  Dims da = a.dims(), db = b.dims();
  const bool va = da.size() == 1, vb = db.size() == 1;
  if (va) da.insert(da.begin(), 1);
  if (vb) db.push_back(1);
  const size_t rank = std::max(da.size(), db.size());
  auto at = [](const Dims& d, size_t rank, size_t i) { return i + d.size() < rank ? int64_t{1} : d[i + d.size() - rank]; };
  Dims batch;
  for (size_t i = 0; i + 2 < rank; ++i) batch.push_back(at(da, rank, i) == 1 ? at(db, rank, i) : at(da, rank, i));
  if (va) ta = false;
  if (vb) tb = false;
  const int64_t m = da[da.size() - (ta ? 1 : 2)], k = da[da.size() - (ta ? 2 : 1)], n = db[db.size() - (tb ? 2 : 1)];
  int64_t count = 1;
  for (int64_t d : batch) count *= d;
  std::vector<double> y;
  for (int64_t g = 0; g < count; ++g) {
    int64_t oa = 0, ob = 0, rest = g, sa = m * k, sb = k * n;
    for (size_t i = batch.size(); i-- > 0;) {
      const int64_t x = rest % batch[i];
      rest /= batch[i];
      oa += at(da, rank, i) == 1 ? 0 : x * sa;
      ob += at(db, rank, i) == 1 ? 0 : x * sb;
      sa *= at(da, rank, i);
      sb *= at(db, rank, i);
    }
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l) {
          sum += static_cast<double>(a.as<float>()[oa + (ta ? l * m + i : i * k + l)]) *
                 static_cast<double>(b.as<float>()[ob + (tb ? j * k + l : l * n + j)]);
        }
        y.push_back(sum);
      }
    }
  }
  *dims = batch;
  if (!va) dims->push_back(m);
  if (!vb) dims->push_back(n);
  return y;
}

void expect_product(const MatMul& op, const Tensor& a, const Tensor& b) {
  SCOPED_TRACE(str(a.dims()) + " times " + str(b.dims()) + (op.trans_a ? " tA" : "") + (op.trans_b ? " tB" : ""));
  auto out = evaluate(Op(op), {&a, &b});
  ASSERT_TRUE(out.ok()) << out.status().message();
  Dims dims;
  const auto expected = reference(a, b, op.trans_a, op.trans_b, &dims);
  ASSERT_EQ((*out)[0].dims(), dims);
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR((*out)[0].as<float>()[i], expected[i], 1e-3) << i;
}

/// The same of values that halves hold exactly, with results rounded once.
template <class T>
void expect_product_of_halves(const MatMul& op, const Tensor& a, const Tensor& b) {
  SCOPED_TRACE(std::string(name_of(dtype_of<T>)) + " " + str(a.dims()) + " times " + str(b.dims()));
  const auto narrow = [](const Tensor& wide) {
    Tensor t = *Tensor::allocate(dtype_of<T>, wide.dims());
    for (int64_t i = 0; i < t.count(); ++i) t.as<T>()[i] = T(wide.as<float>()[i]);
    return t;
  };
  const Tensor half_a = narrow(a), half_b = narrow(b);
  auto out = evaluate(Op(op), {&half_a, &half_b});
  ASSERT_TRUE(out.ok()) << out.status().message();
  Dims dims;
  const auto expected = reference(a, b, op.trans_a, op.trans_b, &dims);
  ASSERT_EQ((*out)[0].dims(), dims);
  for (size_t i = 0; i < expected.size(); ++i)
    ASSERT_EQ(static_cast<float>((*out)[0].as<T>()[i]), static_cast<float>(T(static_cast<float>(expected[i])))) << i;
}

TEST(MatMul, NumpyShapes) {
  const std::vector<std::pair<Dims, Dims>> cases = {
      // clang-format off
      {{3}, {3}}, {{3}, {3, 40}}, {{2, 3}, {3}}, {{20, 3}, {3}}, {{2, 3}, {3, 4}}, {{5, 20, 30}, {30, 40}}, {{5, 1, 30}, {30, 40}},
      {{20, 30}, {5, 30, 40}}, {{5, 20, 30}, {5, 30, 40}}, {{2, 1, 7, 8}, {3, 8, 9}}, {{2, 3, 7, 8}, {1, 3, 8, 9}},
      {{3, 1, 2, 7, 8}, {4, 1, 8, 9}}, {{8}, {2, 8, 5}}, {{2, 5, 8}, {8}}, {{2, 9, 8}, {2, 8, 1}}, {{4, 1, 64}, {4, 64, 100}},
      {{4, 0, 3}, {3, 2}}, {{2, 3, 0}, {0, 4}}, {{0, 3, 4}, {4, 4}}, {{1, 1, 1, 1, 1, 1, 2, 3}, {2, 1, 2, 1, 2, 1, 3, 4}},
      // clang-format on
      {{2, 1, 2, 1, 2, 1, 6, 3}, {1, 3, 1, 2, 1, 2, 3, 4}},
  };
  for (const auto& [a, b] : cases) {
    expect_product({}, values(a, 1), values(b, 2));
    expect_product_of_halves<Float16>({}, values(a, 1), values(b, 2));
    expect_product_of_halves<BFloat16>({}, values(a, 1), values(b, 2));
  }
}

TEST(MatMul, Transposes) {
  for (int64_t m : {1, 6, 33}) {
    for (int64_t n : {1, 7, 40}) {
      expect_product({.trans_a = true}, values({2, 5, m}, 1), values({2, 5, n}, 2));
      expect_product({.trans_b = true}, values({2, m, 5}, 1), values({2, n, 5}, 2));
      expect_product({.trans_a = true, .trans_b = true}, values({2, 5, m}, 1), values({n, 5}, 2));
      for (const bool trans_a : {false, true}) {
        const Tensor a = values(trans_a ? Dims{5, m} : Dims{m, 5}, 1), b = values({n, 5}, 2);
        expect_product_of_halves<Float16>({.trans_a = trans_a, .trans_b = true}, a, b);
        expect_product_of_halves<BFloat16>({.trans_a = trans_a, .trans_b = true}, a, b);
      }
    }
  }
}

TEST(MatMul, PackedWeightsKeepTheirLogicalShape) {
  for (const auto& [dims, trans] :
       std::vector<std::pair<Dims, bool>>{{{30, 40}, false}, {{40, 30}, true}, {{3, 30, 5}, false}, {{3, 5, 30}, true}}) {
    const Tensor a = values({3, 7, 30}, 1), b = values(dims, 2);
    auto packed = ops::pack_matmul_weights(b, trans);
    ASSERT_TRUE(packed.ok() && packed->has_value());
    Type type = Type::of(DType::kFloat32, Shape::of((*packed)->tensor.dims()));
    type.layout = (*packed)->layout;
    type.constant = &(*packed)->tensor;
    const Types in{f32({3, 7, 30}), type};
    const Op op = MatMul{};
    auto out = infer(op, in);
    ASSERT_TRUE(out.ok()) << out.status().message();
    TypedBindContext ctx(in, *out, {true});
    auto step = tenon::bind(op, ctx);
    ASSERT_TRUE(step.ok()) << step.status().message();
    EXPECT_EQ(step->phases.size(), 1u);
    Dims expected_dims;
    const auto expected = reference(a, b, false, trans, &expected_dims);
    EXPECT_EQ((*out)[0].shape.to_ints(), expected_dims);
    std::vector<float> y(expected.size());
    std::vector<std::byte> scratch(step->scratch_bytes);
    const void* src[] = {a.data(), (*packed)->tensor.data()};
    void* dst[] = {y.data()};
    kernels::Fault fault;
    kernels::Call call{.src = src, .dst = dst, .scratch = scratch.data(), .fault = &fault};
    step->phases[0].run(step->phases[0].params.get(), call, {0, step->phases[0].parts});
    for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected[i], 1e-3) << i;
  }
}

template <class T>
void packing_puts_every_element_into_its_panel() {
  struct Case {
    Dims dims;
    bool trans;
  };
  // Pieces of several rows, of few long ones, of runs of rows, and stacks of matrices.
  for (const Case& c : std::vector<Case>{{{300, 1000}, false},
                                         {{30, 70001}, false},
                                         {{70, 5000}, true},
                                         {{3, 40, 2300}, false},
                                         {{2, 2300, 33}, true},
                                         {{301, 777}, false},
                                         {{777, 301}, true}}) {
    const Tensor b = values_of<T>(c.dims, 5);
    const auto contents = std::make_shared<test::MemoryContents>(b);
    const size_t rank = c.dims.size();
    const int64_t k = c.dims[rank - (c.trans ? 1 : 2)], n = c.dims[rank - (c.trans ? 2 : 1)],
                  width = kernels::panel_width(kernels::weights_format(dtype_of<T>), dtype_of<T>);
    const bool halves = kernels::is_halves(kernels::weights_format(dtype_of<T>)), pairs = halves && dtype_of<T> == DType::kBFloat16;
    for (const Tensor& source : {b, test::late(b, contents)}) {
      const auto packed = ops::pack_matmul_weights(source, c.trans);
      ASSERT_TRUE(packed.ok() && packed->has_value());
      const T* at = (*packed)->tensor.template as<T>();
      const int64_t rows = halves ? k + k % 2 : k;
      for (int64_t m = 0; m < b.count() / (k * n); ++m) {
        for (int64_t panel = 0; panel < n; panel += width, at += rows * width) {
          for (int64_t row = 0; row < rows; ++row) {
            for (int64_t j = panel; j < panel + width; ++j) {
              const T expected = j >= n || row >= k ? T(0) : b.as<T>()[m * k * n + (c.trans ? j * k + row : row * n + j)];
              const int64_t place = pairs ? row / 2 * 2 * width + 2 * (j - panel) + row % 2 : row * width + j - panel;
              ASSERT_EQ(static_cast<float>(at[place]), static_cast<float>(expected)) << str(c.dims) << ": " << m << " " << row << " " << j;
            }
          }
        }
      }
      EXPECT_EQ(contents->read_bytes, source.in_place() ? 0 : b.bytes()) << "read once";
    }
  }
}
TEST(MatMul, PackingPutsEveryElementIntoItsPanel) {
  packing_puts_every_element_into_its_panel<float>();
  packing_puts_every_element_into_its_panel<double>();
  if (!kernels::is_halves(kernels::weights_format(DType::kFloat16))) return;  // widened, which tests of kernels see
  packing_puts_every_element_into_its_panel<Float16>();
  packing_puts_every_element_into_its_panel<BFloat16>();
}

TEST(MatMul, PackingPassesAReadErrorOn) {
  const Tensor b = values({300, 1000}, 5);
  const auto contents = std::make_shared<test::MemoryContents>(b);
  contents->readable = 1000000;
  EXPECT_EQ(ops::pack_matmul_weights(test::late(b, contents), false).status().code(), Code::kIo);
}

TEST(MatMul, PackingDeclinesWhatItWouldNotHelp) {
  auto declined = [](const Tensor& t) { return !ops::pack_matmul_weights(t, false)->has_value(); };
  EXPECT_TRUE(declined(values({4}, 1)));
  EXPECT_TRUE(declined(values({4, 1}, 1)));
  EXPECT_TRUE(declined(values({0, 4}, 1)));
  EXPECT_TRUE(declined(Tensor::of<int32_t>({1, 2}, {1, 2})));
  EXPECT_FALSE(declined(Tensor::of<double>({1, 2}, {1, 2})));
  EXPECT_FALSE(declined(values({4, 2}, 1)));
}

TEST(MatMul, TakesNoActivationInFloat64) {
  const Type x = Type::of(DType::kFloat64, Shape{2, 2});
  EXPECT_TRUE(infer(Op(MatMul{.activation = {.low = 0}}), {x, x}).ok());
  EXPECT_NE(infer_error(MatMul{.activation = {.has_unary = true}}, {x, x}).find("float64"), std::string::npos);
}

TEST(MatMul, GemmScalesAndBroadcastsC) {
  const Tensor a = values({9, 11}, 1), b = values({11, 45}, 2);
  Dims dims;
  const auto product = reference(a, b, false, false, &dims);
  for (const Dims& c_dims : std::vector<Dims>{{}, {1}, {45}, {1, 45}, {9, 1}, {9, 45}, {1, 1}}) {
    const Tensor c = values(c_dims, 3);
    auto out = evaluate(Op(MatMul{.matrices = true, .alpha = 0.5f, .beta = -2}), {&a, &b, &c});
    ASSERT_TRUE(out.ok()) << out.status().message();
    for (int64_t i = 0; i < 9; ++i) {
      for (int64_t j = 0; j < 45; ++j) {
        const int64_t row = c_dims.size() == 2 && c_dims[0] == 9 ? i : 0, width = c_dims.empty() ? 1 : c_dims.back();
        const double expected =
            0.5 * product[static_cast<size_t>(i * 45 + j)] - 2.0 * static_cast<double>(c.as<float>()[row * width + (width == 45 ? j : 0)]);
        ASSERT_NEAR((*out)[0].as<float>()[i * 45 + j], expected, 1e-3) << str(c_dims) << " " << i << " " << j;
      }
    }
  }
}

TEST(MatMul, BetaZeroIgnoresC) {
  const Tensor a = values({2, 3}, 1), b = values({3, 2}, 2), c = Tensor::of<float>({2}, {NAN, INFINITY});
  auto out = evaluate(Op(MatMul{.matrices = true, .beta = 0}), {&a, &b, &c});
  ASSERT_TRUE(out.ok());
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(std::isfinite((*out)[0].as<float>()[i]));
}

TEST(MatMul, ResidualAndActivation) {
  const Tensor a = values({2, 9, 11}, 1), b = values({11, 45}, 2), bias = values({45}, 3), r = values({2, 9, 45}, 4);
  Dims dims;
  const auto product = reference(a, b, false, false, &dims);
  const ops::Activation activations[] = {{}, {.low = 0}, {.low = -1, .high = 2}, {.has_unary = true, .unary = kernels::UnaryKind::kGelu}};
  for (const auto& activation : activations) {
    auto out = evaluate(Op(MatMul{.activation = activation}), {&a, &b, &bias, &r});
    ASSERT_TRUE(out.ok()) << out.status().message();
    for (size_t i = 0; i < product.size(); ++i) {
      double x = product[i] + static_cast<double>(bias.as<float>()[i % 45]) + static_cast<double>(r.as<float>()[i]);
      if (activation.has_unary) {
        x = 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
      } else {
        x = std::min(std::max(x, static_cast<double>(activation.low)), static_cast<double>(activation.high));
      }
      ASSERT_NEAR((*out)[0].as<float>()[i], x, 1e-3);
    }
  }
}

TEST(MatMul, EveryDtype) {
  auto run = [](auto zero) {
    using T = decltype(zero);
    std::vector<T> a, b;
    for (int i = 0; i < 6; ++i) a.push_back(T(static_cast<float>(i)));
    for (int i = 0; i < 12; ++i) b.push_back(T(static_cast<float>(i % 5)));
    const Tensor ta = Tensor::of<T>({2, 3}, a), tb = Tensor::of<T>({3, 4}, b);
    auto out = evaluate(Op(MatMul{}), {&ta, &tb});
    ASSERT_TRUE(out.ok()) << out.status().message();
    const double expected[8] = {10, 8, 6, 4, 25, 26, 27, 28};  // numpy
    ASSERT_EQ((*out)[0].dtype(), dtype_of<T>);
    std::vector<double> b64(12);
    for (int i = 0; i < 2; ++i) {
      for (int j = 0; j < 4; ++j) {
        double sum = 0;
        for (int k = 0; k < 3; ++k) sum += (i * 3 + k) * ((k * 4 + j) % 5);
        EXPECT_EQ((*out)[0].to_doubles()[static_cast<size_t>(i * 4 + j)], sum) << expected[i * 4 + j];
      }
    }
  };
  run(float{});
  run(double{});
  run(Float16{});
  run(BFloat16{});
  run(int32_t{});
  run(int64_t{});
  run(uint32_t{});
  run(uint64_t{});
}

TEST(MatMul, InfersSymbolicShapes) {
  const Dim n = Dim::symbol("n");
  EXPECT_EQ(infer_shape({}, {f32({n, 3, 4}), f32({4, 5})}), (Shape{n, 3, 5}));
  EXPECT_EQ(infer_shape({.trans_b = true}, {f32({n, 4}), f32({n, 4})}), (Shape{n, n}));
  EXPECT_EQ(infer_shape({}, {f32({4}), f32({n, 4, 5})}), (Shape{n, 5}));
  EXPECT_FALSE(infer_shape({}, {f32(Shape::unranked()), f32({4, 5})}).ranked());
  EXPECT_EQ(infer_shape({.matrices = true}, {f32(Shape::unranked()), f32({4, 5})})[1], Dim(5));
}

TEST(MatMul, RefusesWhatDoesNotFit) {
  EXPECT_NE(infer_error({}, {f32({2, 3}), f32({4, 5})}).find("expected 3"), std::string::npos);
  EXPECT_NE(infer_error({}, {f32({}), f32({4, 5})}).find("rank 0"), std::string::npos);
  EXPECT_NE(infer_error({.matrices = true}, {f32({1, 2, 3}), f32({3, 5})}).find("rank 3"), std::string::npos);
  infer_error({}, {f32({2, 2, 3}), f32({3, 3, 5})});
  infer_error({}, {f32({2, 3}), Type::of(DType::kFloat64, {3, 5})});
  infer_error({}, {Type::of(DType::kInt8, {2, 3}), Type::of(DType::kInt8, {3, 5})});
  EXPECT_NE(infer_error({}, {f32({2, 3}), f32({3, 5}), f32({2, 4})}).find("input 2"), std::string::npos);
  infer_error({}, {f32({2, 3}), f32({3, 5}), f32({1, 2, 5})});
  infer_error({}, {f32({2, 3}), f32({3, 5}), Type::none(), f32({5})});
}

}  // namespace
}  // namespace tenon

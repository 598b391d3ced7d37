#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ops/binary.h"
#include "ops/cast.h"
#include "ops/clip.h"
#include "ops/dropout.h"
#include "ops/elementwise.h"
#include "ops/identity.h"
#include "ops/unary.h"
#include "ops/where.h"
#include "support/evaluate.h"
#include "support/targets.h"

namespace tenon {
namespace {

using test::refusal;
using test::run;
using test::run1;
using test::values;
using B = ops::Binary::Kind;
using U = ops::Unary::Kind;
const float kInf = std::numeric_limits<float>::infinity(), kNaN = std::numeric_limits<float>::quiet_NaN();

Tensor bools(Dims dims, const std::vector<int>& x) {
  Tensor t = *Tensor::allocate(DType::kBool, std::move(dims));
  for (size_t i = 0; i < x.size(); ++i) t.as<bool>()[i] = x[i] != 0;
  return t;
}
std::vector<int> truth(const Tensor& t) { return {t.as<bool>(), t.as<bool>() + t.count()}; }

TEST(Unary, InferenceKeepsShapeAndChecksDtype) {
  const Types symbolic{Type::of(DType::kFloat32, Shape({Dim::symbol("n"), 3}))};
  EXPECT_EQ((*infer(ops::Unary{U::kTanh}, symbolic))[0].shape, symbolic[0].shape);
  EXPECT_EQ((*infer(ops::Unary{U::kIsNaN}, symbolic))[0].dtype, DType::kBool);
  EXPECT_FALSE((*infer(ops::Unary{U::kExp}, {Type::unranked(DType::kFloat16)}))[0].ranked());
  const Status wrong = infer(ops::Unary{U::kExp}, {Type::of(DType::kInt32, Shape())}).status();
  EXPECT_EQ(wrong.code(), Code::kShape);
  EXPECT_NE(wrong.message().find("int32"), std::string::npos);
  EXPECT_EQ(infer(ops::Unary{U::kNot}, symbolic).status().code(), Code::kShape);
  EXPECT_EQ(infer(ops::Unary{U::kBitwiseNot}, symbolic).status().code(), Code::kShape);
  EXPECT_EQ(run1(ops::Unary{U::kRelu}, {Tensor::of<float>({0, 4}, {})}).dims(), (Dims{0, 4}));
  EXPECT_EQ(ops::name_of(U::kThresholdedRelu), "ThresholdedRelu");
  EXPECT_EQ(ops::name_of(U::kHardSwish), "HardSwish");
}

TEST(Binary, InferenceBroadcastsAndChecks) {
  const Type n3 = Type::of(DType::kFloat32, Shape({Dim::symbol("n"), 3}));
  EXPECT_EQ((*infer(ops::Binary{}, {n3, Type::of(DType::kFloat32, Shape({3}))}))[0].shape, n3.shape);
  EXPECT_EQ((*infer(ops::Binary{B::kLess}, {n3, n3}))[0].dtype, DType::kBool);
  EXPECT_FALSE((*infer(ops::Binary{}, {n3, Type::unranked(DType::kFloat32)}))[0].ranked());
  EXPECT_EQ(infer(ops::Binary{}, {n3, Type::of(DType::kFloat32, Shape({4}))}).status().code(), Code::kShape);
  EXPECT_EQ(infer(ops::Binary{}, {n3, Type::of(DType::kInt32, Shape({3}))}).status().code(), Code::kShape);
  EXPECT_EQ(infer(ops::Binary{B::kAnd}, {n3, n3}).status().code(), Code::kShape);
  EXPECT_EQ(infer(ops::Binary{B::kShiftLeft}, {n3, n3}).status().code(), Code::kShape);
  EXPECT_EQ((*infer(ops::Binary{B::kPow}, {n3, Type::of(DType::kInt64, Shape())}))[0].dtype, DType::kFloat32);
  const Type small = Type::of(DType::kFloat32, Shape({3})), large = Type::of(DType::kFloat32, Shape({2, 3}));
  EXPECT_EQ(infer(ops::Binary{B::kPRelu}, {small, large}).status().code(), Code::kShape);
  EXPECT_EQ(ops::name_of(B::kLessOrEqual), "LessOrEqual");
  EXPECT_EQ(ops::name_of(B::kPRelu), "PRelu");
}

TEST(Binary, IntegerDivision) {
  const Tensor x = Tensor::of<int64_t>({2}, {7, INT64_MIN});
  EXPECT_EQ(values<int64_t>(run1(ops::Binary{B::kDiv}, {x, Tensor::of<int64_t>({2}, {2, -1})})), (std::vector<int64_t>{3, INT64_MIN}));
  const Status zero = refusal(ops::Binary{B::kDiv}, {x, Tensor::of<int64_t>({1}, {0})});
  EXPECT_EQ(zero.code(), Code::kRun);
  EXPECT_NE(zero.message().find("zero"), std::string::npos);
  EXPECT_EQ(refusal(ops::Binary{B::kMod}, {x, Tensor::scalar<int64_t>(0)}).code(), Code::kRun);
  EXPECT_EQ(values<float>(run1(ops::Binary{B::kDiv}, {Tensor::scalar(1.0f), Tensor::scalar(0.0f)})), (std::vector<float>{kInf}));
}

TEST(Binary, Logic) {
  const Tensor a = bools({2, 2}, {0, 0, 1, 1}), b = bools({2}, {0, 1});
  EXPECT_EQ(truth(run1(ops::Binary{B::kAnd}, {a, b})), (std::vector<int>{0, 0, 0, 1}));
  EXPECT_EQ(truth(run1(ops::Binary{B::kOr}, {a, b})), (std::vector<int>{0, 1, 1, 1}));
  EXPECT_EQ(truth(run1(ops::Binary{B::kXor}, {a, b})), (std::vector<int>{0, 1, 1, 0}));
  EXPECT_EQ(truth(run1(ops::Binary{B::kEqual}, {a, b})), (std::vector<int>{1, 0, 0, 1}));
}

/// Blocked inputs: equal shapes, one value a channel, a plain scalar.
TEST(Binary, ChannelBlocked) {
  Layout blocked;
  blocked.kind = Layout::Kind::kChannelBlocked;
  blocked.block = 8;
  const auto type = [&](Shape shape, bool plain = false) {
    Type t = Type::of(DType::kFloat32, std::move(shape));
    if (!plain) t.layout = blocked;
    return t;
  };
  const auto bind_and_run = [&](const Types& in, std::vector<float>& a, std::vector<float>& b, std::vector<float>& y) {
    auto out = infer(Op(ops::Binary{B::kMul}), in);
    ASSERT_TRUE(out.ok()) << out.status().message();
    EXPECT_EQ((*out)[0].layout, blocked);
    const TypedBindContext ctx(in, *out, {true});
    auto step = tenon::bind(Op(ops::Binary{B::kMul}), ctx);
    ASSERT_TRUE(step.ok());
    const void* src[] = {a.data(), b.data()};
    void* dst[] = {y.data()};
    kernels::Fault fault;
    kernels::Call call;
    call.src = src, call.dst = dst, call.fault = &fault;
    for (const Phase& p : step->phases) p.run(p.params.get(), call, {0, p.parts});
  };
  std::vector<float> a(2 * 2 * 6 * 8), b(2 * 2 * 8), s{3}, y(a.size());
  for (size_t i = 0; i < a.size(); ++i) a[i] = float(i);
  for (size_t i = 0; i < b.size(); ++i) b[i] = float(i) + 0.5f;
  bind_and_run({type({2, 10, 2, 3}), type({2, 10, 1, 1})}, a, b, y);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(y[i], a[i] * b[i / 48 * 8 + i % 8]);
  bind_and_run({type({2, 10, 2, 3}), type({1}, true)}, a, s, y);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(y[i], a[i] * 3);
  EXPECT_FALSE(infer(ops::Binary{}, {type({2, 10, 2, 3}), type({10, 1, 1}, true)}).ok());
}

TEST(Where, BroadcastsThreeWaysInEveryWidth) {
  const Tensor c = bools({2, 1}, {1, 0});
  test::for_each_target([&] {
    EXPECT_EQ(values<float>(run1(ops::Where{}, {c, Tensor::of<float>({3}, {1, 2, 3}), Tensor::scalar(9.0f)})),
              (std::vector<float>{1, 2, 3, 9, 9, 9}));
    std::vector<int> mask(37);
    std::vector<float> x(37), y(37), expected(37);
    for (int i = 0; i < 37; ++i) mask[i] = i % 3 == 0, x[i] = float(i), y[i] = float(-i), expected[i] = mask[i] ? x[i] : y[i];
    EXPECT_EQ(values<float>(run1(ops::Where{}, {bools({37}, mask), Tensor::of({37}, x), Tensor::of({37}, y)})), expected);
    const auto column =
        values<int32_t>(run1(ops::Where{}, {bools({37}, mask), Tensor::of<int32_t>({2, 1}, {1, 2}), Tensor::scalar<int32_t>(7)}));
    for (int i = 0; i < 74; ++i) EXPECT_EQ(column[i], mask[i % 37] ? 1 + i / 37 : 7);
  });
  EXPECT_EQ(values<int8_t>(run1(ops::Where{}, {c, Tensor::of<int8_t>({2}, {1, 2}), Tensor::of<int8_t>({2}, {3, 4})})),
            (std::vector<int8_t>{1, 2, 3, 4}));
  EXPECT_EQ(values<int64_t>(run1(ops::Where{}, {c, Tensor::of<int64_t>({2}, {1, 2}), Tensor::scalar<int64_t>(5)})),
            (std::vector<int64_t>{1, 2, 5, 5}));
  const std::vector<std::string> a{"left"}, b{"right"};
  const Tensor s = run1(ops::Where{}, {c, *Tensor::strings({1}, a), *Tensor::strings({1}, b)});
  EXPECT_EQ(s.as<StringRef>()[0].view(), "left");
  EXPECT_EQ(s.as<StringRef>()[1].view(), "right");
  EXPECT_EQ(refusal(ops::Where{}, {c, Tensor::scalar(1.0f), Tensor::scalar<int32_t>(1)}).code(), Code::kShape);
  EXPECT_EQ(refusal(ops::Where{}, {c, Tensor::of<float>({3}, {1, 2, 3}), Tensor::of<float>({2}, {1, 2})}).code(), Code::kShape);
}

TEST(Clip, BoundsAndNan) {
  const Tensor x = Tensor::of<float>({5}, {-3, 0.5f, 9, kNaN, kInf});
  test::for_each_target([&] {
    auto y = values<float>(run1(ops::Clip{}, {x, Tensor::scalar(-1.0f), Tensor::scalar(2.0f)}));
    EXPECT_TRUE(y[0] == -1 && y[1] == 0.5f && y[2] == 2 && std::isnan(y[3]) && y[4] == 2);
    y = values<float>(run1(ops::Clip{}, {x, Tensor(), Tensor::scalar(2.0f)}));
    EXPECT_TRUE(y[0] == -3 && y[2] == 2);
    y = values<float>(run1(ops::Clip{}, {x, Tensor::scalar(0.0f)}));
    EXPECT_TRUE(y[0] == 0 && y[2] == 9 && y[4] == kInf);
    y = values<float>(run1(ops::Clip{}, {x, Tensor::scalar(3.0f), Tensor::scalar(1.0f)}));
    EXPECT_TRUE(y[0] == 1 && y[1] == 1 && y[2] == 1);
    EXPECT_EQ(values<float>(run1(ops::Clip{}, {x}))[0], -3);
  });
  EXPECT_EQ(values<uint8_t>(
                run1(ops::Clip{}, {Tensor::of<uint8_t>({3}, {1, 100, 255}), Tensor::scalar<uint8_t>(5), Tensor::scalar<uint8_t>(200)})),
            (std::vector<uint8_t>{5, 100, 200}));
  EXPECT_EQ(values<int64_t>(run1(ops::Clip{}, {Tensor::of<int64_t>({2}, {INT64_MIN, 4}), Tensor::scalar<int64_t>(-2)})),
            (std::vector<int64_t>{-2, 4}));
  EXPECT_EQ(float(run1(ops::Clip{}, {Tensor::of<Float16>({1}, {Float16(8)}), Tensor(), Tensor::scalar(Float16(2.5f))}).as<Float16>()[0]),
            2.5f);
  EXPECT_EQ(refusal(ops::Clip{}, {x, Tensor::of<float>({2}, {1, 2})}).code(), Code::kShape);
}

TEST(Cast, BetweenNumbers) {
  const auto to = [](DType dtype, const Tensor& x) { return run1(ops::Cast{dtype}, {x}); };
  const Tensor x = Tensor::of<float>({6}, {-1.7f, 0, 2.9f, 300, -0.0f, kNaN});
  EXPECT_EQ(truth(to(DType::kBool, x)), (std::vector<int>{1, 0, 1, 1, 0, 1}));
  const auto i32 = values<int32_t>(to(DType::kInt32, x));
  EXPECT_TRUE(i32[0] == -1 && i32[2] == 2 && i32[3] == 300);
  EXPECT_EQ(values<uint8_t>(to(DType::kUint8, x))[2], 2);
  EXPECT_EQ(values<int8_t>(to(DType::kInt8, Tensor::of<int16_t>({2}, {200, -200}))), (std::vector<int8_t>{-56, 56}));
  EXPECT_EQ(values<uint64_t>(to(DType::kUint64, Tensor::of<double>({2}, {1.8e19, 5}))),
            (std::vector<uint64_t>{18000000000000000000ull, 5}));
  EXPECT_EQ(values<double>(to(DType::kFloat64, Tensor::of<uint64_t>({1}, {UINT64_MAX}))), (std::vector<double>{18446744073709551615.0}));
  EXPECT_EQ(values<float>(to(DType::kFloat32, Tensor::of<int64_t>({2}, {-7, 1 << 24}))), (std::vector<float>{-7, 16777216}));
  EXPECT_EQ(values<int64_t>(to(DType::kInt64, bools({2}, {1, 0}))), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(to(DType::kInt4, Tensor::of<float>({3}, {-8, 7, 9})).as<Int4>()[2].bits, -7);
  EXPECT_EQ(to(DType::kUint4, Tensor::of<int32_t>({1}, {17})).as<Uint4>()[0].bits, 1);
  EXPECT_EQ(to(DType::kInt2, Tensor::of<int32_t>({1}, {3})).as<Int2>()[0].bits, -1);
  Int4 minus;
  minus.bits = -3;
  EXPECT_EQ(values<float>(to(DType::kFloat32, Tensor::of<Int4>({1}, {minus}))), (std::vector<float>{-3}));
  // Rounded once: 1 + 2^-11 + 2^-30 is above the tie between two float16, its float32 rounding is the tie.
  const double above = 1 + std::ldexp(1.0, -11) + std::ldexp(1.0, -30);
  EXPECT_EQ(float(to(DType::kFloat16, Tensor::of<double>({1}, {above})).as<Float16>()[0]), 1 + std::ldexp(1.0f, -10));
  EXPECT_EQ(float(to(DType::kFloat16, Tensor::of<double>({1}, {1e10})).as<Float16>()[0]), kInf);
}

TEST(Cast, TinyFloats) {
  const Tensor x = Tensor::of<float>({3}, {1.3f, 1e6f, -kInf});
  const Tensor y = run1(ops::Cast{DType::kFloat8E4M3FN}, {x});
  EXPECT_EQ(float(y.as<Float8E4M3FN>()[0]), 1.25f);
  EXPECT_EQ(float(y.as<Float8E4M3FN>()[1]), 448);
  EXPECT_EQ(float(y.as<Float8E4M3FN>()[2]), -448);
  const Tensor z = run1(ops::Cast{DType::kFloat8E5M2, false}, {x});
  EXPECT_EQ(float(z.as<Float8E5M2>()[1]), kInf);
  EXPECT_EQ(float(run1(ops::Cast{DType::kFloat4E2M1}, {x}).as<Float4E2M1>()[1]), 6);
  EXPECT_EQ(float(run1(ops::Cast{DType::kFloat8E8M0, true, Float8E8M0::Round::kUp}, {x}).as<Float8E8M0>()[0]), 2);
  EXPECT_EQ(float(run1(ops::Cast{DType::kFloat8E8M0, true, Float8E8M0::Round::kDown}, {x}).as<Float8E8M0>()[0]), 1);
}

TEST(Cast, Strings) {
  const std::vector<std::string> text{"3.5", "-1e3", " 42 ", "+INF", "nan", "-inf"};
  const auto f = values<float>(run1(ops::Cast{DType::kFloat32}, {*Tensor::strings({6}, text)}));
  EXPECT_TRUE(f[0] == 3.5f && f[1] == -1000 && f[2] == 42 && f[3] == kInf && std::isnan(f[4]) && f[5] == -kInf);
  const std::vector<std::string> whole{"9223372036854775807", "100.5"};
  EXPECT_EQ(values<int64_t>(run1(ops::Cast{DType::kInt64}, {*Tensor::strings({2}, whole)})), (std::vector<int64_t>{INT64_MAX, 100}));
  const Tensor s = run1(ops::Cast{DType::kString}, {Tensor::of<float>({4}, {0.1f, -2, kInf, kNaN})});
  EXPECT_EQ(s.as<StringRef>()[0].view(), "0.1");
  EXPECT_EQ(s.as<StringRef>()[1].view(), "-2");
  EXPECT_EQ(s.as<StringRef>()[2].view(), "INF");
  EXPECT_EQ(s.as<StringRef>()[3].view(), "NaN");
  EXPECT_EQ(run1(ops::Cast{DType::kString}, {Tensor::of<int64_t>({1}, {INT64_MIN})}).as<StringRef>()[0].view(), "-9223372036854775808");
  const std::vector<std::string> bad{"Hello World!"};
  const Status wrong = refusal(ops::Cast{DType::kFloat32}, {*Tensor::strings({1}, bad)});
  EXPECT_EQ(wrong.code(), Code::kRun);
  EXPECT_NE(wrong.message().find("Hello"), std::string::npos);
}

TEST(Dropout, InferenceAndTraining) {
  const Tensor x = Tensor::of<float>({4}, {1, 2, 3, 4});
  const auto out = run(ops::Dropout{}, {x}, 2);
  EXPECT_EQ(values<float>(out[0]), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(truth(out[1]), (std::vector<int>{1, 1, 1, 1}));
  const auto zero = run(ops::Dropout{}, {x, Tensor::scalar(0.0f), bools({}, {1})}, 2);
  EXPECT_EQ(values<float>(zero[0]), (std::vector<float>{1, 2, 3, 4}));
  // numpy.random.RandomState(0).uniform(size=4) is 0.549, 0.715, 0.603, 0.545.
  const auto half = run(ops::Dropout{0}, {x, Tensor::scalar(0.55f), bools({}, {1})}, 2);
  EXPECT_EQ(truth(half[1]), (std::vector<int>{0, 1, 1, 0}));
  EXPECT_NEAR(half[0].as<float>()[1], 2 / 0.45f, 1e-5);
  EXPECT_EQ(half[0].as<float>()[0], 0);
}

TEST(Identity, AnyType) {
  const std::vector<std::string> text{"a"};
  EXPECT_EQ(run1(ops::Identity{}, {*Tensor::strings({1}, text)}).as<StringRef>()[0].view(), "a");
  EXPECT_EQ(values<float>(run1(ops::Identity{}, {Tensor::scalar(2.0f)})), (std::vector<float>{2}));
}

/// where(x > y and not isnan(x), clip(tanh(x * s) + y, -0.5, 0.75), s - y) with x [rows, n], y [n], s a scalar.
TEST(Elementwise, ProgramMatchesItsStepsOnEveryTarget) {
  using P = kernels::ProgramStep;
  using S = P::Kind;
  const ops::Elementwise op{{
      {.kind = S::kBinary, .binary = B::kGreater, .a = 0, .b = 1},  // 3
      {.kind = S::kUnary, .unary = U::kIsNaN, .a = 0},              // 4
      {.kind = S::kUnary, .unary = U::kNot, .a = 4},                // 5
      {.kind = S::kBinary, .binary = B::kAnd, .a = 3, .b = 5},      // 6
      {.kind = S::kBinary, .binary = B::kMul, .a = 0, .b = 2},      // 7
      {.kind = S::kUnary, .unary = U::kTanh, .a = 7},               // 8
      {.kind = S::kBinary, .binary = B::kAdd, .a = 8, .b = 1},      // 9
      {.kind = S::kClip, .a = 9, .alpha = -0.5f, .beta = 0.75f},    // 10
      {.kind = S::kBinary, .binary = B::kSub, .a = 2, .b = 1},      // 11
      {.kind = S::kWhere, .a = 6, .b = 10, .c = 11},
  }};
  for (const int64_t n : {1, 5, 33, 1024, 2050}) {
    const int64_t rows = 7;
    std::vector<float> x(rows * n), y(n);
    for (size_t i = 0; i < x.size(); ++i) x[i] = i % 11 == 3 ? kNaN : float(int(i * 37 % 101) - 50) / 25;
    for (size_t i = 0; i < y.size(); ++i) y[i] = float(int(i * 53 % 89) - 44) / 40;
    const float s = 1.25f;
    test::for_each_target([&] {
      const auto z = values<float>(run1(op, {Tensor::of({rows, n}, x), Tensor::of({n}, y), Tensor::scalar(s)}));
      for (size_t i = 0; i < x.size(); ++i) {
        const float b = y[i % n];
        const float expected = x[i] > b ? std::fmin(0.75f, std::fmax(-0.5f, std::tanh(x[i] * s) + b)) : s - b;
        EXPECT_NEAR(z[i], expected, 1e-6) << i << " of " << n;
      }
    });
  }
}

/// x [4, 30, 16] times a value a channel [4, 1, 16], plus one a row [30, 1], where a mask [16] says so.
TEST(Elementwise, ShortRows) {
  using P = kernels::ProgramStep;
  using S = P::Kind;
  const ops::Elementwise op{{{.kind = S::kBinary, .binary = B::kMul, .a = 0, .b = 1},
                             {.kind = S::kBinary, .binary = B::kAdd, .a = 4, .b = 2},
                             {.kind = S::kWhere, .a = 3, .b = 5, .c = 0}}};
  std::vector<float> x(4 * 30 * 16), channel(4 * 16), row(30);
  std::vector<int> mask(16);
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i % 97);
  for (size_t i = 0; i < channel.size(); ++i) channel[i] = float(i) / 8;
  for (size_t i = 0; i < row.size(); ++i) row[i] = float(i) * 100;
  for (size_t i = 0; i < mask.size(); ++i) mask[i] = i % 5 != 0;
  test::for_each_target([&] {
    const auto y =
        values<float>(run1(op, {Tensor::of({4, 30, 16}, x), Tensor::of({4, 1, 16}, channel), Tensor::of({30, 1}, row), bools({16}, mask)}));
    for (size_t i = 0; i < x.size(); ++i) {
      const size_t c = i % 16, r = i / 16 % 30, n = i / 480;
      EXPECT_FLOAT_EQ(y[i], mask[c] ? x[i] * channel[n * 16 + c] + row[r] : x[i]);
    }
  });
}

TEST(Elementwise, BoolInputsAndRefusals) {
  using P = kernels::ProgramStep;
  const ops::Elementwise where{{{.kind = P::Kind::kWhere, .a = 0, .b = 1, .c = 2}}};
  const Tensor column = bools({3, 1}, {1, 0, 1}), scalar = bools({}, {0});
  const Tensor x = Tensor::of<float>({2}, {1, 2}), y = Tensor::of<float>({3, 2}, {9, 8, 7, 6, 5, 4});
  test::for_each_target([&] {
    EXPECT_EQ(values<float>(run1(where, {column, x, y})), (std::vector<float>{1, 2, 7, 6, 1, 2}));
    EXPECT_EQ(values<float>(run1(where, {scalar, x, y})), (std::vector<float>{9, 8, 7, 6, 5, 4}));
  });
  EXPECT_EQ(run1(where, {bools({0}, {}), Tensor::of<float>({1}, {1}), Tensor::of<float>({1}, {1})}).dims(), Dims{0});
  EXPECT_FALSE(infer(ops::Elementwise{}, {Type::of(DType::kFloat32, Shape())}).ok());
  EXPECT_FALSE(infer(ops::Elementwise{{{.kind = P::Kind::kUnary, .unary = U::kExp, .a = 1}}}, {Type::of(DType::kFloat32, Shape())}).ok());
}

}  // namespace
}  // namespace tenon

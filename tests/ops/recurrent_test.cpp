// float32 layers on every instruction set against the float64 definition, which is checked by hand on small cases here.
#include "ops/recurrent.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "ops/evaluate.h"
#include "support/targets.h"

namespace tenon {
namespace {

using Cell = ops::Recurrent::Cell;
using Direction = ops::Recurrent::Direction;
using Kind = kernels::CellActivationKind;
using ops::Recurrent;

template <class T>
Tensor convert(const std::vector<float>& v, Dims dims) {
  std::vector<T> out;
  for (float x : v) out.push_back(T(x));
  return Tensor::of<T>(std::move(dims), out);
}

std::vector<float> random_values(int64_t count, uint32_t seed, float scale) {
  std::mt19937 gen(seed);
  std::uniform_real_distribution<float> dist(-scale, scale);
  std::vector<float> v(static_cast<size_t>(count));
  for (float& x : v) x = dist(gen);
  return v;
}

Recurrent layer(Cell cell, Direction direction) {
  Recurrent op;
  op.cell = cell;
  op.direction = direction;
  for (int64_t d = 0; d < op.directions(); ++d) {
    if (cell != Cell::kRnn) op.activations.push_back({Kind::kSigmoid});
    for (int i = cell == Cell::kRnn ? 0 : 1; i < ops::functions_of(cell); ++i) op.activations.push_back({Kind::kTanh});
  }
  return op;
}

struct Size {
  int64_t steps, batch, inputs, hidden;
};

/// The inputs of a layer, of which `optional` bits say which of the optional ones are there.
template <class T>
std::vector<Tensor> inputs_of(const Recurrent& op, const Size& s, const std::vector<int32_t>& lengths) {
  const int64_t d = op.directions(), g = kernels::gates_of(op.cell), n = s.hidden;
  const Dims state = op.batch_major ? Dims{s.batch, d, n} : Dims{d, s.batch, n};
  std::vector<Tensor> in;
  in.push_back(convert<T>(random_values(s.steps * s.batch * s.inputs, 1, 1),
                          op.batch_major ? Dims{s.batch, s.steps, s.inputs} : Dims{s.steps, s.batch, s.inputs}));
  in.push_back(convert<T>(random_values(d * g * n * s.inputs, 2, 0.5f), {d, g * n, s.inputs}));
  in.push_back(convert<T>(random_values(d * g * n * n, 3, 0.5f), {d, g * n, n}));
  in.push_back(convert<T>(random_values(d * 2 * g * n, 4, 0.5f), {d, 2 * g * n}));
  in.push_back(lengths.empty() ? Tensor() : Tensor::of<int32_t>({s.batch}, lengths));
  in.push_back(convert<T>(random_values(d * s.batch * n, 5, 1), state));
  if (op.cell == Cell::kLstm) {
    in.push_back(convert<T>(random_values(d * s.batch * n, 6, 1), state));
    in.push_back(convert<T>(random_values(d * 3 * n, 7, 0.5f), {d, 3 * n}));
  }
  return in;
}

Result<std::vector<Tensor>> run(const Recurrent& op, const std::vector<Tensor>& in) {
  std::vector<const Tensor*> pointers;
  for (const Tensor& t : in) pointers.push_back(t.empty_handle() ? nullptr : &t);
  return evaluate(Op(op), pointers, op.cell == Cell::kLstm ? 3 : 2);
}

template <class T>
void compare(const Recurrent& op, const Size& s, const std::vector<int32_t>& lengths = {}, bool bare = false, double tolerance = 2e-5) {
  SCOPED_TRACE("cell " + std::to_string(static_cast<int>(op.cell)) + " direction " + std::to_string(static_cast<int>(op.direction)) +
               " steps " + std::to_string(s.steps) + " batch " + std::to_string(s.batch) + " hidden " + std::to_string(s.hidden));
  auto in = inputs_of<T>(op, s, lengths);
  if (bare) {
    for (size_t i = 3; i < in.size(); ++i) in[i] = Tensor();
  }
  // The same values as the narrow type holds them, in double.
  std::vector<Tensor> wide;
  for (const Tensor& t : in) {
    wide.push_back(t.empty_handle() || t.dtype() == DType::kInt32 ? t : Tensor::of<double>(t.dims(), t.to_doubles()));
  }
  auto expected = run(op, wide), got = run(op, in);
  ASSERT_TRUE(expected.ok()) << expected.status().message();
  ASSERT_TRUE(got.ok()) << got.status().message();
  for (size_t o = 0; o < expected->size(); ++o) {
    ASSERT_EQ((*got)[o].dims(), (*expected)[o].dims());
    const auto a = (*got)[o].to_doubles(), b = (*expected)[o].to_doubles();
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance) << "output " << o << " element " << i;
  }
}

constexpr Cell kCells[] = {Cell::kRnn, Cell::kGru, Cell::kLstm};
constexpr Direction kDirections[] = {Direction::kForward, Direction::kReverse, Direction::kBidirectional};

TEST(Recurrent, EveryCellAndDirection) {
  test::for_each_target([] {
    for (Cell cell : kCells) {
      for (Direction direction : kDirections) {
        for (const Size& s : {Size{1, 1, 3, 4}, Size{5, 2, 3, 7}, Size{4, 19, 10, 33}, Size{3, 5, 40, 64}}) {
          for (bool batch_major : {false, true}) {
            Recurrent op = layer(cell, direction);
            op.batch_major = batch_major;
            compare<float>(op, s);
            compare<float>(op, s, {}, true);
          }
        }
      }
    }
  });
}

TEST(Recurrent, SequenceLengths) {
  test::for_each_target([] {
    for (Cell cell : kCells) {
      for (Direction direction : kDirections) {
        for (bool batch_major : {false, true}) {
          Recurrent op = layer(cell, direction);
          op.batch_major = batch_major;
          compare<float>(op, {6, 4, 3, 5}, {6, 0, 3, 1});
        }
      }
    }
  });
}

TEST(Recurrent, Options) {
  test::for_each_target([] {
    for (Direction direction : {Direction::kForward, Direction::kBidirectional}) {
      Recurrent lstm = layer(Cell::kLstm, direction);
      lstm.clip = 0.3f;
      compare<float>(lstm, {5, 3, 4, 9});
      lstm.input_forget = true;
      compare<float>(lstm, {5, 3, 4, 9});
      Recurrent gru = layer(Cell::kGru, direction);
      gru.linear_before_reset = true;
      compare<float>(gru, {5, 3, 4, 9});
      compare<float>(gru, {5, 20, 4, 40});
      gru.clip = 0.5f;
      compare<float>(gru, {5, 3, 4, 9});
    }
  });
}

TEST(Recurrent, Activations) {
  const std::vector<Recurrent::Function> all{
      // clang-format off
      {Kind::kRelu}, {Kind::kTanh}, {Kind::kSigmoid}, {Kind::kAffine, 0.5f, 0.1f}, {Kind::kLeakyRelu, 0.1f},
      {Kind::kThresholdedRelu, 0.2f}, {Kind::kScaledTanh, 0.8f, 0.5f}, {Kind::kHardSigmoid, 0.2f, 0.5f}, {Kind::kElu, 0.7f},
      {Kind::kSoftsign}, {Kind::kSoftplus},
      // clang-format on
  };
  test::for_each_target([&] {
    for (const auto& f : all) {
      Recurrent rnn = layer(Cell::kRnn, Direction::kBidirectional);
      rnn.activations[1] = f;
      compare<float>(rnn, {3, 2, 3, 6});
      Recurrent lstm = layer(Cell::kLstm, Direction::kForward);
      lstm.activations = {{Kind::kHardSigmoid, 0.2f, 0.5f}, f, f};
      compare<float>(lstm, {2, 2, 3, 6});
    }
  });
}

TEST(Recurrent, NarrowTypes) {
  test::for_each_target([] {
    for (Cell cell : kCells) {
      compare<Float16>(layer(cell, Direction::kBidirectional), {4, 3, 5, 8}, {4, 2, 3}, false, 2e-3);
      compare<BFloat16>(layer(cell, Direction::kForward), {4, 3, 5, 8}, {}, false, 2e-2);
    }
  });
}

TEST(Recurrent, EmptySequenceKeepsTheState) {
  for (Cell cell : kCells) {
    compare<float>(layer(cell, Direction::kBidirectional), {0, 2, 3, 4});
    compare<float>(layer(cell, Direction::kForward), {3, 0, 3, 4});
    compare<float>(layer(cell, Direction::kForward), {3, 2, 0, 4});
  }
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// One hidden unit and two steps, written out; the gates are iofc.
TEST(Recurrent, LstmByHand) {
  Recurrent op = layer(Cell::kLstm, Direction::kForward);
  const std::vector<double> w{0.5, -0.25, 0.75, 1.0}, r{0.1, 0.2, 0.3, 0.4}, b{0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08},
      p{0.3, -0.2, 0.1};
  const Tensor x = Tensor::of<double>({2, 1, 1}, {1.0, -2.0}), tw = Tensor::of<double>({1, 4, 1}, w), tr = Tensor::of<double>({1, 4, 1}, r);
  const Tensor tb = Tensor::of<double>({1, 8}, b), h0 = Tensor::of<double>({1, 1, 1}, {0.5}), c0 = Tensor::of<double>({1, 1, 1}, {-0.5}),
               tp = Tensor::of<double>({1, 3}, p);
  auto out = evaluate(Op(op), {&x, &tw, &tr, &tb, nullptr, &h0, &c0, &tp}, 3);
  ASSERT_TRUE(out.ok()) << out.status().message();
  double h = 0.5, c = -0.5;
  for (int t = 0; t < 2; ++t) {
    const double in = t == 0 ? 1.0 : -2.0;
    auto pre = [&](size_t g) { return in * w[g] + h * r[g] + b[g] + b[4 + g]; };
    const double i = sigmoid(pre(0) + p[0] * c), f = sigmoid(pre(2) + p[2] * c), cell = std::tanh(pre(3));
    const double next = f * c + i * cell, o = sigmoid(pre(1) + p[1] * next);
    c = next;
    h = o * std::tanh(c);
    EXPECT_NEAR((*out)[0].as<double>()[t], h, 1e-12);
  }
  EXPECT_NEAR((*out)[1].as<double>()[0], h, 1e-12);
  EXPECT_NEAR((*out)[2].as<double>()[0], c, 1e-12);
}

/// The gates are zrh.
TEST(Recurrent, GruByHand) {
  for (bool linear : {false, true}) {
    Recurrent op = layer(Cell::kGru, Direction::kReverse);
    op.linear_before_reset = linear;
    const std::vector<double> w{0.5, -0.25, 0.75}, r{0.1, 0.2, 0.3}, b{0.01, 0.02, 0.03, 0.04, 0.05, 0.06};
    const Tensor x = Tensor::of<double>({2, 1, 1}, {1.0, -2.0}), tw = Tensor::of<double>({1, 3, 1}, w),
                 tr = Tensor::of<double>({1, 3, 1}, r);
    const Tensor tb = Tensor::of<double>({1, 6}, b), h0 = Tensor::of<double>({1, 1, 1}, {0.5});
    auto out = evaluate(Op(op), {&x, &tw, &tr, &tb, nullptr, &h0}, 2);
    ASSERT_TRUE(out.ok()) << out.status().message();
    double h = 0.5;
    for (int t = 1; t >= 0; --t) {
      const double in = t == 0 ? 1.0 : -2.0;
      const double z = sigmoid(in * w[0] + h * r[0] + b[0] + b[3]), reset = sigmoid(in * w[1] + h * r[1] + b[1] + b[4]);
      const double g = std::tanh(in * w[2] + b[2] + (linear ? reset * (h * r[2] + b[5]) : reset * h * r[2] + b[5]));
      h = (1 - z) * g + z * h;
      EXPECT_NEAR((*out)[0].as<double>()[t], h, 1e-12);
    }
    EXPECT_NEAR((*out)[1].as<double>()[0], h, 1e-12);
  }
}

TEST(Recurrent, PackedWeightsGiveTheSameBits) {
  for (Cell cell : kCells) {
    const Recurrent op = layer(cell, Direction::kBidirectional);
    const auto in = inputs_of<float>(op, {4, 3, 5, 40}, {});
    auto plain = run(op, in);
    ASSERT_TRUE(plain.ok());
    Types types;
    std::vector<const void*> src;
    std::vector<Tensor> keep;
    for (int i = 0; i < static_cast<int>(in.size()); ++i) {
      if (in[static_cast<size_t>(i)].empty_handle()) {
        types.push_back(Type::none());
        src.push_back(nullptr);
        continue;
      }
      Type type = Type::of(in[static_cast<size_t>(i)].dtype(), Shape::of(in[static_cast<size_t>(i)].dims()));
      Tensor tensor = in[static_cast<size_t>(i)];
      if (i == 1 || i == 2) {
        auto packed = ops::pack_recurrent_weights(op, i, tensor);
        ASSERT_TRUE(packed.ok() && packed->has_value());
        tensor = (*packed)->tensor;
        type.layout = (*packed)->layout;
      }
      types.push_back(type);
      src.push_back(tensor.data());
      keep.push_back(tensor);
    }
    auto out = infer(Op(op), types);
    ASSERT_TRUE(out.ok()) << out.status().message();
    TypedBindContext ctx(types, *out, {true, true, true});
    auto step = tenon::bind(Op(op), ctx);
    ASSERT_TRUE(step.ok()) << step.status().message();
    std::vector<std::vector<float>> results;
    std::vector<void*> dst;
    for (const Tensor& t : *plain) results.emplace_back(static_cast<size_t>(t.count()));
    for (auto& r : results) dst.push_back(r.data());
    std::vector<std::byte> scratch(step->scratch_bytes), shared(step->shared_bytes);
    kernels::Fault fault;
    kernels::Call call{.src = src.data(), .dst = dst.data(), .scratch = scratch.data(), .fault = &fault, .shared = shared.data()};
    for (const Phase& phase : step->phases) phase.run(phase.params.get(), call, {0, phase.parts});
    for (size_t o = 0; o < results.size(); ++o) {
      for (size_t i = 0; i < results[o].size(); ++i) ASSERT_EQ(results[o][i], (*plain)[o].as<float>()[i]);
    }
  }
}

TEST(Recurrent, RefusesWhatDoesNotFit) {
  auto f32 = [](Dims d) { return Type::of(DType::kFloat32, Shape::of(d)); };
  auto message = [&](const Recurrent& op, const Types& in) {
    auto out = infer(Op(op), in);
    EXPECT_FALSE(out.ok());
    return out.ok() ? "" : out.status().message();
  };
  Recurrent op = layer(Cell::kLstm, Direction::kForward);
  EXPECT_NE(message(op, {f32({3, 2, 4}), f32({1, 20, 5}), f32({1, 20, 5})}).find("input 1 (W)"), std::string::npos);
  EXPECT_NE(message(op, {f32({3, 2, 4}), f32({1, 20, 4}), f32({2, 20, 5})}).find("input 2 (R)"), std::string::npos);
  EXPECT_NE(message(op, {f32({3, 2, 4}), f32({1, 20, 4}), f32({1, 20, 5}), f32({1, 20})}).find("input 3 (B)"), std::string::npos);
  EXPECT_NE(message(op, {f32({3, 2}), f32({1, 20, 4}), f32({1, 20, 5})}).find("rank 3"), std::string::npos);
  op.hidden_size = int64_t{1} << 40;
  EXPECT_NE(message(op, {f32({3, 2, 4}), f32({1, 20, 4}), f32({1, 20, 5})}).find("hidden_size"), std::string::npos);
  op.hidden_size = int64_t{1} << 62;
  EXPECT_NE(message(op, {f32({3, 2, 4}), f32({1, 20, 4}), Type::unranked(DType::kFloat32)}).find("hidden_size"), std::string::npos);
}

TEST(Recurrent, LengthOutsideTheSequenceIsARunError) {
  for (Cell cell : kCells) {
    const Recurrent op = layer(cell, Direction::kForward);
    auto wrong = run(op, inputs_of<float>(op, {3, 2, 4, 5}, {99, 1}));
    ASSERT_FALSE(wrong.ok());
    EXPECT_EQ(wrong.status().code(), Code::kRun);
    EXPECT_NE(wrong.status().message().find("99"), std::string::npos);
    EXPECT_NE(wrong.status().message().find("3"), std::string::npos);
    EXPECT_FALSE(run(op, inputs_of<float>(op, {3, 2, 4, 5}, {-1, 1})).ok());
  }
}

}  // namespace
}  // namespace tenon

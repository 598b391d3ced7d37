// The C++ API, through the shared library.
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <sstream>

#include "capi/models.h"
#include "tenon/tenon.hpp"

namespace {

using tenon::Code;
using tenon::Model;
using tenon::Options;
using tenon::RunOptions;
using tenon::Tensor;

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What mlp.onnx computes, from its definition in make_models.py.
std::vector<float> mlp(const std::vector<float>& x) {
  const size_t rows = x.size() / 8;
  std::vector<float> y;
  for (size_t r = 0; r < rows; ++r) {
    double hidden[16];
    for (int j = 0; j < 16; ++j) {
      hidden[j] = j - 8;
      for (int i = 0; i < 8; ++i) hidden[j] += x[r * 8 + static_cast<size_t>(i)] * ((i * 16 + j) % 5 - 2);
      hidden[j] = std::max(hidden[j], 0.0);
    }
    for (int k = 0; k < 4; ++k) {
      double sum = k;
      for (int j = 0; j < 16; ++j) sum += hidden[j] * ((j * 4 + k) % 7 - 3);
      y.push_back(static_cast<float>(sum));
    }
  }
  return y;
}

std::vector<float> numbers(size_t n) {
  std::vector<float> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = static_cast<float>(i * 7 % 11) - 5;
  return x;
}

template <class F>
tenon::Error error_of(F&& f) {
  try {
    f();
  } catch (const tenon::Error& e) {
    return e;
  }
  ADD_FAILURE() << "no error";
  return {Code::kOk, ""};
}

TEST(CppApi, RunsByName) {
  const auto model = Model::load(model_path("add.onnx"));
  const auto a = Tensor::of<float>({1, 2, 3}, {1, 3}), b = Tensor::of<float>({10, 20, 30}, {1, 3});
  const auto out = model.run({{"b", b}, {"a", a}});
  EXPECT_EQ(out.size(), 2u);
  EXPECT_EQ(out["sum"].to_vector<float>(), (std::vector<float>{11, 22, 33}));
  EXPECT_EQ(out[1].to_vector<float>(), (std::vector<float>{22, 44, 66}));
  const auto only = model.run({{"a", a}, {"b", b}}, {"twice"});
  EXPECT_EQ(only.size(), 1u);
  EXPECT_EQ(only["twice"].as<const float>()[2], 66);
  EXPECT_EQ(error_of([&] { only["sum"]; }).code(), Code::kArgument);
}

TEST(CppApi, RunsAModelOfOneInput) {
  const auto model = Model::load(model_path("mlp.onnx"));
  const auto x = numbers(3 * 8);
  EXPECT_EQ(model.run(Tensor::of(x, {3, 8})).to_vector<float>(), mlp(x));
}

TEST(CppApi, ErrorsSayWhere) {
  const auto model = Model::load(model_path("gather.onnx"));
  const auto e = error_of([&] {
    model.run({{"data", Tensor::of<float>({1, 2, 3, 4, 5, 6}, {2, 3})}, {"indices", Tensor::of<int64_t>({99}, {1})}});
  });
  EXPECT_EQ(e.code(), Code::kRun);
  EXPECT_EQ(e.node(), "pick");
  EXPECT_EQ(e.op(), "Gather");
  EXPECT_EQ(e.domain(), "");
  EXPECT_EQ(e.opset(), 17);
  EXPECT_NE(e.text().find("99"), std::string::npos);
  EXPECT_NE(std::string(e.what()).find("pick"), std::string::npos);
}

TEST(CppApi, TryFunctionsThrowNothing) {
  const auto none = Model::try_load("nowhere.onnx");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code(), Code::kIo);
  auto model = Model::try_load(model_path("add.onnx"));
  ASSERT_TRUE(model);
  const auto out = model->try_run({{"a", Tensor::of<float>({1, 2, 3}, {1, 3})}});
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), Code::kArgument);
  EXPECT_THROW(Model::try_load("nowhere.onnx").value(), tenon::Error);
}

TEST(CppApi, LoadsFromMemoryAndStream) {
  const std::string bytes = read_file(model_path("mlp.onnx"));
  const auto x = numbers(8);
  const auto input = Tensor::of(x, {1, 8});
  EXPECT_EQ(Model::load(bytes.data(), bytes.size()).run(input).to_vector<float>(), mlp(x));
  std::istringstream stream(bytes);
  EXPECT_EQ(Model::load(stream).run(input).to_vector<float>(), mlp(x));
  std::ifstream missing("nowhere.onnx");
  EXPECT_FALSE(Model::try_load(missing).ok());
}

TEST(CppApi, EveryWayToLoadGivesTheSame) {
  const auto x = numbers(5 * 8);
  const auto input = Tensor::of(x, {5, 8});
  for (const Options& o : {Options(), Options().optimize(false), Options().map_weights(), Options().threads(1), Options().threads(4),
                           Options().dim("batch", 5), Options().max_plans(1), Options().memory_limit(64 << 20), Options().onednn(false),
                           Options().strict(), Options().cache_directory(testing::TempDir() + "tenon-cache")}) {
    EXPECT_EQ(Model::load(model_path("mlp.onnx"), o).run(input).to_vector<float>(), mlp(x));
  }
}

TEST(CppApi, OneDnnCanBeSwitchedOff) {
  tenon_build_info build{};
  build.size = sizeof build;
  ASSERT_EQ(tenon_get_build_info(&build, nullptr), TENON_OK);
  const std::string provider(build.onednn.data, build.onednn.size), cpu(build.cpu.data, build.cpu.size);
  const bool there = provider.rfind("oneDNN ", 0) == 0 && cpu.rfind("SSE4", 0) != 0;
  const std::vector<float> x(3 * 512 * 512, 1.0f);
  for (const bool on : {true, false}) {
    const auto model = Model::load(model_path("first_layer.onnx"), Options().onednn(on));
    model.explain();
    ASSERT_EQ(model.nodes().size(), 1u + 1);  // and the reorder after it
    bool used = false;
    for (const auto& node : model.nodes()) used |= node.kernel == "ConvOneDnn";
    EXPECT_EQ(used, on && there) << provider;
    const auto y = model.run(Tensor::of(x, {1, 3, 512, 512})).to_vector<float>();
    EXPECT_EQ(y[0], 12);    // the corner
    EXPECT_EQ(y[257], 27);  // inside
  }
}

TEST(CppApi, DescribesTheModel) {
  const auto model = Model::load(model_path("add.onnx"));
  const auto inputs = model.inputs();
  ASSERT_EQ(inputs.size(), 2u);
  EXPECT_EQ(inputs[0].name, "a");
  EXPECT_EQ(inputs[0].dtype, tenon::DType::kFloat32);
  EXPECT_TRUE(inputs[0].ranked);
  EXPECT_EQ(inputs[0].dims[0], -1);
  EXPECT_EQ(inputs[0].symbols[0], "batch");
  EXPECT_EQ(inputs[0].dims[1], 3);
  EXPECT_EQ(model.find_output("twice"), 1u);
  EXPECT_EQ(model.metadata(), (std::map<std::string, std::string>{{"author", "Tenon"}, {"task", "addition"}}));
  model.explain({{"batch", 2}});
  ASSERT_FALSE(model.nodes().empty());
  for (const auto& node : model.nodes()) EXPECT_FALSE(node.kernel.empty()) << node.name;
  EXPECT_NE(model.graph(TENON_GRAPH_DOT).find("digraph"), std::string::npos);
  EXPECT_FALSE(model.passes().empty());
}

TEST(CppApi, ValuesInsideBecomeOutputs) {
  const auto x = numbers(8);
  for (const bool optimize : {true, false}) {
    const auto model = Model::load(model_path("mlp.onnx"), Options().extra_output("hidden").optimize(optimize));
    const auto out = model.run({{"x", Tensor::of(x, {1, 8})}});
    ASSERT_EQ(out.size(), 2u);
    EXPECT_EQ(out["y"].to_vector<float>(), mlp(x));
    EXPECT_EQ(out["hidden"].dims()[1], 16);
  }
}

TEST(CppApi, InitializersMayBeOverridden) {
  const auto x = Tensor::of<float>({1, 2}, {2});
  EXPECT_EQ(Model::load(model_path("default.onnx")).inputs().size(), 1u);
  const auto model = Model::load(model_path("default.onnx"), Options().overridable_initializers());
  ASSERT_EQ(model.inputs().size(), 2u);
  EXPECT_TRUE(model.input(1).optional);
  EXPECT_EQ(model.run(x).to_vector<float>(), (std::vector<float>{11, 22}));
  EXPECT_EQ(model.run({{"x", x}, {"bias", Tensor::of<float>({-1, -2}, {2})}})[0].to_vector<float>(), (std::vector<float>{0, 0}));
}

TEST(CppApi, StringsComeBack) {
  const auto model = Model::load(model_path("strings.onnx"));
  Tensor out;
  {
    const auto in = Tensor::strings({"one", std::string("a\0b", 3), ""}, {3});
    out = model.run(in);
  }
  ASSERT_EQ(out.count(), 3u);
  EXPECT_EQ(out.string(0), "one");
  EXPECT_EQ(out.string(1), std::string_view("a\0b", 3));
  EXPECT_EQ(out.string(2), "");
}

TEST(CppApi, TensorsHoldWhatTheyAreGiven) {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const auto t = Tensor::of(values, {2, 3});
  EXPECT_EQ(t.reshape({3, 2}).data(), t.data());
  EXPECT_NE(t.clone().data(), t.data());
  EXPECT_EQ(Tensor::scalar(7.0).as<double>()[0], 7.0);
  EXPECT_EQ(Tensor(tenon::DType::kInt32, {2, 2}).to_vector<int32_t>(), std::vector<int32_t>(4));
  EXPECT_EQ(error_of([&] { (void)t.as<int32_t>(); }).code(), Code::kArgument);
  EXPECT_EQ(error_of([&] { Tensor::of(values, {7}); }).code(), Code::kArgument);
  EXPECT_EQ(error_of([&] { (void)t.reshape({4}); }).code(), Code::kArgument);
  const auto parsed = Tensor::parse(read_file(model_path("tensor.pb")));
  EXPECT_EQ(parsed.to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_FALSE(Tensor());
}

TEST(CppApi, BorrowedMemoryIsReleasedOnce) {
  std::vector<float> x = numbers(8);
  int released = 0;
  {
    const auto model = Model::load(model_path("mlp.onnx"));
    auto session = model.session();
    {
      auto t = Tensor::borrow(x.data(), x.size(), {1, 8}, [&] { ++released; });
      const Tensor shared = t;
      session.bind_input("x", t);
    }
    EXPECT_EQ(released, 0);  // the session has a share
    session.run();
    EXPECT_EQ(session.output().to_vector<float>(), mlp(x));
  }
  EXPECT_EQ(released, 1);
  EXPECT_THROW(Tensor::borrow(x.data(), x.size(), {99}, [&] { ++released; }), tenon::Error);
  EXPECT_EQ(released, 1);
  EXPECT_EQ(Tensor::adopt(std::vector<int64_t>{1, 2}, {2}).to_vector<int64_t>()[1], 2);
}

TEST(CppApi, SessionsReadAndWriteBoundMemory) {
  const auto model = Model::load(model_path("mlp.onnx"));
  auto session = model.session();
  std::vector<float> x = numbers(16), y(8);
  session.bind_input(0, Tensor::borrow(x.data(), x.size(), {2, 8})).bind_output("y", Tensor::borrow(y.data(), y.size(), {2, 4}));
  session.run();
  EXPECT_EQ(y, mlp(x));
  for (float& v : x) v += 1;
  session.run(RunOptions().threads(1));
  EXPECT_EQ(y, mlp(x));
  EXPECT_EQ(session.output("y").data(), y.data());

  // Other dims: what was bound no longer fits, own memory does.
  const auto wide = numbers(24);
  session.bind_input("x", Tensor::of(wide, {3, 8}));
  const auto refused = session.try_run();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kShape);
  session.bind_output(0, Tensor());
  session.run();
  EXPECT_EQ(session.output().to_vector<float>(), mlp(wide));
  session.bind_input("x", Tensor::of(x, {2, 8}));
  session.run();
  EXPECT_EQ(session.output().to_vector<float>(), mlp(x));
  EXPECT_EQ(error_of([&] { session.bind_input("q", Tensor()); }).code(), Code::kArgument);
}

TEST(CppApi, SessionsFollowShapesThatDependOnValues) {
  auto session = Model::load(model_path("nonzero.onnx")).session();  // the session keeps the model
  std::vector<float> x{0, 1, 0, 2};
  session.bind_input(0, Tensor::borrow(x.data(), x.size(), {4}));
  session.run();
  EXPECT_EQ(session.output().to_vector<int64_t>(), (std::vector<int64_t>{1, 3}));
  x = {5, 6, 7, 0};
  session.run();
  EXPECT_EQ(session.output().to_vector<int64_t>(), (std::vector<int64_t>{0, 1, 2}));
  x = {0, 0, 0, 0};
  session.run();
  EXPECT_EQ(session.output().count(), 0u);
}

TEST(CppApi, SessionsTakeTheirOutputsAsInputs) {
  auto session = Model::load(model_path("add.onnx")).session();
  const auto one = Tensor::of<float>({1, 1, 1}, {1, 3});
  session.bind_input("a", one).bind_input("b", one);
  for (int i = 0; i < 4; ++i) {
    session.run();
    tenon_tensor* share = nullptr;
    ASSERT_EQ(tenon_tensor_share(session.output("sum").get(), &share, nullptr), TENON_OK);
    session.bind_input("a", Tensor(share));  // fed back
  }
  session.run();
  EXPECT_EQ(session.output("sum").to_vector<float>(), (std::vector<float>{6, 6, 6}));
}

TEST(CppApi, ProfileRecordsEveryStep) {
  const auto model = Model::load(model_path("mlp.onnx"), Options().optimize(false));
  tenon::Profile profile;
  model.run({{"x", Tensor::of(numbers(8), {1, 8})}}, {}, RunOptions().profile(profile));
  ASSERT_EQ(profile.size(), 5u);
  EXPECT_EQ(profile[0].node, "m1");
  EXPECT_FALSE(profile[0].kernel.empty());
  EXPECT_GE(profile[0].start.count(), 0);
  EXPECT_NE(profile.json().find("\"traceEvents\""), std::string::npos);
  profile.clear();
  EXPECT_EQ(profile.size(), 0u);
}

TEST(CppApi, SequencesAndOptionals) {
  const auto model = Model::load(model_path("sequence.onnx"));
  EXPECT_TRUE(model.input(1).sequence);
  EXPECT_FALSE(model.input(1).optional);
  EXPECT_TRUE(model.input(3).nullable && model.input(3).optional);
  EXPECT_FALSE(model.input(0).sequence || model.input(0).nullable);
  const auto a = Tensor::sequence(tenon::DType::kFloat32, {Tensor::of<float>({1, 2}, {2}), Tensor::of<float>({3}, {1})});
  const auto b = Tensor::sequence(tenon::DType::kFloat32, {});
  EXPECT_EQ(a.kind(), tenon::Kind::kSequence);
  EXPECT_EQ(a.items().size(), 2u);

  auto out = model.run({{"cond", Tensor::scalar(true)}, {"a", a}, {"b", b}});
  ASSERT_EQ(out["chosen"].items().size(), 2u);
  EXPECT_EQ(out["chosen"].items()[0].to_vector<float>(), (std::vector<float>{1, 2}));
  EXPECT_EQ(out["same"].kind(), tenon::Kind::kNone);
  out = model.run({{"cond", Tensor::scalar(false)}, {"a", a}, {"b", b}, {"maybe", Tensor::of<float>({5, 6}, {2})}});
  EXPECT_EQ(out["chosen"].kind(), tenon::Kind::kSequence);
  EXPECT_TRUE(out["chosen"].items().empty());
  EXPECT_EQ(out["same"].to_vector<float>(), (std::vector<float>{5, 6}));

  EXPECT_EQ(error_of([&] { (void)a.as<float>(); }).code(), Code::kArgument);
  EXPECT_EQ(error_of([&] { (void)Tensor::sequence(tenon::DType::kInt64, a.items()); }).code(), Code::kArgument);
  EXPECT_EQ(Tensor::parse_sequence(read_file(model_path("sequence.pb"))).items()[1].to_vector<float>(), (std::vector<float>{4}));
  EXPECT_EQ(Tensor::parse_optional(read_file(model_path("optional.pb"))).items().size(), 2u);
  EXPECT_EQ(Tensor::parse_optional("").kind(), tenon::Kind::kNone);
}

TEST(CppApi, StatisticsCount) {
  const auto model = Model::load(model_path("mlp.onnx"));
  const auto input = Tensor::of(numbers(8), {1, 8});
  for (int i = 0; i < 3; ++i) (void)model.run(input);
  const auto s = model.stats();
  EXPECT_EQ(s.runs, 3u);
  EXPECT_GE(s.plans, 1u);
  EXPECT_GT(s.run_bytes_peak, 0u);
  model.trim();
  EXPECT_EQ(model.stats().sessions_idle, 0u);
}

TEST(CppApi, ProgressIsToldAndMayStopALoad) {
  double last = -1;
  const auto watch = [&](std::string_view stage, uint64_t done, uint64_t total) {
    EXPECT_FALSE(stage.empty());
    EXPECT_LE(done, total);
    last = static_cast<double>(done) / static_cast<double>(total);
    return true;
  };
  Model::load(model_path("mlp.onnx"), Options().progress(watch));
  EXPECT_EQ(last, 1.0);
  const auto stopped = Model::try_load(model_path("mlp.onnx"), Options().progress([](auto, auto, auto) { return false; }));
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code(), Code::kCancelled);
}

}  // namespace

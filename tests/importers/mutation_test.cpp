// Small valid models with a few bytes changed: whatever comes, the loader answers with a graph or an error. The seed is fixed, so a failure
// can be repeated; TENON_MUTANTS sets how many.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "importers/onnx/load.h"
#include "support/onnx_bytes.h"

namespace tenon::onnx {
namespace {

using namespace tenon::test;

std::vector<std::string> seeds() {
  std::vector<std::string> out;
  const auto x = value_info("x", 1, {2, 3});
  const auto y = value_info("y", 1, {2, 3});
  const auto w = tensor("w", 1, {2, 3}).text(9, raw<float>({1, 2, 3, 4, 5, 6}));
  out.push_back(model(graph({.nodes = {node("Add", {"x", "w"}, {"a"}, "add"), node("Relu", {"a"}, {"y"}, "relu")},
                             .initializers = {w},
                             .inputs = {x},
                             .outputs = {y},
                             .value_infos = {value_info("a", 1, {2, 3})}}))
                    .str());
  const auto shape = tensor("s", 7, {2}).text(7, Bytes().varint(3).varint(2).str());
  const auto strings = tensor("t", 8, {2}).text(6, "one").text(6, "two");
  const auto nibbles = tensor("n", 22, {5}).text(9, "\x12\x34\x05");
  out.push_back(model(graph({.nodes = {node("Reshape", {"x", "s"}, {"r"}, "reshape"), node("Transpose", {"r"}, {"y"}, "t"),
                                       node("Concat", {"y", "x"}, {"z"}, "cat", {int_attribute("axis", 0)})},
                             .initializers = {shape, strings, nibbles},
                             .inputs = {x},
                             .outputs = {y, value_info("z", 1, {4, 3})},
                             .value_infos = {}}))
                    .str());
  const auto branch = [](std::string_view op, std::string_view out_name) {
    return graph({.nodes = {node(op, {"x"}, {std::string(out_name)}, "inner")},
                  .initializers = {},
                  .inputs = {},
                  .outputs = {value_info(out_name, 1, {})},
                  .value_infos = {}});
  };
  out.push_back(
      model(
          graph({.nodes = {node("If", {"c"}, {"y"}, "if",
                                {graph_attribute("then_branch", branch("Relu", "o")), graph_attribute("else_branch", branch("Neg", "p"))})},
                 .initializers = {},
                 .inputs = {x, value_info("c", 9, {})},
                 .outputs = {y},
                 .value_infos = {}}))
          .str());
  const auto f = function("f", {"a"}, {"b"}, {node("LeakyRelu", {"a"}, {"b"}, "leaky", {reference("alpha", "slope", 1)})}, {"slope"});
  const auto g = function("g", {"a"}, {"b"},
                          {node("f", {"a"}, {"m"}, "1", {float_attribute("slope", 1)}, "local"),
                           node("f", {"m"}, {"b"}, "2", {float_attribute("slope", 2)}, "local")});
  out.push_back(model(graph({.nodes = {node("g", {"x"}, {"y"}, "call", {}, "local")},
                             .initializers = {},
                             .inputs = {x},
                             .outputs = {y},
                             .value_infos = {}}),
                      17, 8, {f, g})
                    .str());
  Bytes sparse;
  sparse.message(1, tensor("w", 1, {2}).text(9, raw<float>({1, 2})))
      .message(2, tensor("", 7, {2}).text(9, raw<int64_t>({1, 5})))
      .number(3, 2)
      .number(3, 3);
  Bytes with_sparse =
      graph({.nodes = {node("Mul", {"x", "w"}, {"y"}, "mul")}, .initializers = {}, .inputs = {x}, .outputs = {y}, .value_infos = {}});
  out.push_back(model(with_sparse.message(15, sparse)).str());
  const auto body = graph({.nodes = {node("Identity", {"go"}, {"on"}, "i1"), node("Add", {"v", "v"}, {"v2"}, "i2")},
                           .initializers = {},
                           .inputs = {value_info("i", 7, {}), value_info("go", 9, {}), value_info("v", 1, {2, 3})},
                           .outputs = {value_info("on", 9, {}), value_info("v2", 1, {2, 3})},
                           .value_infos = {}});
  out.push_back(model(graph({.nodes = {node("Loop", {"n", "", "x"}, {"y"}, "loop", {graph_attribute("body", body)})},
                             .initializers = {tensor("n", 7, {}).number(7, 3)},
                             .inputs = {x},
                             .outputs = {y},
                             .value_infos = {}}))
                    .str());
  const auto list = optional_type(sequence_type(vector_type(1, "n")));
  const auto carry = graph({.nodes = {node("Identity", {"go"}, {"on"}, "i1"), node("Identity", {"v"}, {"v2"}, "i2")},
                            .initializers = {},
                            .inputs = {value_info("i", 7, {}), value_info("go", 9, {}), value_info("v", list)},
                            .outputs = {value_info("on", 9, {}), value_info("v2", list)},
                            .value_infos = {}});
  out.push_back(model(graph({.nodes = {node("Loop", {"n", "", "s"}, {"t"}, "loop", {graph_attribute("body", carry)})},
                             .initializers = {tensor("n", 7, {}).number(7, 3)},
                             .inputs = {value_info("s", list)},
                             .outputs = {value_info("t", list)},
                             .value_infos = {}}))
                    .str());
  return out;
}

std::string mutate(std::string bytes, std::mt19937& rng, const std::vector<std::string>& all) {
  const auto pick = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(rng); };
  const size_t changes = 1 + pick(4);
  for (size_t c = 0; c < changes && !bytes.empty(); ++c) {
    const size_t at = pick(bytes.size());
    switch (pick(8)) {
      case 0: bytes[at] = static_cast<char>(pick(256)); break;
      case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << pick(8))); break;
      case 2: bytes[at] = static_cast<char>(bytes[at] + (pick(2) ? 1 : -1)); break;
      case 3: bytes.erase(at, 1 + pick(4)); break;
      case 4: bytes.insert(at, 1 + pick(4), static_cast<char>(pick(256))); break;
      case 5: bytes.resize(at); break;
      case 6: {  // a piece of another model
        const std::string& other = all[pick(all.size())];
        const size_t from = pick(other.size());
        bytes.insert(at, other.substr(from, 1 + pick(40)));
        break;
      }
      default: {  // a number near the edges
        static constexpr unsigned char kEdges[] = {0x00, 0x7f, 0x80, 0xff};
        for (size_t k = at; k < std::min(bytes.size(), at + 8); ++k) bytes[k] = static_cast<char>(kEdges[pick(4)]);
      }
    }
  }
  return bytes;
}

TEST(Mutants, AreAnsweredWithAGraphOrAnError) {
  const char* wanted = std::getenv("TENON_MUTANTS");
  const int count = wanted ? std::atoi(wanted) : 200'000;
  const std::vector<std::string> all = seeds();
  for (const std::string& seed : all) {
    const auto result = load(std::as_bytes(std::span(seed.data(), seed.size())));
    ASSERT_TRUE(result.ok()) << result.status().message();
  }
  std::mt19937 rng(20260101);
  int loaded = 0;
  for (int i = 0; i < count; ++i) {
    const std::string mutant = mutate(all[static_cast<size_t>(i) % all.size()], rng, all);
    SCOPED_TRACE(i);
    LoadOptions options;
    options.allocator = std::make_shared<Allocator>(size_t{64} << 20);
    const auto result = load(std::as_bytes(std::span(mutant.data(), mutant.size())), options);
    if (result.ok()) {
      ++loaded;
      continue;
    }
    EXPECT_NE(result.status().code(), Code::kInternal) << result.status().message();
    EXPECT_FALSE(result.status().message().empty());
  }
  RecordProperty("loaded", loaded);
  EXPECT_GT(loaded, 0);
}

}  // namespace
}  // namespace tenon::onnx

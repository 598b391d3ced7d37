// Declared types that are no plain tensors. Those that must be refused are in tests/hostile.
#include <gtest/gtest.h>

#include "importers/onnx/load.h"
#include "support/onnx_bytes.h"

namespace tenon::onnx {
namespace {

using namespace tenon::test;

Result<ImportedModel> load_bytes(const Bytes& model) { return load(std::as_bytes(std::span(model.str().data(), model.str().size()))); }

Bytes pass_on(const Bytes& type, const Bytes& output, const std::vector<Bytes>& value_infos = {}) {
  return model(graph({.nodes = {node("Identity", {"x"}, {"m"}, "first"), node("Identity", {"m"}, {"y"}, "second")},
                      .initializers = {},
                      .inputs = {value_info("x", type)},
                      .outputs = {value_info("y", output)},
                      .value_infos = value_infos}));
}

TEST(DeclaredTypes, SequencesAndOptionals) {
  const Bytes floats = vector_type(1, "n");
  for (const auto& [type, text] :
       std::vector<std::pair<Bytes, std::string>>{{sequence_type(floats), "sequence(float32[n])"},
                                                  {optional_type(floats), "optional(float32[n])"},
                                                  {optional_type(sequence_type(floats)), "optional(sequence(float32[n]))"}}) {
    const auto m = load_bytes(pass_on(type, type));
    ASSERT_TRUE(m.ok()) << m.status().message();
    EXPECT_EQ(m->graph.type(m->graph.region(0).inputs[0]).str(), text);
    EXPECT_EQ(m->graph.type(m->graph.region(0).outputs[0]).str(), text);
  }
}

TEST(DeclaredTypes, OfIntermediateValuesAreChecked) {
  const Bytes type = sequence_type(vector_type(1, "n"));
  EXPECT_TRUE(load_bytes(pass_on(type, type, {value_info("m", type)})).ok());
  for (const Bytes& wrong : {vector_type(1, "n"), optional_type(type), sequence_type(vector_type(7, "n"))}) {
    const auto m = load_bytes(pass_on(type, type, {value_info("m", wrong)}));
    ASSERT_FALSE(m.ok());
    EXPECT_EQ(m.status().code(), Code::kShape);
    EXPECT_NE(m.status().message().find("inferred sequence(float32[n])"), std::string::npos) << m.status().message();
  }
  // What says no element type, or is of a kind that is not known, is left to inference.
  const Bytes map = Bytes().message(5, Bytes().number(1, 7).message(2, type));
  for (const Bytes& open : {vector_type(0, "n"), sequence_type(vector_type(0, "n")), map}) {
    EXPECT_TRUE(load_bytes(pass_on(type, type, {value_info("m", open)})).ok());
  }
}

TEST(DeclaredTypes, BranchesThatAreKnownAreDissolved) {
  const Bytes type = sequence_type(vector_type(1, "n"));
  const auto branch = [&](const std::string& name) {
    return graph({.nodes = {node("Identity", {name}, {name + "2"}, "inner")},
                  .initializers = {},
                  .inputs = {},
                  .outputs = {value_info(name + "2", type)},
                  .value_infos = {}});
  };
  const auto m =
      load_bytes(model(graph({.nodes = {node("If", {"c"}, {"y"}, "if",
                                             {graph_attribute("then_branch", branch("a")), graph_attribute("else_branch", branch("b"))})},
                              .initializers = {tensor("c", 9, {}).text(9, std::string(1, '\1'))},
                              .inputs = {value_info("a", type), value_info("b", type)},
                              .outputs = {value_info("y", type)},
                              .value_infos = {}})));
  ASSERT_TRUE(m.ok()) << m.status().message();
  EXPECT_EQ(m->graph.regions(), 1);
  const ValueId y = m->graph.region(0).outputs[0];
  EXPECT_EQ(m->graph.type(y).str(), "sequence(float32[n])");
  EXPECT_EQ(m->graph.node(m->graph.value(y).producer).inputs[0], m->graph.region(0).inputs[0]);
}

}  // namespace
}  // namespace tenon::onnx

// Loading whole files: the ways in, tensors of every type and form, functions, scopes, options. Files that must be refused are in
// tests/hostile.
#include "importers/onnx/load.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "support/onnx_bytes.h"

namespace tenon::onnx {
namespace {

using namespace tenon::test;

class Directory {
 public:
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tenon-load-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << bytes;
    return path_ + "/" + name;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Result<ImportedModel> from_memory(const std::string& bytes, const LoadOptions& options = {}) {
  return load(std::as_bytes(std::span(bytes.data(), bytes.size())), options);
}
Result<ImportedModel> from_stream(const std::string& bytes, size_t chunk, const LoadOptions& options = {}) {
  size_t at = 0;
  return load(
      [&](void* to, size_t n) -> Result<size_t> {
        const size_t part = std::min({n, chunk, bytes.size() - at});
        std::memcpy(to, bytes.data() + at, part);
        at += part;
        return part;
      },
      options);
}

/// A model whose output is the initializer itself.
Bytes constant_model(const Bytes& initializer, std::string_view name, int data_type, const std::vector<int64_t>& dims) {
  return model(
      graph({.nodes = {}, .initializers = {initializer}, .inputs = {}, .outputs = {value_info(name, data_type, dims)}, .value_infos = {}}));
}

const Tensor& output_constant(const ImportedModel& m) { return *m.graph.value(m.graph.region(0).outputs.at(0)).constant; }

void expect_same_everywhere(const std::string& bytes, const std::function<void(const ImportedModel&)>& check) {
  const Directory d;
  const std::string path = d.file("m.onnx", bytes);
  LoadOptions mapped;
  mapped.map_weights = true;
  LoadOptions late;
  late.read_late = true;
  LoadOptions late_mapped = mapped;
  late_mapped.read_late = true;
  for (auto& result : {load(path), load(path, mapped), from_memory(bytes), from_stream(bytes, 7), from_stream(bytes, size_t{1} << 20),
                       load(path, late), load(path, late_mapped), from_memory(bytes, late), from_stream(bytes, 1000, late)}) {
    ASSERT_TRUE(result.ok()) << result.status().message();
    check(*result);
  }
}

template <class T>
void expect_tensor(const Bytes& proto, int data_type, const std::vector<int64_t>& dims, const std::vector<T>& expected) {
  expect_same_everywhere(constant_model(proto, "w", data_type, dims).str(), [&](const ImportedModel& m) {
    const Tensor& t = output_constant(m);
    EXPECT_EQ(t.dtype(), static_cast<DType>(data_type));
    EXPECT_EQ(t.dims(), dims);
    ASSERT_EQ(t.bytes(), expected.size() * sizeof(T));
    if (t.bytes() > 0) {
      EXPECT_EQ(std::memcmp(t.data(), expected.data(), t.bytes()), 0);
    }
  });
}

std::string packed(const std::vector<int64_t>& values) {
  Bytes b;
  for (const int64_t v : values) b.varint(static_cast<uint64_t>(v));
  return b.str();
}

TEST(Tensors, RawOfEveryPlainType) {
  const auto check = [](int data_type, auto zero) {
    using T = decltype(zero);
    const std::vector<T> v{static_cast<T>(1),  static_cast<T>(2), static_cast<T>(250),
                           static_cast<T>(-3), static_cast<T>(5), static_cast<T>(77)};
    expect_tensor<T>(tensor("w", data_type, {2, 3}).text(9, raw(v)), data_type, {2, 3}, v);
  };
  check(1, float{});
  check(2, uint8_t{});
  check(3, int8_t{});
  check(4, uint16_t{});
  check(5, int16_t{});
  check(6, int32_t{});
  check(7, int64_t{});
  check(10, uint16_t{});
  check(11, double{});
  check(12, uint32_t{});
  check(13, uint64_t{});
  check(16, uint16_t{});
  for (int t = 17; t <= 20; ++t) check(t, uint8_t{});
  check(24, uint8_t{});
}

TEST(Tensors, TypedFieldsPackedAndNot) {
  expect_tensor<float>(tensor("w", 1, {3}).text(4, raw<float>({1.5f, -2, 3})), 1, {3}, {1.5f, -2, 3});
  expect_tensor<float>(tensor("w", 1, {3}).real(4, 1.5f).real(4, -2).real(4, 3), 1, {3}, {1.5f, -2, 3});
  expect_tensor<double>(tensor("w", 11, {2}).text(10, raw<double>({0.1, -7})), 11, {2}, {0.1, -7});
  expect_tensor<int64_t>(tensor("w", 7, {3}).text(7, packed({1, -1, INT64_MIN})), 7, {3}, {1, -1, INT64_MIN});
  expect_tensor<int64_t>(tensor("w", 7, {2}).number(7, 5).number(7, -6), 7, {2}, {5, -6});
  expect_tensor<uint64_t>(tensor("w", 13, {1}).text(11, packed({-1})), 13, {1}, {UINT64_MAX});
  expect_tensor<uint32_t>(tensor("w", 12, {2}).text(11, packed({7, 4294967295})), 12, {2}, {7, 4294967295});
  expect_tensor<int32_t>(tensor("w", 6, {2}).text(5, packed({INT32_MIN, 9})), 6, {2}, {INT32_MIN, 9});
  expect_tensor<int16_t>(tensor("w", 5, {2}).text(5, packed({-300, 9})), 5, {2}, {-300, 9});
  expect_tensor<int8_t>(tensor("w", 3, {2}).text(5, packed({-128, 9})), 3, {2}, {-128, 9});
  expect_tensor<uint8_t>(tensor("w", 9, {2}).text(5, packed({1, 0})), 9, {2}, {1, 0});
  expect_tensor<uint16_t>(tensor("w", 10, {2}).text(5, packed({0x3c00, 0xbc00})), 10, {2}, {0x3c00, 0xbc00});
  expect_tensor<uint16_t>(tensor("w", 16, {1}).text(5, packed({0x3f80})), 16, {1}, {0x3f80});
  expect_tensor<uint8_t>(tensor("w", 17, {2}).text(5, packed({0x38, 0xb8})), 17, {2}, {0x38, 0xb8});
}

TEST(Tensors, RunsOfOneFieldInPieces) {
  // Packed blocks of one field one after another are one list.
  expect_tensor<int64_t>(tensor("w", 7, {4}).text(7, packed({1, 2})).text(7, packed({3})).number(7, 4), 7, {4}, {1, 2, 3, 4});
}

TEST(Tensors, SmallIntegersAreSpreadOverBytes) {
  // int4, low nibble first: 1, -1, -8, 7, 3
  expect_tensor<int8_t>(tensor("w", 22, {5}).text(9, std::string("\xf1\x78\x03")), 22, {5}, {1, -1, -8, 7, 3});
  expect_tensor<uint8_t>(tensor("w", 21, {4}).text(9, std::string("\xf1\x78")), 21, {4}, {1, 15, 8, 7});
  expect_tensor<uint8_t>(tensor("w", 23, {3}).text(9, std::string("\xf1\x08")), 23, {3}, {1, 15, 8});
  expect_tensor<uint8_t>(tensor("w", 21, {3}).text(5, packed({0xf1, 0x08})), 21, {3}, {1, 15, 8});
  // uint2 and int2, lowest bits first: 0b11100100
  expect_tensor<uint8_t>(tensor("w", 25, {5}).text(9, std::string("\xe4\x02")), 25, {5}, {0, 1, 2, 3, 2});
  expect_tensor<int8_t>(tensor("w", 26, {5}).text(9, std::string("\xe4\x02")), 26, {5}, {0, 1, -2, -1, -2});
  for (const int n : {1, 2, 3, 4, 5, 7, 8, 9, 1023, 4096}) {
    std::vector<uint8_t> expected(static_cast<size_t>(n));
    std::string file((static_cast<size_t>(n) + 1) / 2, '\0');
    for (size_t i = 0; i < expected.size(); ++i) {
      expected[i] = static_cast<uint8_t>(i * 7 % 16);
      file[i / 2] = static_cast<char>(file[i / 2] | expected[i] << (i % 2 * 4));
    }
    expect_tensor<uint8_t>(tensor("w", 21, {n}).text(9, file), 21, {n}, expected);
  }
}

TEST(Tensors, BoolBytesBecomeZeroOrOne) {
  expect_tensor<uint8_t>(tensor("w", 9, {4}).text(9, std::string("\0\1\2\xff", 4)), 9, {4}, {0, 1, 1, 1});
}

TEST(Tensors, Strings) {
  expect_same_everywhere(constant_model(tensor("w", 8, {3}).text(6, "a").text(6, "").text(6, "gr\xc3\xbc\xc3\x9f"), "w", 8, {3}).str(),
                         [](const ImportedModel& m) {
                           const auto v = output_constant(m).values<StringRef>();
                           EXPECT_EQ(v[0].view(), "a");
                           EXPECT_EQ(v[1].view(), "");
                           EXPECT_EQ(v[2].view(), "gr\xc3\xbc\xc3\x9f");
                         });
}

TEST(Tensors, LargeOnesAreReadWhole) {
  std::vector<float> v(5'000'000);
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i % 65536);
  expect_tensor<float>(tensor("w", 1, {5'000'000}).text(9, raw(v)), 1, {5'000'000}, v);
}

TEST(Tensors, EmptyAndScalar) {
  expect_tensor<float>(tensor("w", 1, {0, 3}), 1, {0, 3}, {});
  expect_tensor<float>(tensor("w", 1, {}).text(9, raw<float>({4})), 1, {}, {4});
}

TEST(External, ReadMappedAndAligned) {
  const Directory d;
  std::vector<float> v(50'000);
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i);
  d.file("w.bin", "pad" + std::string(61, '\0') + raw(v));
  const auto m = model(graph({.nodes = {},
                              .initializers = {external("a", 1, {100, 200}, "w.bin", 64), external("b", 1, {10}, "w.bin", 67)},
                              .inputs = {},
                              .outputs = {value_info("a", 1, {100, 200}), value_info("b", 1, {10})},
                              .value_infos = {}}));
  const std::string path = d.file("m.onnx", m.str());
  for (const bool map : {false, true}) {
    LoadOptions options;
    options.map_weights = map;
    auto result = load(path, options);
    ASSERT_TRUE(result.ok()) << result.status().message();
    const Tensor& a = *result->graph.value(result->graph.region(0).outputs[0]).constant;
    EXPECT_EQ(std::memcmp(a.data(), v.data(), a.bytes()), 0);
    const Tensor& b = *result->graph.value(result->graph.region(0).outputs[1]).constant;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b.data()) % alignof(float), 0u) << "misaligned data is copied even when mapped";
  }
  // Without a directory a model from memory has no external data; with one it has.
  EXPECT_EQ(from_memory(m.str()).status().code(), Code::kLoad);
  LoadOptions options;
  options.directory = d.path();
  EXPECT_TRUE(from_memory(m.str(), options).ok());
}

int open_files() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<int>(std::distance(begin(all), end(all)));
}

/// A model in `d` with the float32 tensor "w" [100, 1000] in w.bin, element i being i.
std::string model_with_large_data(const Directory& d) {
  std::vector<float> v(100'000);
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i);
  d.file("w.bin", raw(v));
  return d.file("m.onnx", constant_model(external("w", 1, {100, 1000}, "w.bin", 0), "w", 1, {100, 1000}).str());
}

TEST(Late, LargeTensorsStayInTheirFileUntilTheGraphSettles) {
  const Directory d;
  const std::string path = model_with_large_data(d);
  for (const bool map : {false, true}) {
    LoadOptions options;
    options.read_late = true;
    options.map_weights = map;
    const int before = open_files();
    auto result = load(path, options);
    ASSERT_TRUE(result.ok()) << result.status().message();
    const Tensor& w = output_constant(*result);
    EXPECT_FALSE(w.in_place());
    EXPECT_GT(open_files(), before);
    ASSERT_TRUE(result->graph.settle().ok());
    EXPECT_TRUE(w.in_place());
    EXPECT_EQ(open_files(), before);
    EXPECT_EQ(w.as<float>()[99'999], 99'999.0f);
  }
}

TEST(Late, AFileCutShortMeanwhileIsAnErrorThatNamesTheTensor) {
  const Directory d;
  const std::string path = model_with_large_data(d);
  for (const bool looked_at : {false, true}) {
    LoadOptions options;
    options.read_late = true;
    auto result = load(path, options);
    ASSERT_TRUE(result.ok()) << result.status().message();
    std::filesystem::resize_file(d.path() + "/w.bin", 200'000);
    if (looked_at) {
      EXPECT_EQ(output_constant(*result).as<float>()[5], 0.0f);
    }
    const Status s = result->graph.settle();
    EXPECT_EQ(s.code(), Code::kLoad);
    EXPECT_EQ(s.info()->tensor, "w");
    EXPECT_NE(s.message().find("w.bin"), std::string::npos) << s.message();
    model_with_large_data(d);
  }
}

TEST(Late, CancelAndDeadlineHoldForReadsAfterTheImport) {
  const Directory d;
  const std::string path = model_with_large_data(d);
  std::atomic<bool> cancel{false};
  LoadOptions options;
  options.read_late = true;
  options.cancel = &cancel;
  auto result = load(path, options);
  ASSERT_TRUE(result.ok()) << result.status().message();
  cancel = true;
  EXPECT_EQ(result->graph.settle().code(), Code::kCancelled);
}

TEST(Late, ManyExternalFilesAreNotHeldOpen) {
  const Directory d;
  std::vector<Bytes> tensors;
  const std::string zeros(100'000, '\0');
  for (int i = 0; i < 200; ++i) {
    const std::string name = "w" + std::to_string(i);
    d.file(name, zeros);
    tensors.push_back(external(name, 1, {25'000}, name, 0));
  }
  const auto m =
      model(graph({.nodes = {}, .initializers = tensors, .inputs = {}, .outputs = {value_info("w7", 1, {25'000})}, .value_infos = {}}));
  const std::string path = d.file("m.onnx", m.str());
  LoadOptions options;
  options.read_late = true;
  const int before = open_files();
  auto result = load(path, options);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_LT(open_files(), before + 100);
}

/// The layout of a hub's cache: snapshot/NAME links to ../blobs/HASH.
struct Hub {
  Directory d;
  Hub() {
    for (const char* folder : {"blobs", "snapshot", "elsewhere"}) std::filesystem::create_directory(d.path() + "/" + folder);
    d.file("blobs/2f", std::string(24, '\0'));
    d.file("elsewhere/2f", std::string(24, '\0'));
    d.file("blobs/1e", constant_model(external("w", 1, {6}, "m.onnx_data", 0), "w", 1, {6}).str());
  }
  void link(const std::string& target, const std::string& name) const {
    std::filesystem::remove(d.path() + "/" + name);
    std::filesystem::create_symlink(target, d.path() + "/" + name);
  }
  Status load(const std::string& model = "snapshot/m.onnx") const { return to_status(onnx::load(d.path() + "/" + model)); }
};

TEST(External, LinksOfACacheAreFollowed) {
  const Hub hub;
  hub.link("../blobs/1e", "snapshot/m.onnx");
  hub.link("../blobs/2f", "snapshot/m.onnx_data");
  EXPECT_TRUE(hub.load().ok()) << hub.load().message();
  hub.link(hub.d.path() + "/blobs/2f", "snapshot/m.onnx_data");
  EXPECT_TRUE(hub.load().ok()) << hub.load().message();
}

TEST(External, OtherLinksAreNot) {
  const Hub hub;
  const auto refused = [&](const std::string& target) {
    hub.link(target, "snapshot/m.onnx_data");
    const Status s = hub.load();
    EXPECT_EQ(s.code(), Code::kLoad) << target;
    EXPECT_NE(s.message().find("symbolic link"), std::string::npos) << target << ": " << s.message();
  };
  hub.link("../blobs/1e", "snapshot/m.onnx");
  refused("../elsewhere/2f");  // of the same name, in another folder
  refused("/etc/hostname");
  refused("../blobs");
  refused("../blobs/.");
  refused("../blobs/../elsewhere/2f");
  hub.link("2f", "blobs/link");
  refused("../blobs/link");
  std::filesystem::copy_file(hub.d.path() + "/blobs/1e", hub.d.path() + "/snapshot/plain.onnx");
  hub.link("../blobs/2f", "snapshot/m.onnx_data");
  EXPECT_EQ(hub.load("snapshot/plain.onnx").code(), Code::kLoad);  // the model itself is no link
  EXPECT_TRUE(hub.load().ok());
  std::filesystem::create_hard_link(hub.d.path() + "/blobs/2f", hub.d.path() + "/elsewhere/hard");
  EXPECT_EQ(hub.load().code(), Code::kLoad);
}

TEST(External, ChecksumsAreComparedWhenAskedFor) {
  const Directory d;
  d.file("w.bin", std::string("abcd"));  // SHA-1 from sha1sum(1)
  const auto load_with = [&](const std::string& checksum, bool verify) {
    const auto w = external("w", 6, {1}, "w.bin", 0).message(13, Bytes().text(1, "checksum").text(2, checksum));
    const std::string path = d.file("m.onnx", constant_model(w, "w", 6, {1}).str());
    LoadOptions options;
    options.verify_checksums = verify;
    return to_status(load(path, options));
  };
  EXPECT_TRUE(load_with("81fe8bfe87576c3ecb22426f8e57847382917acf", true).ok());
  EXPECT_TRUE(load_with("81FE8BFE87576C3ECB22426F8E57847382917ACF", true).ok());
  const std::string wrong = "81fe8bfe87576c3ecb22426f8e57847382917ac0";
  EXPECT_TRUE(load_with(wrong, false).ok());
  const Status s = load_with(wrong, true);
  EXPECT_EQ(s.code(), Code::kLoad);
  for (const char* word : {"w.bin", "81fe8bfe87576c3ecb22426f8e57847382917acf", wrong.c_str()}) {
    EXPECT_NE(s.message().find(word), std::string::npos) << s.message();
  }
  EXPECT_EQ(load_with("", true).code(), Code::kLoad);
  EXPECT_EQ(load_with("81fe", true).code(), Code::kLoad);
  EXPECT_EQ(load_with(std::string(40, 'g'), true).code(), Code::kLoad);
}

TEST(Load, FileOverTwoGigabytes) {
  // A hole of 2.5 GiB in an unknown field, then the graph: positions need 64 bits.
  const Directory d;
  const std::string tail = constant_model(tensor("w", 1, {3}).text(9, raw<float>({1, 2, 3})), "w", 1, {3}).str();
  const std::string path = d.path() + "/big.onnx";
  const uint64_t hole = uint64_t{5} << 29;
  const std::string head = Bytes().varint(900 << 3 | 2).varint(hole).str();
  std::ofstream(path, std::ios::binary) << head;
  if (truncate(path.c_str(), static_cast<off_t>(head.size() + hole)) != 0) GTEST_SKIP() << "no room for a sparse file";
  std::ofstream(path, std::ios::binary | std::ios::app) << tail;
  auto result = load(path);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(output_constant(*result).as<float>()[2], 3.0f);
}

TEST(Load, MissingFileAndDirectory) {
  EXPECT_EQ(load("/nonexistent/model.onnx").status().code(), Code::kIo);
  const Directory d;
  const Status s = load(d.path()).status();
  EXPECT_EQ(s.code(), Code::kIo);
  EXPECT_NE(s.message().find("directory"), std::string::npos);
}

Bytes relu_model(int64_t opset = 17, int64_t ir = 8) {
  return model(graph({.nodes = {node("Relu", {"x"}, {"y"}, "relu")},
                      .initializers = {},
                      .inputs = {value_info("x", 1, "batch", 3)},
                      .outputs = {value_info("y", 1, "batch", 3)},
                      .value_infos = {}}),
               opset, ir);
}

TEST(Load, EveryIrVersionAndOpset) {
  for (int64_t ir = 3; ir <= 14; ++ir) EXPECT_TRUE(from_memory(relu_model(17, ir).str()).ok()) << ir;
  for (int64_t o = 7; o <= 30; ++o) EXPECT_TRUE(from_memory(relu_model(o).str()).ok()) << o;
}

TEST(Load, NamesDimsAndMetadata) {
  Bytes m = relu_model();
  m.text(2, "producer").text(4, "org.example").number(5, 42).text(6, "about").message(14, Bytes().text(1, "task").text(2, "none"));
  auto result = from_memory(m.str());
  ASSERT_TRUE(result.ok()) << result.status().message();
  const Graph& g = result->graph;
  EXPECT_EQ(g.metadata.at("task"), "none");
  EXPECT_EQ(g.producer, "producer");
  EXPECT_EQ(g.domain, "org.example");
  EXPECT_EQ(g.doc, "about");
  EXPECT_EQ(result->model_version, 42);
  EXPECT_EQ(g.ir_version, 8);
  ASSERT_EQ(g.region(0).inputs.size(), 1u);
  const Value& x = g.value(g.region(0).inputs[0]);
  const Value& y = g.value(g.region(0).outputs[0]);
  EXPECT_EQ(x.name, "x");
  EXPECT_EQ(y.name, "y");
  EXPECT_EQ(y.type.shape.str(), "[batch, 3]");
  EXPECT_EQ(g.node(y.producer).source_op, "Relu");
  EXPECT_EQ(g.node(y.producer).source_opset, 17);
}

TEST(Load, InitializerThatIsAnInput) {
  const auto w = tensor("w", 1, {3}).text(9, raw<float>({1, 2, 3}));
  const std::string bytes = model(graph({.nodes = {node("Add", {"x", "w"}, {"y"}, "add")},
                                         .initializers = {w},
                                         .inputs = {value_info("x", 1, {3}), value_info("w", 1, {3})},
                                         .outputs = {value_info("y", 1, {3})},
                                         .value_infos = {}}))
                                .str();
  auto constant = from_memory(bytes);
  ASSERT_TRUE(constant.ok()) << constant.status().message();
  EXPECT_EQ(constant->graph.region(0).inputs.size(), 1u);
  LoadOptions options;
  options.overridable_initializers = true;
  auto input = from_memory(bytes, options);
  ASSERT_TRUE(input.ok()) << input.status().message();
  EXPECT_EQ(input->graph.region(0).inputs.size(), 2u);
  ASSERT_EQ(input->defaults.size(), 1u);
  EXPECT_EQ(input->defaults[0].first, "w");
  EXPECT_EQ(input->defaults[0].second.as<float>()[2], 3.0f);
}

TEST(Load, FunctionsAreExpanded) {
  // outer(a; slope) = inner(inner(a)), inner(a; slope) = LeakyRelu(a; alpha = slope)
  const auto inner =
      function("inner", {"a"}, {"b"}, {node("LeakyRelu", {"a"}, {"b"}, "leaky", {reference("alpha", "slope", 1)})}, {"slope"});
  const auto outer = function("outer", {"a"}, {"b"},
                              {node("inner", {"a"}, {"m"}, "first", {reference("slope", "slope", 1)}, "local"),
                               node("inner", {"m"}, {"b"}, "second", {reference("slope", "slope", 1)}, "local")},
                              {"slope"});
  const auto m = model(graph({.nodes = {node("outer", {"x"}, {"y"}, "call", {float_attribute("slope", 0.25f)}, "local")},
                              .initializers = {},
                              .inputs = {value_info("x", 1, {2, 3})},
                              .outputs = {value_info("y", 1, {2, 3})},
                              .value_infos = {}}),
                       17, 8, {outer, inner});
  auto result = from_memory(m.str());
  ASSERT_TRUE(result.ok()) << result.status().message();
  const Graph& g = result->graph;
  ASSERT_EQ(g.live_nodes(), 2);
  EXPECT_EQ(g.node(g.region(0).nodes[0]).name, "call/first/leaky");
  EXPECT_EQ(g.node(g.region(0).nodes[0]).op, g.node(g.region(0).nodes[1]).op);
  EXPECT_EQ(g.value(g.region(0).outputs[0]).name, "y");
}

TEST(Load, SubgraphReadsOuterNames) {
  const auto branch = [](std::string_view op) {
    return graph({.nodes = {node(op, {"hidden"}, {"o"}, "inner")},
                  .initializers = {},
                  .inputs = {},
                  .outputs = {value_info("o", 1, {})},
                  .value_infos = {}});
  };
  const auto m =
      model(graph({.nodes = {node("Neg", {"x"}, {"hidden"}, "neg"),
                             node("If", {"c"}, {"y"}, "if",
                                  {graph_attribute("then_branch", branch("Relu")), graph_attribute("else_branch", branch("Abs"))})},
                   .initializers = {},
                   .inputs = {value_info("x", 1, {2, 3}), value_info("c", 9, {})},
                   .outputs = {value_info("y", 1, {2, 3})},
                   .value_infos = {}}));
  auto result = from_memory(m.str());
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->graph.regions(), 3);
  EXPECT_EQ(result->graph.value(result->graph.region(0).outputs[0]).type.shape.str(), "[2, 3]");
}

TEST(Load, CancelDeadlineProgressAndMemory) {
  const std::string bytes = relu_model().str();
  const std::atomic<bool> cancel{true};
  LoadOptions options;
  options.cancel = &cancel;
  EXPECT_EQ(from_memory(bytes, options).status().code(), Code::kCancelled);
  options = {};
  options.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_EQ(from_memory(bytes, options).status().code(), Code::kLimit);
  options = {};
  std::vector<double> seen;
  options.progress = [&](double f) { seen.push_back(f); };
  EXPECT_TRUE(from_memory(bytes, options).ok());
  ASSERT_FALSE(seen.empty());
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 1.0);
  options = {};
  options.allocator = std::make_shared<Allocator>(1000);
  const auto big = constant_model(tensor("w", 1, {1000}).text(9, raw(std::vector<float>(1000))), "w", 1, {1000}).str();
  const Code code = from_memory(big, options).status().code();
  EXPECT_TRUE(code == Code::kLimit || code == Code::kNoMem);
}

TEST(Load, EveryFailedAllocationIsAnError) {
  const std::string bytes = constant_model(tensor("w", 1, {1000}).text(9, raw(std::vector<float>(1000))), "w", 1, {1000}).str();
  static int countdown;
  for (int k = 0; k < 4; ++k) {
    countdown = k;
    set_allocation_hook([](size_t) { return countdown-- != 0; });
    const auto result = from_stream(bytes, 100);
    set_allocation_hook(nullptr);
    if (result.ok()) continue;
    EXPECT_TRUE(result.status().code() == Code::kNoMem || result.status().code() == Code::kLimit) << result.status().message();
  }
}

TEST(Load, ErrorOfTheReadCallbackComesThrough) {
  const auto result = load([](void*, size_t) -> Result<size_t> { return error(Code::kIo, "the network is gone"); });
  EXPECT_EQ(result.status().code(), Code::kIo);
  EXPECT_NE(result.status().message().find("network"), std::string::npos);
}

}  // namespace
}  // namespace tenon::onnx

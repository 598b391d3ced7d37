// Small ONNX files written field by field, so that the importer is tested against the format and not against its own schema.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::test {

/// Bytes of one protobuf message.
class Bytes {
 public:
  Bytes& varint(uint64_t v) {
    for (; v >= 0x80; v >>= 7) out_ += static_cast<char>(v | 0x80);
    out_ += static_cast<char>(v);
    return *this;
  }
  Bytes& number(int field, int64_t v) { return varint(static_cast<uint64_t>(field) << 3).varint(static_cast<uint64_t>(v)); }
  Bytes& text(int field, std::string_view s) {
    varint(static_cast<uint64_t>(field) << 3 | 2).varint(s.size());
    out_ += s;
    return *this;
  }
  Bytes& message(int field, const Bytes& m) { return text(field, m.out_); }
  Bytes& real(int field, float f) {
    varint(static_cast<uint64_t>(field) << 3 | 5);
    out_.append(reinterpret_cast<const char*>(&f), 4);
    return *this;
  }
  const std::string& str() const { return out_; }

 private:
  std::string out_;
};

template <class T>
std::string raw(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

/// TensorProto without contents; add them with text(9, raw(...)) or a typed field.
inline Bytes tensor(std::string_view name, int data_type, const std::vector<int64_t>& dims) {
  Bytes t;
  for (const int64_t d : dims) t.number(1, d);
  return t.number(2, data_type).text(8, name);
}

inline Bytes external(std::string_view name, int data_type, const std::vector<int64_t>& dims, const std::string& location, int64_t offset) {
  return tensor(name, data_type, dims)
      .message(13, Bytes().text(1, "location").text(2, location))
      .message(13, Bytes().text(1, "offset").text(2, std::to_string(offset)))
      .number(14, 1);
}

/// ValueInfoProto of a tensor; a dim of -1 is left unknown.
inline Bytes value_info(std::string_view name, int data_type, const std::vector<int64_t>& dims) {
  Bytes shape;
  for (const int64_t d : dims) shape.message(1, d < 0 ? Bytes() : Bytes().number(1, d));
  return Bytes().text(1, name).message(2, Bytes().message(1, Bytes().number(1, data_type).message(2, shape)));
}
/// The same with a named dim in front.
inline Bytes value_info(std::string_view name, int data_type, std::string_view symbol, int64_t dim) {
  Bytes shape;
  shape.message(1, Bytes().text(2, symbol)).message(1, Bytes().number(1, dim));
  return Bytes().text(1, name).message(2, Bytes().message(1, Bytes().number(1, data_type).message(2, shape)));
}

/// TypeProto of a tensor with one named dim, and what may lie around it.
inline Bytes vector_type(int data_type, std::string_view symbol) {
  return Bytes().message(1, Bytes().number(1, data_type).message(2, Bytes().message(1, Bytes().text(2, symbol))));
}
inline Bytes sequence_type(const Bytes& element) { return Bytes().message(4, Bytes().message(1, element)); }
inline Bytes optional_type(const Bytes& element) { return Bytes().message(9, Bytes().message(1, element)); }
inline Bytes value_info(std::string_view name, const Bytes& type) { return Bytes().text(1, name).message(2, type); }

inline Bytes node(std::string_view op, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs,
                  std::string_view name, const std::vector<Bytes>& attributes = {}, std::string_view domain = {}) {
  Bytes n;
  for (const auto& i : inputs) n.text(1, i);
  for (const auto& o : outputs) n.text(2, o);
  n.text(3, name).text(4, op);
  for (const auto& a : attributes) n.message(5, a);
  if (!domain.empty()) n.text(7, domain);
  return n;
}

inline Bytes float_attribute(std::string_view name, float f) { return Bytes().text(1, name).real(2, f).number(20, 1); }
inline Bytes int_attribute(std::string_view name, int64_t i) { return Bytes().text(1, name).number(3, i).number(20, 2); }
inline Bytes graph_attribute(std::string_view name, const Bytes& graph) { return Bytes().text(1, name).message(6, graph).number(20, 5); }
inline Bytes reference(std::string_view name, std::string_view to, int type) { return Bytes().text(1, name).text(21, to).number(20, type); }

struct GraphParts {
  std::vector<Bytes> nodes, initializers, inputs, outputs, value_infos;
};
inline Bytes graph(const GraphParts& parts, std::string_view name = "g") {
  Bytes g;
  for (const auto& n : parts.nodes) g.message(1, n);
  g.text(2, name);
  for (const auto& t : parts.initializers) g.message(5, t);
  for (const auto& v : parts.inputs) g.message(11, v);
  for (const auto& v : parts.outputs) g.message(12, v);
  for (const auto& v : parts.value_infos) g.message(13, v);
  return g;
}

inline Bytes opset(std::string_view domain, int64_t version) { return Bytes().text(1, domain).number(2, version); }

inline Bytes model(const Bytes& graph, int64_t version = 17, int64_t ir = 8, const std::vector<Bytes>& functions = {}) {
  Bytes m;
  m.number(1, ir).text(2, "test").message(8, opset("", version)).message(8, opset("local", 1)).message(7, graph);
  for (const auto& f : functions) m.message(25, f);
  return m;
}

inline Bytes function(std::string_view name, const std::vector<std::string>& inputs, const std::vector<std::string>& outputs,
                      const std::vector<Bytes>& nodes, const std::vector<std::string>& attributes = {}) {
  Bytes f;
  f.text(1, name);
  for (const auto& i : inputs) f.text(4, i);
  for (const auto& o : outputs) f.text(5, o);
  for (const auto& a : attributes) f.text(6, a);
  for (const auto& n : nodes) f.message(7, n);
  return f.message(9, opset("", 17)).message(9, opset("local", 1)).text(10, "local");
}

}  // namespace tenon::test

// The importer reads models; lone tensors are given to it as the initializers of a model made around them.
#include "capi/parse_tensor.h"

#include <optional>
#include <span>
#include <vector>

#include "importers/onnx/load.h"

namespace tenon::capi {

namespace {

// Protobuf's wire format, as far as needed here.
void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void put_bytes(std::string& out, int field, std::string_view bytes) {
  put_varint(out, static_cast<uint64_t>(field) << 3 | 2);
  put_varint(out, bytes.size());
  out += bytes;
}

std::optional<uint64_t> take_varint(std::string_view& in) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(in.front());
    in.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return {};
}

/// One field of a protobuf message.
struct Field {
  uint64_t number = 0;
  int wire = 0;
  uint64_t value = 0;         ///< of a varint
  std::string_view contents;  ///< of a field with a length
  std::string_view whole;     ///< tag included
};

/// Calls visit(Field) for each field in order. False when the bytes are no protobuf message.
template <class Visit>
bool for_each_field(std::string_view in, Visit&& visit) {
  while (!in.empty()) {
    Field f;
    const std::string_view start = in;
    const auto tag = take_varint(in);
    if (!tag) return false;
    f.number = *tag >> 3;
    f.wire = static_cast<int>(*tag & 7);
    uint64_t size = 0;
    if (f.wire == 0 || f.wire == 2) {
      const auto value = take_varint(in);
      if (!value) return false;
      f.value = *value;
      if (f.wire == 2) size = *value;
    } else if (f.wire == 1 || f.wire == 5) {
      size = f.wire == 1 ? 8 : 4;
    } else {
      return false;
    }
    if (size > in.size()) return false;
    f.contents = in.substr(0, size);
    in.remove_prefix(size);
    f.whole = start.substr(0, start.size() - in.size());
    visit(f);
  }
  return true;
}

/// The tensors of serialized TensorProtos, whose names are replaced by `names`.
Result<std::vector<Tensor>> parse_tensors(std::span<const std::string_view> protos, std::span<const std::string> names) {
  std::string graph, opset, model;
  put_bytes(graph, 2, "graph");  // GraphProto.name
  for (size_t i = 0; i < protos.size(); ++i) {
    std::string tensor, output;
    const bool message = for_each_field(protos[i], [&](const Field& f) {
      if (f.number != 8) tensor += f.whole;  // TensorProto.name
    });
    if (!message) return load_error("not a serialized TensorProto: truncated or not protobuf").at_tensor(names[i]);
    put_bytes(tensor, 8, names[i]);
    put_bytes(output, 1, names[i]);  // ValueInfoProto.name
    put_bytes(graph, 5, tensor);     // GraphProto.initializer
    put_bytes(graph, 12, output);    // .output
  }
  put_varint(opset, 2 << 3), put_varint(opset, 21);  // OperatorSetIdProto.version
  put_varint(model, 1 << 3), put_varint(model, 10);  // ModelProto.ir_version
  put_bytes(model, 7, graph);
  put_bytes(model, 8, opset);

  TENON_ASSIGN(auto imported, onnx::load(std::as_bytes(std::span(model.data(), model.size()))));
  const Graph& g = imported.graph;
  std::vector<Tensor> tensors;
  for (const ValueId v : g.region(0).outputs) {
    if (!g.value(v).constant) return error(Code::kInternal, "the tensor did not become a constant");
    tensors.push_back(*g.value(v).constant);
  }
  if (tensors.size() != protos.size())
    return error(Code::kInternal, "a model of ", protos.size(), " tensors has ", tensors.size(), " outputs");
  return tensors;
}

}  // namespace

Result<ParsedValue> parse_tensor(std::string_view bytes) {
  std::string name;
  for_each_field(bytes, [&](const Field& f) {
    if (f.number == 8 && f.wire == 2) name = f.contents;
  });
  const std::string shown = "tensor";
  TENON_ASSIGN(auto tensors, parse_tensors({&bytes, 1}, {&shown, 1}));
  return ParsedValue{std::move(name), std::move(tensors[0])};
}

Result<ParsedValue> parse_sequence(std::string_view bytes, DType dtype) {
  std::string name;
  std::vector<std::string_view> protos;
  std::vector<std::string> names;
  bool others = false, foreign = false;
  const bool message = for_each_field(bytes, [&](const Field& f) {
    foreign |= f.wire != (f.number == 2 ? 0 : 2) || f.number > 7;
    if (f.number == 1) name = f.contents;
    if (f.number == 2) others |= f.value > 1;  // SequenceProto.elem_type: UNDEFINED, TENSOR
    if (f.number > 3) others = true;           // items of other kinds
    if (f.number != 3) return;
    names.push_back("item " + std::to_string(protos.size()));
    protos.push_back(f.contents);
  });
  if (!message || foreign) return load_error("not a serialized SequenceProto: truncated, or another message");
  if (others) return load_error("the SequenceProto holds items that are no tensors");
  TENON_ASSIGN(auto items, parse_tensors(protos, names));
  if (dtype == DType::kUndefined && items.empty())
    return error(Code::kArgument, "an empty SequenceProto does not tell the dtype of its items");
  if (dtype == DType::kUndefined) dtype = items[0].dtype();
  TENON_ASSIGN(Tensor value, Tensor::sequence(dtype, std::move(items)));
  return ParsedValue{std::move(name), std::move(value)};
}

Result<ParsedValue> parse_optional(std::string_view bytes, DType dtype) {
  std::string name;
  std::optional<std::string_view> tensor, sequence;
  bool others = false, foreign = false;
  const bool message = for_each_field(bytes, [&](const Field& f) {
    foreign |= f.wire != (f.number == 2 ? 0 : 2) || f.number > 7;
    if (f.number == 1) name = f.contents;
    if (f.number == 3) tensor = f.contents;
    if (f.number == 5) sequence = f.contents;
    others |= f.number == 4 || f.number == 6 || f.number == 7;  // a sparse tensor, a map, an optional
  });
  if (!message || foreign) return load_error("not a serialized OptionalProto: truncated, or another message");
  if (others || (tensor && sequence)) return load_error("the OptionalProto holds neither a tensor, nor a sequence, nor nothing");
  if (!tensor && !sequence) return ParsedValue{std::move(name), Tensor::none(dtype)};
  TENON_ASSIGN(auto value, tensor ? parse_tensor(*tensor) : parse_sequence(*sequence, dtype));
  return ParsedValue{std::move(name), std::move(value.value)};
}

}  // namespace tenon::capi

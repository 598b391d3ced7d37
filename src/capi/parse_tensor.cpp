// The importer reads models; a lone tensor is given to it as the only initializer of a model made around it.
#include "capi/parse_tensor.h"

#include <optional>

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

constexpr uint64_t kNameField = 8;

/// The tensor's name, and the message without it. Empty when the bytes are no protobuf message.
std::optional<std::pair<std::string, std::string>> split_name(std::string_view in) {
  std::string name, rest;
  while (!in.empty()) {
    const std::string_view start = in;
    const auto tag = take_varint(in);
    if (!tag) return {};
    uint64_t skip = 0;
    switch (*tag & 7) {
      case 0:
        if (!take_varint(in)) return {};
        break;
      case 1: skip = 8; break;
      case 5: skip = 4; break;
      case 2: {
        const auto size = take_varint(in);
        if (!size) return {};
        skip = *size;
        break;
      }
      default: return {};
    }
    if (skip > in.size()) return {};
    if (*tag == (kNameField << 3 | 2)) {
      name = in.substr(0, skip);
      in.remove_prefix(skip);
      continue;
    }
    in.remove_prefix(skip);
    rest += start.substr(0, start.size() - in.size());
  }
  return std::pair(std::move(name), std::move(rest));
}

}  // namespace

Result<ParsedTensor> parse_tensor(std::string_view bytes) {
  auto split = split_name(bytes);
  if (!split) return load_error("not a serialized TensorProto: truncated or not protobuf");
  auto& [name, tensor] = *split;
  static constexpr std::string_view kName = "tensor";
  put_bytes(tensor, kNameField, kName);

  std::string output, graph, opset, model;
  put_bytes(output, 1, kName);   // ValueInfoProto.name
  put_bytes(graph, 2, "graph");  // GraphProto.name
  put_bytes(graph, 5, tensor);   // .initializer
  put_bytes(graph, 12, output);  // .output
  put_varint(opset, 2 << 3), put_varint(opset, 21);  // OperatorSetIdProto.version
  put_varint(model, 1 << 3), put_varint(model, 10);  // ModelProto.ir_version
  put_bytes(model, 7, graph);
  put_bytes(model, 8, opset);

  TENON_ASSIGN(auto imported, onnx::load(std::as_bytes(std::span(model.data(), model.size()))));
  const Graph& g = imported.graph;
  if (g.region(0).outputs.size() != 1) return error(Code::kInternal, "a model of one tensor has ", g.region(0).outputs.size(), " outputs");
  const auto& constant = g.value(g.region(0).outputs[0]).constant;
  if (!constant) return error(Code::kInternal, "the tensor did not become a constant");
  return ParsedTensor{std::move(name), *constant};
}

}  // namespace tenon::capi

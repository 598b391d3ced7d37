#include "importers/onnx/skeleton.h"

#include <algorithm>
#include <span>

#include "importers/onnx/utf8.h"
#include "importers/onnx/wire.h"

namespace tenon::onnx {

namespace {

enum class Kind : uint8_t {
  kVarint,
  kFixed32,
  kText,  ///< UTF-8
  kBytes,
  kMessage,
  kVarints,  ///< repeated, packed or not
  kFloats,   ///< repeated fixed32, packed or not
  kPayload,  ///< contents of a tensor: only their place is kept
};

// clang-format off
enum class Message : uint8_t {
  kModel, kOpset, kEntry, kGraph, kFunction, kNode, kAttribute, kTensor, kSegment, kSparse, kValueInfo, kType, kTensorType, kShape,
  kDimension, kSequence, kMap, kOptional, kOpaque, kNone,
};
// clang-format on

struct Field {
  uint32_t number;
  Kind kind;
  const char* name;
  Message child = Message::kNone;
};

// The fields of onnx.proto, message by message.
// clang-format off
constexpr Field kModelFields[] = {
    {1, Kind::kVarint, "ir_version"}, {2, Kind::kText, "producer_name"}, {3, Kind::kText, "producer_version"},
    {4, Kind::kText, "domain"}, {5, Kind::kVarint, "model_version"}, {6, Kind::kText, "doc_string"},
    {7, Kind::kMessage, "graph", Message::kGraph}, {8, Kind::kMessage, "opset_import", Message::kOpset},
    {14, Kind::kMessage, "metadata_props", Message::kEntry}, {25, Kind::kMessage, "functions", Message::kFunction}};
constexpr Field kOpsetFields[] = {{1, Kind::kText, "domain"}, {2, Kind::kVarint, "version"}};
constexpr Field kEntryFields[] = {{1, Kind::kText, "key"}, {2, Kind::kText, "value"}};
constexpr Field kGraphFields[] = {
    {1, Kind::kMessage, "node", Message::kNode}, {2, Kind::kText, "name"}, {5, Kind::kMessage, "initializer", Message::kTensor},
    {11, Kind::kMessage, "input", Message::kValueInfo}, {12, Kind::kMessage, "output", Message::kValueInfo},
    {13, Kind::kMessage, "value_info", Message::kValueInfo}, {15, Kind::kMessage, "sparse_initializer", Message::kSparse}};
constexpr Field kFunctionFields[] = {
    {1, Kind::kText, "name"}, {4, Kind::kText, "input"}, {5, Kind::kText, "output"}, {6, Kind::kText, "attribute"},
    {7, Kind::kMessage, "node", Message::kNode}, {9, Kind::kMessage, "opset_import", Message::kOpset}, {10, Kind::kText, "domain"},
    {11, Kind::kMessage, "attribute_proto", Message::kAttribute}, {12, Kind::kMessage, "value_info", Message::kValueInfo},
    {13, Kind::kText, "overload"}};
constexpr Field kNodeFields[] = {
    {1, Kind::kText, "input"}, {2, Kind::kText, "output"}, {3, Kind::kText, "name"}, {4, Kind::kText, "op_type"},
    {5, Kind::kMessage, "attribute", Message::kAttribute}, {7, Kind::kText, "domain"}, {8, Kind::kText, "overload"}};
constexpr Field kAttributeFields[] = {
    {1, Kind::kText, "name"}, {2, Kind::kFixed32, "f"}, {3, Kind::kVarint, "i"}, {4, Kind::kBytes, "s"},
    {5, Kind::kMessage, "t", Message::kTensor}, {6, Kind::kMessage, "g", Message::kGraph}, {7, Kind::kFloats, "floats"},
    {8, Kind::kVarints, "ints"}, {9, Kind::kBytes, "strings"}, {10, Kind::kMessage, "tensors", Message::kTensor},
    {11, Kind::kMessage, "graphs", Message::kGraph}, {14, Kind::kMessage, "tp", Message::kType},
    {15, Kind::kMessage, "type_protos", Message::kType}, {20, Kind::kVarint, "type"}, {21, Kind::kText, "ref_attr_name"},
    {22, Kind::kMessage, "sparse_tensor", Message::kSparse}, {23, Kind::kMessage, "sparse_tensors", Message::kSparse}};
constexpr Field kTensorFields[] = {
    {1, Kind::kVarints, "dims"}, {2, Kind::kVarint, "data_type"}, {3, Kind::kMessage, "segment", Message::kSegment},
    {4, Kind::kPayload, "float_data"}, {5, Kind::kPayload, "int32_data"}, {6, Kind::kPayload, "string_data"},
    {7, Kind::kPayload, "int64_data"}, {8, Kind::kText, "name"}, {9, Kind::kPayload, "raw_data"}, {10, Kind::kPayload, "double_data"},
    {11, Kind::kPayload, "uint64_data"}, {13, Kind::kMessage, "external_data", Message::kEntry}, {14, Kind::kVarint, "data_location"}};
constexpr Field kSegmentFields[] = {{1, Kind::kVarint, "begin"}, {2, Kind::kVarint, "end"}};
constexpr Field kSparseFields[] = {{1, Kind::kMessage, "values", Message::kTensor}, {2, Kind::kMessage, "indices", Message::kTensor},
                                   {3, Kind::kVarints, "dims"}};
constexpr Field kValueInfoFields[] = {{1, Kind::kText, "name"}, {2, Kind::kMessage, "type", Message::kType}};
constexpr Field kTypeFields[] = {
    {1, Kind::kMessage, "tensor_type", Message::kTensorType}, {4, Kind::kMessage, "sequence_type", Message::kSequence},
    {5, Kind::kMessage, "map_type", Message::kMap}, {7, Kind::kMessage, "opaque_type", Message::kOpaque},
    {8, Kind::kMessage, "sparse_tensor_type", Message::kTensorType}, {9, Kind::kMessage, "optional_type", Message::kOptional}};
constexpr Field kTensorTypeFields[] = {{1, Kind::kVarint, "elem_type"}, {2, Kind::kMessage, "shape", Message::kShape}};
constexpr Field kShapeFields[] = {{1, Kind::kMessage, "dim", Message::kDimension}};
constexpr Field kDimensionFields[] = {{1, Kind::kVarint, "dim_value"}, {2, Kind::kText, "dim_param"}};
constexpr Field kElementFields[] = {{1, Kind::kMessage, "elem_type", Message::kType}};
constexpr Field kMapFields[] = {{1, Kind::kVarint, "key_type"}, {2, Kind::kMessage, "value_type", Message::kType}};
constexpr Field kOpaqueFields[] = {{1, Kind::kText, "domain"}, {2, Kind::kText, "name"}};
// clang-format on

struct Schema {
  const char* name;
  std::span<const Field> fields;
};
const Schema& schema_of(Message message) {
  // clang-format off
  static constexpr Schema kSchemas[] = {
      {"ModelProto", kModelFields}, {"OperatorSetIdProto", kOpsetFields}, {"StringStringEntryProto", kEntryFields},
      {"GraphProto", kGraphFields}, {"FunctionProto", kFunctionFields}, {"NodeProto", kNodeFields},
      {"AttributeProto", kAttributeFields}, {"TensorProto", kTensorFields}, {"TensorProto.Segment", kSegmentFields},
      {"SparseTensorProto", kSparseFields}, {"ValueInfoProto", kValueInfoFields}, {"TypeProto", kTypeFields},
      {"TypeProto.Tensor", kTensorTypeFields}, {"TensorShapeProto", kShapeFields}, {"TensorShapeProto.Dimension", kDimensionFields},
      {"TypeProto.Sequence", kElementFields}, {"TypeProto.Map", kMapFields}, {"TypeProto.Optional", kElementFields},
      {"TypeProto.Opaque", kOpaqueFields}, {"", {}}};
  // clang-format on
  return kSchemas[static_cast<size_t>(message)];
}

void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void put_tag(std::string& out, uint32_t number, Wire wire) { put_varint(out, uint64_t{number} << 3 | static_cast<uint64_t>(wire)); }

/// Lengths of messages are written in five bytes once the message is complete.
void put_length(std::string& out, size_t at, size_t length) {
  for (int i = 0; i < 5; ++i) {
    out[at + static_cast<size_t>(i)] = static_cast<char>((length >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0));
  }
}

class Scanner {
 public:
  Scanner(Source& source, const Limits& limits, Watch& watch)
      : source_(source), limits_(limits), watch_(watch), in_(source, 0, source.size()) {}

  Result<std::string> run() {
    message(Message::kModel, UINT64_MAX, 1, 0);
    if (!in_.status().ok()) return in_.status();
    return std::move(out_);
  }

 private:
  /// A run of single elements of one tensor field, being collected.
  struct Run {
    uint32_t number = 0;
    uint64_t start = 0;
    uint64_t end = 0;
  };

  bool message(Message kind, uint64_t end, int depth, int graphs);
  bool field(const Schema& schema, const Field& f, Wire wire, uint64_t start, uint64_t end, int depth, int graphs, Run& run);
  bool payload(const Field& f, Wire wire, uint64_t start, uint64_t end, Run& run);
  bool text(const Schema& schema, const Field& f, uint64_t end);
  bool length(const Schema& schema, const char* name, uint64_t end, uint64_t& n);
  bool skip(const Schema& schema, uint32_t number, Wire wire, uint64_t end);
  void flush(Run& run);
  void put_payload(uint32_t number, uint64_t offset, uint64_t size, bool tagged);
  bool wrong_wire(const Schema& schema, const Field& f, Wire wire) {
    return in_.fail(load_error("malformed: field ", f.name, " of ", schema.name, " has wire type ", static_cast<int>(wire)));
  }

  Source& source_;
  const Limits& limits_;
  Watch& watch_;
  WireReader in_;
  std::string out_;
  int64_t nodes_ = 0;
  uint64_t turns_ = 0;
};

bool Scanner::message(Message kind, uint64_t end, int depth, int graphs) {
  const Schema& schema = schema_of(kind);
  if (depth > limits_.nesting) {
    return in_.fail(limit_error("nesting of messages passes the limit of ", limits_.nesting, " at a ", schema.name));
  }
  if (kind == Message::kGraph && ++graphs > limits_.subgraph_depth + 1) {
    return in_.fail(limit_error("nesting of subgraphs passes the depth limit of ", limits_.subgraph_depth));
  }
  if (kind == Message::kNode && ++nodes_ > limits_.nodes) {
    return in_.fail(limit_error("the file has more nodes than the limit of ", limits_.nodes));
  }
  Run run;
  while (in_.position() < end && !in_.at_end()) {
    if ((++turns_ & 0xfff) == 0) {
      if (auto s = watch_.check(); !s.ok()) return in_.fail(std::move(s));
      if (static_cast<int64_t>(out_.size()) > limits_.structure_bytes) {
        return in_.fail(
            limit_error("the model's structure, without tensor contents, passes the limit of ", limits_.structure_bytes, " bytes"));
      }
    }
    const uint64_t start = in_.position();
    uint64_t tag = 0;
    if (!in_.varint(tag)) return false;
    const auto wire = static_cast<Wire>(tag & 7);
    const uint64_t number = tag >> 3;
    if (number == 0 || number > 0x1fffffff || (tag & 7) > 5) {
      return in_.fail(load_error(kind == Message::kModel && depth == 1 ? "not an ONNX model" : "malformed", ": a ", schema.name,
                                 " has tag ", tag, " at position ", start));
    }
    const auto f = std::find_if(schema.fields.begin(), schema.fields.end(), [&](const Field& x) { return x.number == number; });
    if (run.number && (number != run.number || start != run.end)) flush(run);
    const bool ok = f == schema.fields.end() ? skip(schema, static_cast<uint32_t>(number), wire, end)
                                             : field(schema, *f, wire, start, end, depth, graphs, run);
    if (!ok) return false;
    if (in_.position() > end) return in_.fail(load_error("malformed: a ", schema.name, " runs past its end at position ", end));
  }
  if (run.number) flush(run);
  return in_.status().ok();
}

bool Scanner::length(const Schema& schema, const char* name, uint64_t end, uint64_t& n) {
  if (!in_.varint(n)) return false;
  const uint64_t limit = std::min(end, in_.end());
  const uint64_t left = limit - std::min(limit, in_.position());
  if (n <= left) return true;
  return in_.fail(load_error(limit == in_.end() ? "truncated" : "malformed (truncated)", ": field ", name, " of ", schema.name, " claims ",
                             n, " bytes, ", left, " are left"));
}

bool Scanner::skip(const Schema& schema, uint32_t number, Wire wire, uint64_t end) {
  uint64_t n = 0;
  switch (wire) {
    case Wire::kVarint: return in_.varint(n);
    case Wire::kFixed32: return in_.skip(4);
    case Wire::kFixed64: return in_.skip(8);
    case Wire::kBytes: return length(schema, ("number " + std::to_string(number)).c_str(), end, n) && in_.skip(n);
    default: return in_.fail(load_error("malformed: group field ", number, " in a ", schema.name));
  }
}

bool Scanner::text(const Schema& schema, const Field& f, uint64_t end) {
  uint64_t n = 0;
  if (!length(schema, f.name, end, n)) return false;
  if (n > static_cast<uint64_t>(limits_.structure_bytes)) {
    return in_.fail(limit_error("field ", f.name, " of a ", schema.name, " has ", n, " bytes, the limit is ", limits_.structure_bytes));
  }
  put_tag(out_, f.number, Wire::kBytes);
  put_varint(out_, n);
  const size_t from = out_.size();
  if (!in_.append(out_, n)) return false;
  if (f.kind == Kind::kText && !is_utf8(std::string_view(out_).substr(from))) {
    return in_.fail(
        load_error("field ", f.name, " of a ", schema.name, " is not valid UTF-8: '", printable(std::string_view(out_).substr(from)), "'"));
  }
  return true;
}

bool Scanner::field(const Schema& schema, const Field& f, Wire wire, uint64_t start, uint64_t end, int depth, int graphs, Run& run) {
  uint64_t n = 0;
  switch (f.kind) {
    case Kind::kVarint:
    case Kind::kVarints:
      if (wire == Wire::kVarint) {
        if (!in_.varint(n)) return false;
        put_tag(out_, f.number, wire);
        put_varint(out_, n);
        return true;
      }
      if (f.kind == Kind::kVarint || wire != Wire::kBytes) return wrong_wire(schema, f, wire);
      return text(schema, f, end);
    case Kind::kFixed32:
    case Kind::kFloats:
      if (wire == Wire::kFixed32) {
        put_tag(out_, f.number, wire);
        return in_.append(out_, 4);
      }
      if (f.kind == Kind::kFixed32 || wire != Wire::kBytes) return wrong_wire(schema, f, wire);
      return text(schema, f, end);
    case Kind::kText:
    case Kind::kBytes: return wire == Wire::kBytes ? text(schema, f, end) : wrong_wire(schema, f, wire);
    case Kind::kMessage: {
      if (wire != Wire::kBytes) return wrong_wire(schema, f, wire);
      if (!length(schema, f.name, end, n)) return false;
      put_tag(out_, f.number, wire);
      const size_t at = out_.size();
      out_.append(5, '\0');
      const uint64_t child_end = in_.position() + n;
      if (!message(f.child, child_end, depth + 1, graphs)) return false;
      if (in_.position() != child_end) {
        return in_.fail(
            load_error("truncated: field ", f.name, " of a ", schema.name, " ends at position ", in_.position(), ", expected ", child_end));
      }
      put_length(out_, at, out_.size() - at - 5);
      if (in_.end() != UINT64_MAX && depth <= 2)
        watch_.progress(0.2 * static_cast<double>(in_.position()) / static_cast<double>(in_.end()));
      return true;
    }
    case Kind::kPayload: return payload(f, wire, start, end, run);
  }
  return false;
}

bool Scanner::payload(const Field& f, Wire wire, uint64_t start, uint64_t end, Run& run) {
  const Schema& schema = schema_of(Message::kTensor);
  const bool fixed64 = f.number == 10;
  const bool fixed32 = f.number == 4;
  const bool varints = f.number == 5 || f.number == 7 || f.number == 11;
  const bool single = (wire == Wire::kFixed64 && fixed64) || (wire == Wire::kFixed32 && fixed32) || (wire == Wire::kVarint && varints) ||
                      (wire == Wire::kBytes && f.number == 6);
  if (!single && wire != Wire::kBytes) return wrong_wire(schema, f, wire);
  if (single) {
    if (!skip(schema, f.number, wire, end)) return false;
    if (run.number == 0) run = {f.number, start, start};
    run.end = in_.position();
    return true;
  }
  uint64_t n = 0;
  if (run.number) flush(run);
  if (!length(schema, f.name, end, n)) return false;
  const uint64_t offset = in_.position();
  if (auto s = source_.keep(offset, n); !s.ok()) return in_.fail(std::move(s));
  if (!in_.skip(n)) return false;
  put_payload(f.number, offset, n, false);
  return true;
}

void Scanner::flush(Run& run) {
  put_payload(run.number, run.start, run.end - run.start, true);
  run = {};
}

void Scanner::put_payload(uint32_t number, uint64_t offset, uint64_t size, bool tagged) {
  std::string body;
  put_tag(body, 1, Wire::kVarint);
  put_varint(body, number);
  put_tag(body, 2, Wire::kVarint);
  put_varint(body, offset);
  put_tag(body, 3, Wire::kVarint);
  put_varint(body, size);
  put_tag(body, 4, Wire::kVarint);
  put_varint(body, tagged ? 1 : 0);
  put_tag(out_, 1000, Wire::kBytes);
  put_varint(out_, body.size());
  out_ += body;
}

/// What a file that is no ONNX model may be, from its first bytes.
Status check_start(Source& source) {
  char start[64] = {};
  TENON_ASSIGN(const size_t got, source.read_some(0, sizeof start, start));
  const std::string_view head(start, got);
  if (got == 0) return load_error("the file is empty");
  if (head.starts_with("\x1f\x8b")) return load_error("the file is compressed with gzip; unpack it first");
  if (head.starts_with("PK\x03\x04")) return load_error("the file is a zip archive (a PyTorch checkpoint?), expected an ONNX model");
  if (head.starts_with("version https://git-lfs"))
    return load_error("the file is a Git LFS pointer, not the model itself; run git lfs pull");
  if (head.starts_with("\x89HDF")) return load_error("the file is HDF5 (a Keras model?), expected an ONNX model");
  if (head.starts_with("ORTM") || head.substr(std::min<size_t>(4, got)).starts_with("ORTM")) {
    return load_error("the file is in ONNX Runtime's own ORT format, expected an ONNX model");
  }
  if (head.substr(std::min<size_t>(4, got)).starts_with("TFL3"))
    return load_error("the file is a TensorFlow Lite model, expected an ONNX model");
  if (head.starts_with("<!DOCTYPE") || head.starts_with("<html")) return load_error("the file is a web page, expected an ONNX model");
  return {};
}

}  // namespace

Result<std::string> read_skeleton(Source& source, const Limits& limits, Watch& watch) {
  TENON_TRY(check_start(source));
  return Scanner(source, limits, watch).run();
}

}  // namespace tenon::onnx

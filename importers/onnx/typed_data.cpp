#include "importers/onnx/typed_data.h"

#include <cstring>

#include "importers/onnx/wire.h"

namespace tenon::onnx {

namespace {

enum Field { kFloatData = 4, kInt32Data = 5, kStringData = 6, kInt64Data = 7, kDoubleData = 10, kUint64Data = 11 };

/// Numbers on the wire that make up `count` elements.
int64_t numbers_of(DType dtype, int64_t count) {
  if (dtype == DType::kString) return count;
  if (is_complex(dtype)) return count * 2;
  const int bits = file_bits(dtype);
  return bits >= 8 ? count : (count + 8 / bits - 1) / (8 / bits);
}

/// Walks the numbers of a typed field across its payloads.
class Numbers {
 public:
  Numbers(Source& model, const onnxpb::TensorProto& proto, Watch& watch) : model_(model), proto_(proto), watch_(watch) { open(); }

  /// False at the end or on an error.
  bool more() {
    while (status_.ok() && part_ < proto_.payload_size() && in_->at_end()) {
      if (!in_->status().ok()) return fail();
      ++part_;
      open();
    }
    if (!status_.ok() || part_ >= proto_.payload_size()) return false;
    if ((++turns_ & 0xffff) == 0) {
      status_ = watch_.check();
      if (!status_.ok()) return false;
    }
    uint64_t tag;
    return !proto_.payload(part_).tagged() || in_->varint(tag) || fail();
  }
  bool varint(uint64_t& v) { return in_->varint(v) || fail(); }
  bool bytes(void* to, size_t n) { return in_->bytes(to, n) || fail(); }
  bool text(std::string& to) {
    uint64_t n = 0;
    to.clear();
    return (in_->varint(n) && n <= in_->end() - in_->position() && in_->append(to, n)) || fail();
  }
  const Status& status() const { return status_; }

 private:
  void open() {
    if (part_ >= proto_.payload_size()) return;
    const auto& p = proto_.payload(part_);
    in_.emplace(model_, p.offset(), p.offset() + p.size());
  }
  bool fail() {
    if (status_.ok()) status_ = in_->status().ok() ? load_error("malformed contents") : in_->status();
    return false;
  }
  Source& model_;
  const onnxpb::TensorProto& proto_;
  Watch& watch_;
  std::optional<WireReader> in_;
  int part_ = 0;
  uint64_t turns_ = 0;
  Status status_;
};

Status wrong_count(const onnxpb::TensorProto& proto, const Tensor& t, int64_t wanted, int64_t got, bool more) {
  return load_error(name_of(t.dtype()), str(t.dims()), " needs ", wanted, " numbers, ", field_name(proto.payload(0).field()), " has ",
                    more ? "more" : std::to_string(got));
}

template <class T, bool kVarint>
Status fill(Numbers& in, const onnxpb::TensorProto& proto, const Tensor& t, T* out, int64_t wanted, int64_t low, int64_t high) {
  int64_t got = 0;
  while (in.more()) {
    if (got == wanted) return wrong_count(proto, t, wanted, got, true);
    if constexpr (kVarint) {
      uint64_t v = 0;
      if (!in.varint(v)) break;
      const auto value = static_cast<int64_t>(v);
      if (low < high && (value < low || value > high)) {
        return load_error("element ", got, " in ", field_name(proto.payload(0).field()), " is ", value, ", outside ", name_of(t.dtype()));
      }
      out[got++] = static_cast<T>(v);
    } else {
      if (!in.bytes(&out[got], sizeof(T))) break;
      ++got;
    }
  }
  TENON_TRY(in.status());
  return got == wanted ? Status() : wrong_count(proto, t, wanted, got, false);
}

}  // namespace

const char* field_name(int field) {
  switch (field) {
    case kFloatData: return "float_data";
    case kInt32Data: return "int32_data";
    case kStringData: return "string_data";
    case kInt64Data: return "int64_data";
    case kRawData: return "raw_data";
    case kDoubleData: return "double_data";
    case kUint64Data: return "uint64_data";
    default: return "an unknown field";
  }
}

int typed_field(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kComplex64: return kFloatData;
    case DType::kFloat64:
    case DType::kComplex128: return kDoubleData;
    case DType::kInt64: return kInt64Data;
    case DType::kUint32:
    case DType::kUint64: return kUint64Data;
    case DType::kString: return kStringData;
    default: return kInt32Data;
  }
}

bool is_fixed_width(int field) { return field == kFloatData || field == kDoubleData; }

Status check_typed_size(const onnxpb::TensorProto& proto, DType dtype, int64_t count) {
  uint64_t bytes = 0;
  for (const auto& p : proto.payload()) bytes += p.size();
  const int64_t numbers = numbers_of(dtype, count);
  const auto least = is_fixed_width(proto.payload(0).field()) ? size_of(dtype) / (is_complex(dtype) ? 2 : 1) : size_t{1};
  if (static_cast<uint64_t>(numbers) <= bytes / least) return {};
  return load_error(name_of(dtype), "[", count, " elements] needs ", numbers, " numbers, ", field_name(proto.payload(0).field()),
                    " has only ", bytes, " bytes");
}

Status read_typed(Source& model, const onnxpb::TensorProto& proto, const Tensor& t, Watch& watch) {
  Numbers in(model, proto, watch);
  const int64_t n = numbers_of(t.dtype(), t.count());
  const auto narrow = [&]<class T>(T, int64_t low, int64_t high) { return fill<T, true>(in, proto, t, t.as<T>(), n, low, high); };
  switch (t.dtype()) {
    case DType::kFloat32:
    case DType::kComplex64: return fill<float, false>(in, proto, t, t.as<float>(), n, 0, 0);
    case DType::kFloat64:
    case DType::kComplex128: return fill<double, false>(in, proto, t, t.as<double>(), n, 0, 0);
    case DType::kInt64:
    case DType::kUint64: return narrow(uint64_t{}, 0, 0);
    case DType::kUint32: return narrow(uint32_t{}, 0, UINT32_MAX);
    case DType::kInt32: return narrow(int32_t{}, INT32_MIN, INT32_MAX);
    case DType::kInt16: return narrow(int16_t{}, INT16_MIN, INT16_MAX);
    case DType::kInt8: return narrow(int8_t{}, INT8_MIN, INT8_MAX);
    case DType::kBool: return narrow(uint8_t{}, 0, 1);
    case DType::kUint16:
    case DType::kFloat16:
    case DType::kBFloat16: return narrow(uint16_t{}, 0, UINT16_MAX);
    default: break;
  }
  // One byte each; 2- and 4-bit elements are packed bytes and go to the end of the tensor.
  auto* out = t.as<uint8_t>() + (t.count() - n);
  const bool packed = file_bits(t.dtype()) < 8;
  return fill<uint8_t, true>(in, proto, t, out, n, packed ? -128 : 0, UINT8_MAX);
}

Result<std::vector<std::string>> read_strings(Source& model, const onnxpb::TensorProto& proto, int64_t count, Watch& watch) {
  TENON_TRY(check_typed_size(proto, DType::kString, count));
  Numbers in(model, proto, watch);
  std::vector<std::string> values;
  values.reserve(static_cast<size_t>(count));
  std::string value;
  while (in.more() && in.text(value)) {
    if (static_cast<int64_t>(values.size()) == count) return load_error("string_data has more than the ", count, " elements of the tensor");
    values.push_back(value);
  }
  TENON_TRY(in.status());
  if (static_cast<int64_t>(values.size()) != count)
    return load_error("string tensor needs ", count, " elements, string_data has ", values.size());
  return values;
}

}  // namespace tenon::onnx

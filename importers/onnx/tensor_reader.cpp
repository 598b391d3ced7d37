#include "importers/onnx/tensor_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "importers/onnx/tensor_contents.h"
#include "importers/onnx/typed_data.h"
#include "importers/onnx/utf8.h"

namespace tenon::onnx {

static_assert(std::endian::native == std::endian::little, "tensor bytes in files are little-endian");

namespace {

constexpr size_t kOpenFiles = 64;            // held open by tensors not yet read
constexpr size_t kLarge = size_t{64} << 10;  // smaller tensors are not worth leaving for later

/// Bytes that `count` elements take in a file; for strings, which have no fixed size, at least.
std::optional<int64_t> file_bytes(DType dtype, int64_t count) {
  if (dtype == DType::kString) return count;
  const int bits = file_bits(dtype);
  if (bits >= 8) return checked_mul(count, bits / 8);
  const int per_byte = 8 / bits;
  return count / per_byte + (count % per_byte != 0);
}

std::string shape_text(DType dtype, const Dims& dims) { return std::string(name_of(dtype)) + str(dims); }

/// A non-negative decimal number.
std::optional<uint64_t> parse_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    if (__builtin_mul_overflow(value, uint64_t{10}, &value) || __builtin_add_overflow(value, static_cast<uint64_t>(c - '0'), &value)) {
      return std::nullopt;
    }
  }
  return value;
}

}  // namespace

std::string data_type_name(int32_t data_type) {
  return is_valid(data_type) ? std::string(name_of(static_cast<DType>(data_type))) : "data type " + std::to_string(data_type);
}

Result<Tensor> TensorReader::begin(const onnxpb::TensorProto& proto, std::string_view name) {
  name_ = printable(name);
  auto tensor = checked(proto);
  if (!tensor.ok()) return std::move(tensor).status().at_tensor(name_);
  return tensor;
}

Result<Tensor> TensorReader::read(const onnxpb::TensorProto& proto, std::string_view name) {
  TENON_ASSIGN(Tensor tensor, begin(proto, name));
  TENON_TRY(settle({&tensor.buffer(), 1}));
  return tensor;
}

Result<Tensor> TensorReader::checked(const onnxpb::TensorProto& proto) {
  if (!is_valid(proto.data_type())) return load_error("data_type ", proto.data_type(), " is not one of ONNX's element types");
  const auto dtype = static_cast<DType>(proto.data_type());
  if (proto.has_segment()) return load_error("the tensor is stored in segments, which ONNX never defined");
  if (proto.dims_size() > c_.limits.rank) return limit_error("rank ", proto.dims_size(), " passes the limit of ", c_.limits.rank);
  Dims dims(proto.dims().begin(), proto.dims().end());
  int64_t count = 1;
  for (const int64_t d : dims) {
    if (d < 0) return load_error("dim ", d, " of ", shape_text(dtype, dims), " is negative");
    const auto product = checked_mul(count, d);
    if (!product) return load_error("the number of elements of ", shape_text(dtype, dims), " overflows 64 bits");
    count = *product;
  }
  if (!checked_mul(count, static_cast<int64_t>(std::max<size_t>(16, size_of(dtype))))) {
    return load_error("the size in bytes of ", shape_text(dtype, dims), " overflows 64 bits");
  }
  if (proto.data_location() != 0 && proto.data_location() != 1) {
    return load_error("data_location ", proto.data_location(), " is unknown, expected 0 (in the model) or 1 (external)");
  }
  if (proto.data_location() == 1) return external_contents(proto, dtype, std::move(dims), count);
  if (proto.external_data_size() != 0) return load_error("external_data is given, but data_location says the contents are in the model");
  return inline_contents(proto, dtype, std::move(dims), count);
}

Result<Tensor> TensorReader::inline_contents(const onnxpb::TensorProto& proto, DType dtype, Dims dims, int64_t count) {
  for (const auto& part : proto.payload()) {
    if (part.field() != proto.payload(0).field()) {
      if (part.size() == 0 || proto.payload(0).size() == 0) continue;
      return load_error("contents are given twice: in ", field_name(proto.payload(0).field()), " and in ", field_name(part.field()));
    }
  }
  // An empty field is as good as none: some writers always set raw_data.
  const onnxpb::Payload* first = nullptr;
  for (const auto& part : proto.payload()) {
    if (part.size() != 0) first = first ? first : &part;
  }
  const auto bytes = file_bytes(dtype, count);
  if (!first) {
    if (count == 0) return Tensor::allocate(dtype, std::move(dims), c_.allocator);
    return load_error(shape_text(dtype, dims), " needs ", bytes.value_or(count), " bytes of contents, got 0");
  }
  if (first->field() != kRawData) return typed(proto, dtype, std::move(dims), count);
  if (proto.payload_size() > 1) return load_error("raw_data is given twice");
  if (dtype == DType::kString) return load_error("a string tensor has raw_data, expected string_data");
  if (!bytes || first->size() != static_cast<uint64_t>(*bytes)) {
    return load_error(shape_text(dtype, dims), " needs ", bytes.value_or(0), " bytes, raw_data has ", first->size());
  }
  return raw(c_.model, first->offset(), dtype, std::move(dims), count);
}

Result<Tensor> TensorReader::external_contents(const onnxpb::TensorProto& proto, DType dtype, Dims dims, int64_t count) {
  const std::string *location = nullptr, *offset_text = nullptr, *length_text = nullptr, *checksum = nullptr;
  for (const auto& entry : proto.external_data()) {
    const std::string** slot = entry.key() == "location"   ? &location
                               : entry.key() == "offset"   ? &offset_text
                               : entry.key() == "length"   ? &length_text
                               : entry.key() == "checksum" ? &checksum
                                                           : nullptr;
    if (!slot)
      return load_error("external_data key '", printable(entry.key()), "' is unknown, expected location, offset, length or checksum");
    if (*slot) return load_error("external_data key '", entry.key(), "' is given twice");
    *slot = &entry.value();
  }
  for (const auto& part : proto.payload()) {
    if (part.size() != 0) return load_error("contents are given twice: as external data and in ", field_name(part.field()));
  }
  if (!location) return load_error("external_data has no location");
  if (dtype == DType::kString) return load_error("a string tensor cannot have external data");
  const auto offset = offset_text ? parse_number(*offset_text) : 0;
  if (!offset) return load_error("external data offset '", printable(*offset_text), "' is not a number from 0 to 2^64-1");
  std::optional<uint64_t> length;
  if (length_text && !(length = parse_number(*length_text))) {
    return load_error("external data length '", printable(*length_text), "' is not a number from 0 to 2^64-1");
  }
  if (location->find("_ORT_MEM_ADDR_") != std::string::npos) {
    return load_error("location '", printable(*location), "' is an address in another program's memory, expected a file");
  }
  TENON_ASSIGN(auto file, c_.external.open(*location));
  const uint64_t size = file->size();
  const auto bytes = file_bytes(dtype, count);
  const uint64_t needed = static_cast<uint64_t>(bytes.value_or(0));
  if (!bytes || (length && *length != needed)) {
    return load_error(shape_text(dtype, dims), " needs ", needed, " bytes, external data has length ", length.value_or(0), " ('",
                      printable(*location), "', ", size, " bytes)");
  }
  if (*offset > size || needed > size - *offset) {
    return load_error("external data offset ", *offset, " + length ", needed, " runs past the end of '", printable(*location),
                      "', which has ", size, " bytes");
  }
  if (checksum && c_.verify_checksums) TENON_TRY(c_.external.verify(*file, *checksum, *c_.watch));
  return raw(std::move(file), *offset, dtype, std::move(dims), count);
}

Result<Tensor> TensorReader::raw(std::shared_ptr<Source> source, uint64_t offset, DType dtype, Dims dims, int64_t count) {
  const auto bytes = static_cast<size_t>(*file_bytes(dtype, count));
  if (bytes == 0) return Tensor::allocate(dtype, std::move(dims), c_.allocator);
  Source::View view;
  if (file_bits(dtype) >= 8 && dtype != DType::kBool) view = source->view(offset, bytes, size_of(dtype));
  if (view.buffer && !view.mapped) return Tensor::view(dtype, std::move(dims), std::move(view.buffer), view.offset);
  sources_.insert(source.get());
  auto contents = std::make_shared<TensorContents>(std::move(source), offset, dtype, name_, c_.watch, c_.faults, c_.cache);
  std::shared_ptr<Buffer> buffer;
  if (view.buffer) {
    std::byte* const at = view.buffer->address() + view.offset;
    buffer = Buffer::mapped(at, bytes, std::move(contents), [mapping = std::move(view.buffer), at, bytes] { forget_pages(at, bytes); });
  } else {
    TENON_ASSIGN(buffer, Buffer::late(static_cast<size_t>(count) * size_of(dtype), std::move(contents), c_.allocator));
  }
  begun_.push_back(buffer);
  if (sources_.size() >= kOpenFiles) TENON_TRY(finish(Extent::kAll));
  return Tensor::view(dtype, std::move(dims), std::move(buffer));
}

Status TensorReader::finish(Extent extent) {
  std::vector<std::shared_ptr<Buffer>> large;
  if (extent == Extent::kSmall) {
    const auto begin = std::stable_partition(begun_.begin(), begun_.end(), [](const auto& b) { return b->size() < kLarge; });
    large.assign(std::make_move_iterator(begin), std::make_move_iterator(begun_.end()));
    begun_.erase(begin, begun_.end());
  } else {
    sources_.clear();
  }
  TENON_TRY(settle(begun_, [this](double done) { c_.watch->progress(0.2 + 0.6 * done); }));
  begun_ = std::move(large);
  return {};
}

Result<Tensor> TensorReader::typed(const onnxpb::TensorProto& proto, DType dtype, Dims dims, int64_t count) {
  const int field = proto.payload(0).size() ? proto.payload(0).field() : proto.payload(proto.payload_size() - 1).field();
  if (const int wanted = typed_field(dtype); field != wanted) {
    return load_error("a ", name_of(dtype), " tensor has its contents in ", field_name(field), ", expected raw_data or ",
                      field_name(wanted));
  }
  if (dtype == DType::kString) return strings(proto, std::move(dims), count);
  // A packed block of equal width is copied like raw data.
  if (proto.payload_size() == 1 && !proto.payload(0).tagged() && is_fixed_width(field)) {
    const auto bytes = file_bytes(dtype, count);
    if (proto.payload(0).size() != static_cast<uint64_t>(*bytes)) {
      return load_error(shape_text(dtype, dims), " needs ", *bytes, " bytes, ", field_name(field), " has ", proto.payload(0).size());
    }
    return raw(c_.model, proto.payload(0).offset(), dtype, std::move(dims), count);
  }
  TENON_TRY(check_typed_size(proto, dtype, count));
  TENON_ASSIGN(Tensor tensor, Tensor::allocate(dtype, std::move(dims), c_.allocator));
  TENON_TRY(read_typed(*c_.model, proto, tensor, *c_.watch));
  if (file_bits(dtype) < 8) unpack(dtype, tensor.as<std::byte>(), static_cast<size_t>(count));
  return tensor;
}

Result<Tensor> TensorReader::strings(const onnxpb::TensorProto& proto, Dims dims, int64_t count) {
  TENON_ASSIGN(const auto values, read_strings(*c_.model, proto, count, *c_.watch));
  return Tensor::strings(std::move(dims), values, c_.allocator);
}

Result<Tensor> TensorReader::expand(const onnxpb::SparseTensorProto& proto, std::string_view name) {
  auto dense = [&]() -> Result<Tensor> {
    if (proto.dims_size() > c_.limits.rank) return limit_error("rank ", proto.dims_size(), " passes the limit of ", c_.limits.rank);
    TENON_ASSIGN(const Tensor values, read(proto.values(), name));
    TENON_ASSIGN(const Tensor indices, read(proto.indices(), name));
    const DType dtype = values.dtype();
    Dims dims(proto.dims().begin(), proto.dims().end());
    if (dims.empty()) return load_error("a sparse tensor has no dims");
    int64_t count = 1;
    for (const int64_t d : dims) {
      if (d <= 0) return load_error("dim ", d, " of sparse ", shape_text(dtype, dims), " is not positive");
      const auto product = checked_mul(count, d);
      if (!product) return limit_error("the number of elements of sparse ", shape_text(dtype, dims), " overflows 64 bits");
      count = *product;
    }
    if (values.rank() != 1) return load_error("values of a sparse tensor have rank ", values.rank(), ", expected 1");
    if (dtype == DType::kString) return load_error("a sparse string tensor is not supported");
    if (indices.dtype() != DType::kInt64)
      return load_error("indices of a sparse tensor are ", name_of(indices.dtype()), ", expected int64");
    const int64_t n = values.count();
    const auto rank = static_cast<int64_t>(dims.size());
    const bool linear = indices.rank() == 1;
    if (indices.rank() > 2 || indices.rank() == 0 || indices.dims()[0] != n || (!linear && indices.dims()[1] != rank)) {
      return load_error("indices of a sparse tensor have shape ", str(indices.dims()), ", expected [", n, "] or [", n, ", ", rank, "]");
    }
    const auto bytes = checked_mul(count, static_cast<int64_t>(size_of(dtype)));
    const int64_t allowed = std::max<int64_t>(c_.limits.expanded_bytes, 4 * static_cast<int64_t>(values.bytes() + indices.bytes()));
    if (!bytes || *bytes > allowed) {
      return limit_error("sparse ", shape_text(dtype, dims), " with ", n, " values expands to more than the limit of ", allowed, " bytes");
    }
    TENON_ASSIGN(Tensor out, Tensor::allocate(dtype, dims, c_.allocator));
    if (out.bytes()) std::memset(out.data(), 0, out.bytes());
    const size_t width = size_of(dtype);
    int64_t last = -1;
    for (int64_t k = 0; k < n; ++k) {
      int64_t at = 0;
      if (linear) {
        at = indices.as<int64_t>()[k];
        if (at < 0 || at >= count) return load_error("index ", at, " of a sparse tensor is outside its ", count, " elements");
      } else {
        for (int64_t d = 0; d < rank; ++d) {
          const int64_t i = indices.as<int64_t>()[k * rank + d];
          const int64_t dim = dims[static_cast<size_t>(d)];
          if (i < 0 || i >= dim) return load_error("index ", i, " of a sparse tensor is outside dim ", d, " of size ", dim);
          at = at * dim + i;
        }
      }
      if (at <= last) return load_error("indices of a sparse tensor are not in ascending order, or twice the same, at position ", k);
      last = at;
      std::memcpy(static_cast<char*>(out.data()) + static_cast<size_t>(at) * width,
                  static_cast<const char*>(values.data()) + static_cast<size_t>(k) * width, width);
    }
    return out;
  }();
  if (!dense.ok()) return std::move(dense).status().at_tensor(printable(name));
  return dense;
}

}  // namespace tenon::onnx

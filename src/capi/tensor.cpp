// Tensors owned or borrowed.
#include <cstring>

#include "capi/handles.h"
#include "capi/parse_tensor.h"

using namespace tenon;
using namespace tenon::capi;

namespace {

constexpr size_t kMaxRank = 16;

/// dtype and dims as the caller gave them, checked.
struct Request {
  DType dtype;
  Dims dims;
  size_t bytes;
};

Result<Request> check(const char* function, tenon_dtype dtype, const int64_t* dims, size_t rank) {
  if (!is_valid(static_cast<int32_t>(dtype)) || size_of(static_cast<DType>(dtype)) == 0) {
    return argument_error(function, "dtype " + std::to_string(static_cast<int>(dtype)) + " is not an element type");
  }
  if (rank > kMaxRank) return argument_error(function, "rank " + std::to_string(rank) + " is over " + std::to_string(kMaxRank));
  if (rank > 0 && !dims) return argument_error(function, "dims is NULL");
  Request w{static_cast<DType>(dtype), Dims(dims, dims + rank), 0};
  for (const int64_t d : w.dims) {
    if (d < 0) return argument_error(function, "negative dim in " + str(w.dims));
  }
  TENON_ASSIGN(const int64_t count, element_count(w.dims));
  const auto bytes = checked_mul(count, static_cast<int64_t>(size_of(w.dtype)));
  if (!bytes) return limit_error(function, ": the size of ", name_of(w.dtype), str(w.dims), " overflows");
  w.bytes = static_cast<size_t>(*bytes);
  return w;
}

void give(tenon_tensor** out, Tensor tensor) { *out = new tenon_tensor{std::move(tensor)}; }

Result<DType> dtype_of_items(const char* function, tenon_dtype dtype) {
  if (dtype != TENON_UNDEFINED) TENON_TRY(check(function, dtype, nullptr, 0));
  return static_cast<DType>(dtype);
}

template <class Parse>
tenon_status parse(const void* data, size_t size, tenon_string* name, tenon_tensor** out, tenon_error** error, const Parse& parse) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(data);
    TENON_REQUIRE(out);
    TENON_ASSIGN(ParsedValue parsed, parse(std::string_view(static_cast<const char*>(data), size)));
    auto handle = std::make_unique<tenon_tensor>(tenon_tensor{std::move(parsed.value)});
    if (name) TENON_TRY(give_text(parsed.name, name));
    *out = handle.release();
    return {};
  });
}

tenon_kind kind_of(const Tensor& t) {
  switch (t.kind()) {
    case Tensor::Kind::kTensor: return TENON_KIND_TENSOR;
    case Tensor::Kind::kSequence: return TENON_KIND_SEQUENCE;
    case Tensor::Kind::kNone: break;
  }
  return TENON_KIND_NONE;
}

}  // namespace

tenon_status tenon_tensor_new(tenon_dtype dtype, const int64_t* dims, size_t rank, tenon_tensor** out, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(out);
    TENON_ASSIGN(Request w, check("tenon_tensor_new", dtype, dims, rank));
    TENON_ASSIGN(Tensor t, Tensor::allocate(w.dtype, std::move(w.dims)));
    if (t.bytes()) std::memset(t.data(), 0, t.bytes());
    give(out, std::move(t));
    return {};
  });
}

tenon_status tenon_tensor_borrow(tenon_dtype dtype, const int64_t* dims, size_t rank, void* data, size_t bytes, tenon_release_fn release,
                                 void* user, tenon_tensor** out, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(out);
    TENON_ASSIGN(Request w, check("tenon_tensor_borrow", dtype, dims, rank));
    if (w.bytes > 0) TENON_REQUIRE(data);
    if (bytes < w.bytes) {
      return tenon::error(Code::kArgument, "tenon_tensor_borrow: ", name_of(w.dtype), str(w.dims), " needs ", w.bytes, " bytes, given ",
                          bytes);
    }
    const size_t element = std::min(size_of(w.dtype), alignof(std::max_align_t) / 2);
    if (reinterpret_cast<uintptr_t>(data) % element != 0 && w.bytes > 0) {
      return tenon::error(Code::kArgument, "tenon_tensor_borrow: data is not aligned to ", element, " bytes, as ", name_of(w.dtype),
                          " needs");
    }
    // The handle comes first, so that nothing can fail once the memory is shared.
    auto handle = std::make_unique<tenon_tensor>();
    auto buffer = Buffer::borrow(data, bytes, [release, user] {
      if (!release) return;
      try {
        release(user);
      } catch (...) {  // a callback in C++ may throw; a destructor may not
      }
    });
    handle->tensor = Tensor::view(w.dtype, std::move(w.dims), std::move(buffer));
    *out = handle.release();
    return {};
  });
}

tenon_status tenon_tensor_copy(tenon_dtype dtype, const int64_t* dims, size_t rank, const void* data, size_t bytes, tenon_tensor** out,
                               tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(out);
    TENON_ASSIGN(Request w, check("tenon_tensor_copy", dtype, dims, rank));
    if (bytes != w.bytes) {
      return tenon::error(Code::kArgument, "tenon_tensor_copy: ", name_of(w.dtype), str(w.dims), " needs ", w.bytes, " bytes, given ",
                          bytes);
    }
    if (bytes > 0) TENON_REQUIRE(data);
    if (w.dtype == DType::kString) {
      const auto* strings = static_cast<const tenon_string*>(data);
      std::vector<std::string> values;
      for (size_t i = 0; i < w.bytes / sizeof(tenon_string); ++i) values.emplace_back(view(strings[i]));
      TENON_ASSIGN(Tensor t, Tensor::strings(std::move(w.dims), values));
      give(out, std::move(t));
      return {};
    }
    TENON_ASSIGN(Tensor t, Tensor::allocate(w.dtype, std::move(w.dims)));
    if (bytes) std::memcpy(t.data(), data, bytes);
    give(out, std::move(t));
    return {};
  });
}

tenon_status tenon_tensor_parse(const void* data, size_t size, tenon_string* name, tenon_tensor** out, tenon_error** error) {
  return parse(data, size, name, out, error, parse_tensor);
}

tenon_status tenon_sequence_parse(const void* data, size_t size, tenon_dtype dtype, tenon_string* name, tenon_tensor** out,
                                  tenon_error** error) {
  return parse(data, size, name, out, error, [dtype](std::string_view bytes) -> Result<ParsedValue> {
    TENON_ASSIGN(const DType items, dtype_of_items("tenon_sequence_parse", dtype));
    return parse_sequence(bytes, items);
  });
}

tenon_status tenon_optional_parse(const void* data, size_t size, tenon_dtype dtype, tenon_string* name, tenon_tensor** out,
                                  tenon_error** error) {
  return parse(data, size, name, out, error, [dtype](std::string_view bytes) -> Result<ParsedValue> {
    TENON_ASSIGN(const DType items, dtype_of_items("tenon_optional_parse", dtype));
    return parse_optional(bytes, items);
  });
}

tenon_status tenon_sequence_new(tenon_dtype dtype, const tenon_tensor* const* items, size_t count, tenon_tensor** out,
                                tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(out);
    if (count > 0) TENON_REQUIRE(items);
    TENON_ASSIGN(const Request w, check("tenon_sequence_new", dtype, nullptr, 0));
    std::vector<Tensor> all;
    for (size_t i = 0; i < count; ++i) {
      if (!items[i]) return tenon::error(Code::kArgument, "tenon_sequence_new: item ", i, " is NULL");
      all.push_back(items[i]->tensor);
    }
    TENON_ASSIGN(Tensor sequence, Tensor::sequence(w.dtype, std::move(all)));
    give(out, std::move(sequence));
    return {};
  });
}

size_t tenon_sequence_count(const tenon_tensor* t) { return t ? t->tensor.items().size() : 0; }

tenon_status tenon_sequence_item(const tenon_tensor* sequence, size_t index, tenon_tensor** out, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(sequence);
    TENON_REQUIRE(out);
    const Tensor& t = sequence->tensor;
    if (t.kind() != Tensor::Kind::kSequence) return argument_error("tenon_sequence_item", "given " + t.str() + ", expected a sequence");
    if (index >= t.items().size()) return tenon::error(Code::kArgument, "tenon_sequence_item: index ", index, " of ", t.items().size());
    give(out, t.items()[index]);
    return {};
  });
}

tenon_kind tenon_tensor_kind(const tenon_tensor* t) { return t ? kind_of(t->tensor) : TENON_KIND_NONE; }

tenon_status tenon_tensor_share(const tenon_tensor* tensor, tenon_tensor** out, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(tensor);
    TENON_REQUIRE(out);
    give(out, tensor->tensor);
    return {};
  });
}

tenon_status tenon_tensor_reshape(const tenon_tensor* tensor, const int64_t* dims, size_t rank, tenon_tensor** out, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(tensor);
    TENON_REQUIRE(out);
    const Tensor& t = tensor->tensor;
    if (!t.is_tensor()) return argument_error("tenon_tensor_reshape", "given " + t.str() + ", expected a tensor");
    TENON_ASSIGN(Request w, check("tenon_tensor_reshape", static_cast<tenon_dtype>(t.dtype()), dims, rank));
    if (w.bytes != t.bytes())
      return tenon::error(Code::kArgument, "tenon_tensor_reshape: ", str(t.dims()), " does not fit into ", str(w.dims));
    give(out, t.reshaped(std::move(w.dims)));
    return {};
  });
}

tenon_status tenon_tensor_clone(const tenon_tensor* tensor, tenon_tensor** out, tenon_error** error) {
  return guard(error, [&]() -> Status {
    TENON_REQUIRE(tensor);
    TENON_REQUIRE(out);
    TENON_ASSIGN(Tensor t, tensor->tensor.clone());
    give(out, std::move(t));
    return {};
  });
}

tenon_status tenon_tensor_get_info(const tenon_tensor* tensor, tenon_tensor_info* info) {
  if (!tensor || !info) return TENON_ARGUMENT;
  const Tensor& t = tensor->tensor;
  return guard(nullptr, [&] {
    return fill(info,
                tenon_tensor_info{0, static_cast<tenon_dtype>(t.dtype()), t.rank(), t.dims().data(), t.count(), t.bytes(), t.data(),
                                  kind_of(t), t.items().size()},
                "tenon_tensor_get_info");
  });
}

tenon_dtype tenon_tensor_dtype(const tenon_tensor* t) { return t ? static_cast<tenon_dtype>(t->tensor.dtype()) : TENON_UNDEFINED; }
size_t tenon_tensor_rank(const tenon_tensor* t) { return t ? t->tensor.dims().size() : 0; }
const int64_t* tenon_tensor_dims(const tenon_tensor* t) { return t ? t->tensor.dims().data() : nullptr; }
int64_t tenon_tensor_count(const tenon_tensor* t) { return t ? t->tensor.count() : 0; }
size_t tenon_tensor_bytes(const tenon_tensor* t) { return t ? t->tensor.bytes() : 0; }
void* tenon_tensor_data(const tenon_tensor* t) { return t ? t->tensor.data() : nullptr; }

tenon_string tenon_tensor_string(const tenon_tensor* t, size_t index) {
  if (!t || t->tensor.dtype() != DType::kString || index >= static_cast<size_t>(t->tensor.count())) return {};
  return c_string(t->tensor.as<StringRef>()[index].view());
}

void tenon_tensor_free(tenon_tensor* tensor) { delete tensor; }

size_t tenon_dtype_size(tenon_dtype dtype) { return is_valid(static_cast<int32_t>(dtype)) ? size_of(static_cast<DType>(dtype)) : 0; }

tenon_string tenon_dtype_name(tenon_dtype dtype) {
  return is_valid(static_cast<int32_t>(dtype)) ? c_string(name_of(static_cast<DType>(dtype))) : tenon_str("undefined");
}

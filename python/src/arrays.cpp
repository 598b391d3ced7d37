// Python values <-> tensors. Memory is shared wherever it can be; the counts that keep it alive cross the boundary in release().
#include <array>
#include <unordered_map>

#include "dlpack.h"
#include "python.h"

namespace tenon::python {
namespace {

constexpr size_t kTypes = 27;

// Looked up once and kept for the life of the process (the module is never unloaded).
struct Types {
  std::array<PyObject*, kTypes> of{};   // DType -> numpy.dtype
  std::array<int, kTypes> raw{};        // DType -> type number of the integer that holds its bits, -1 when numpy has the type itself
  std::unordered_map<int, DType> from;  // numpy's type number -> DType
  PyObject* numpy = nullptr;
};

int type_number(py::handle dtype) { return py::cast<int>(dtype.attr("num")); }

const Types& types() {
  static const Types* all = [] {
    auto* t = new Types;
    t->raw.fill(-1);
    const py::module_ numpy = py::module_::import("numpy");
    t->numpy = py::object(numpy).release().ptr();
    const py::object make = numpy.attr("dtype");
    py::object extra = py::none();
    try {
      extra = py::module_::import("ml_dtypes");
    } catch (py::error_already_set& e) {
      if (!e.matches(PyExc_ImportError)) throw;
    }
    std::unordered_map<std::string, DType> by_name;
    for (size_t i = 1; i < kTypes; ++i) {
      const auto dtype = static_cast<DType>(i);
      const std::string name(name_of(dtype));
      if (name.empty() || dtype == DType::kUndefined) continue;
      by_name.emplace(name, dtype);
      py::object found;
      if (dtype == DType::kString) {
        found = make("O");
      } else if (py::hasattr(numpy, name.c_str()) && dtype != DType::kBool) {
        found = make(name);
      } else if (dtype == DType::kBool) {
        found = make("?");
      } else if (!extra.is_none() && py::hasattr(extra, name.c_str())) {
        found = make(extra.attr(name.c_str()));
        t->from.emplace(type_number(found), dtype);
      } else {
        const bool is_signed = dtype == DType::kInt4 || dtype == DType::kInt2;
        found = make(size_of(dtype) == 2 ? "uint16" : is_signed ? "int8" : "uint8");
        t->raw[i] = type_number(found);
      }
      t->of[i] = found.release().ptr();
    }
    for (const char* code : {"?", "b", "B", "h", "H", "i", "I", "l", "L", "q", "Q", "e", "f", "d", "F", "D"}) {
      const py::object dtype = make(code);
      const auto found = by_name.find(py::cast<std::string>(dtype.attr("name")));
      if (found != by_name.end()) t->from.emplace(type_number(dtype), found->second);
    }
    return t;
  }();
  return *all;
}

[[noreturn]] void refuse(std::string_view name, const std::string& why) {
  raise(Error(Code::kArgument, name.empty() ? why : "'" + std::string(name) + "': " + why));
}

/// Drops a reference to a Python object, from any thread.
void release(void* object) {
  if (!Py_IsInitialized()) return;
  const PyGILState_STATE state = PyGILState_Ensure();
  Py_DECREF(static_cast<PyObject*>(object));
  PyGILState_Release(state);
}

Tensor borrow(DType dtype, const int64_t* dims, size_t rank, const void* data, size_t bytes, py::object owner) {
  tenon_tensor* tensor = nullptr;
  detail::must(tenon_tensor_borrow, static_cast<tenon_dtype>(dtype), dims, rank, const_cast<void*>(data), bytes,
               static_cast<tenon_release_fn>(release), static_cast<void*>(owner.ptr()), &tensor);
  (void)owner.release();  // the tensor holds the reference now
  return Tensor(tensor);
}

Tensor from_strings(const py::array& array, std::string_view name) {
  const py::object flat = py::reinterpret_borrow<py::object>(types().numpy).attr("ravel")(array.attr("astype")("O"));
  const py::list items = flat.attr("tolist")();
  std::vector<tenon_string> views;
  views.reserve(items.size());
  for (const py::handle item : items) {
    const char* data = nullptr;
    Py_ssize_t size = 0;
    if (PyUnicode_Check(item.ptr())) {
      data = PyUnicode_AsUTF8AndSize(item.ptr(), &size);
      if (!data) throw py::error_already_set();
    } else if (PyBytes_Check(item.ptr())) {
      data = PyBytes_AS_STRING(item.ptr());
      size = PyBytes_GET_SIZE(item.ptr());
    } else {
      refuse(name, "elements of a string tensor are str or bytes, not " + std::string(Py_TYPE(item.ptr())->tp_name));
    }
    views.push_back({data, static_cast<size_t>(size)});
  }
  Dims dims(array.shape(), array.shape() + array.ndim());
  return Tensor::copy_of(views.data(), views.size(), std::move(dims));
}

Tensor from_array(py::array array, DType wanted, std::string_view name, Copy copy) {
  const py::dtype dtype = array.dtype();
  const char kind = dtype.kind();
  if (kind == 'O' || kind == 'U' || kind == 'S' || kind == 'T') {
    if (copy == Copy::kForbidden) refuse(name, "strings cannot be bound without a copy");
    return from_strings(array, name);
  }
  const Types& t = types();
  const int number = dtype.num();
  const auto found = t.from.find(number);
  if (found == t.from.end()) refuse(name, "arrays of dtype " + py::cast<std::string>(py::str(dtype)) + " have no ONNX type");
  DType type = found->second;
  const auto w = static_cast<size_t>(wanted);
  if (w < kTypes && wanted != type && t.raw[w] == number) type = wanted;

  const char order = dtype.byteorder();
  const bool native = order == '=' || order == '|';
  constexpr int kNeeded = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if (!native || (array.flags() & kNeeded) != kNeeded) {
    if (copy == Copy::kForbidden) refuse(name, "the array must be contiguous, aligned and of native byte order to be bound without a copy");
    const py::object numpy = py::reinterpret_borrow<py::object>(t.numpy);
    array = numpy.attr("require")(array, native ? py::object(dtype) : dtype.attr("newbyteorder")("="), py::make_tuple("C", "A"));
  }
  // ml_dtypes leaves the upper bits of a 2- or 4-bit integer's byte open; tenon wants the value there.
  const bool is_signed = type == DType::kInt4 || type == DType::kInt2;
  if ((is_signed || type == DType::kUint4 || type == DType::kUint2) && t.raw[static_cast<size_t>(type)] != number &&
      copy != Copy::kForbidden) {
    array = array.attr("astype")(is_signed ? "int8" : "uint8");
  }
  static_assert(sizeof(py::ssize_t) == sizeof(int64_t));
  const auto* dims = reinterpret_cast<const int64_t*>(array.shape());
  const auto rank = static_cast<size_t>(array.ndim());
  const auto bytes = static_cast<size_t>(array.nbytes());
  const void* data = array.data();
  return borrow(type, dims, rank, data, bytes, std::move(array));
}

/// DLPack's type -> DType; kUndefined when ONNX has none.
DType from_dlpack_type(const dlpack::DataType& t) {
  if (t.lanes != 1) return DType::kUndefined;
  switch (t.code) {
    case dlpack::kInt:
      return t.bits == 8    ? DType::kInt8
             : t.bits == 16 ? DType::kInt16
             : t.bits == 32 ? DType::kInt32
             : t.bits == 64 ? DType::kInt64
                            : DType::kUndefined;
    case dlpack::kUInt:
      return t.bits == 8    ? DType::kUint8
             : t.bits == 16 ? DType::kUint16
             : t.bits == 32 ? DType::kUint32
             : t.bits == 64 ? DType::kUint64
                            : DType::kUndefined;
    case dlpack::kFloat:
      return t.bits == 16 ? DType::kFloat16 : t.bits == 32 ? DType::kFloat32 : t.bits == 64 ? DType::kFloat64 : DType::kUndefined;
    case dlpack::kBFloat: return t.bits == 16 ? DType::kBFloat16 : DType::kUndefined;
    case dlpack::kComplex: return t.bits == 64 ? DType::kComplex64 : t.bits == 128 ? DType::kComplex128 : DType::kUndefined;
    case dlpack::kBool: return t.bits == 8 ? DType::kBool : DType::kUndefined;
    case dlpack::kFloat8E4M3FN: return DType::kFloat8E4M3FN;
    case dlpack::kFloat8E4M3FNUZ: return DType::kFloat8E4M3FNUZ;
    case dlpack::kFloat8E5M2: return DType::kFloat8E5M2;
    case dlpack::kFloat8E5M2FNUZ: return DType::kFloat8E5M2FNUZ;
    case dlpack::kFloat8E8M0FNU: return DType::kFloat8E8M0;
    default: return DType::kUndefined;
  }
}

bool is_contiguous(const dlpack::Tensor& t) {
  if (!t.strides) return true;
  int64_t step = 1;
  for (int32_t i = t.ndim - 1; i >= 0; --i) {
    if (t.shape[i] == 0) return true;
    if (t.shape[i] != 1 && t.strides[i] != step) return false;
    step *= t.shape[i];
  }
  return true;
}

Tensor from_dlpack(py::handle value, DType wanted, std::string_view name, Copy copy) {
  const py::object capsule = value.attr("__dlpack__")();
  auto* managed = static_cast<dlpack::ManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), "dltensor"));
  if (!managed) throw py::error_already_set();
  const dlpack::Tensor& t = managed->tensor;
  if (t.device.type != dlpack::kCpu)
    refuse(name, "DLPack tensor lies on a device of type " + std::to_string(t.device.type) + ", expected the CPU (1)");
  const DType dtype = from_dlpack_type(t.dtype);
  const auto* data = static_cast<const char*>(t.data) + t.byte_offset;
  const size_t element = size_of(dtype);
  if (dtype == DType::kUndefined || !is_contiguous(t) || (element && reinterpret_cast<uintptr_t>(data) % element)) {
    // numpy knows how to copy strides, and its error for types it lacks is as good as ours.
    const py::object numpy = py::reinterpret_borrow<py::object>(types().numpy);
    return from_array(numpy.attr("from_dlpack")(value), wanted, name, copy);
  }
  int64_t count = 1;
  for (int32_t i = 0; i < t.ndim; ++i) count *= t.shape[i];
  PyCapsule_SetName(capsule.ptr(), "used_dltensor");  // the capsule no longer owns it: we do
  tenon_tensor* tensor = nullptr;
  const auto free = [](void* user) {
    auto* m = static_cast<dlpack::ManagedTensor*>(user);
    if (!m->deleter || !Py_IsInitialized()) return;
    const PyGILState_STATE state = PyGILState_Ensure();
    m->deleter(m);
    PyGILState_Release(state);
  };
  try {
    detail::must(tenon_tensor_borrow, static_cast<tenon_dtype>(dtype), static_cast<const int64_t*>(t.shape), static_cast<size_t>(t.ndim),
                 const_cast<void*>(static_cast<const void*>(data)), static_cast<size_t>(count) * element,
                 static_cast<tenon_release_fn>(free), static_cast<void*>(managed), &tensor);
  } catch (...) {
    free(managed);
    throw;
  }
  return Tensor(tensor);
}

/// Python's own numbers, strings and lists: they have no element type yet.
bool is_untyped(PyObject* v) {
  return PyList_Check(v) || PyTuple_Check(v) || PyBool_Check(v) || PyLong_Check(v) || PyFloat_Check(v) || PyUnicode_Check(v) ||
         PyBytes_Check(v);
}

}  // namespace

py::object numpy_dtype(DType dtype) {
  const auto i = static_cast<size_t>(dtype);
  PyObject* found = i < kTypes ? types().of[i] : nullptr;
  return found ? py::reinterpret_borrow<py::object>(found) : py::object(py::none());
}

Tensor to_tensor(py::handle value, DType wanted, std::string_view name, Copy copy) {
  if (py::isinstance<py::array>(value)) return from_array(py::reinterpret_borrow<py::array>(value), wanted, name, copy);
  if (is_untyped(value.ptr())) {
    if (copy == Copy::kForbidden) refuse(name, "expected an array to bind, got " + std::string(Py_TYPE(value.ptr())->tp_name));
    const py::object numpy = py::reinterpret_borrow<py::object>(types().numpy);
    const py::object dtype = wanted == DType::kUndefined ? py::object(py::none()) : numpy_dtype(wanted);
    return from_array(numpy.attr("asarray")(value, dtype), wanted, name, copy);
  }
  if (py::hasattr(value, "__dlpack__")) return from_dlpack(value, wanted, name, copy);
  if (PyObject_CheckBuffer(value.ptr()) || py::hasattr(value, "__array__") || py::hasattr(value, "__array_interface__")) {
    const py::object numpy = py::reinterpret_borrow<py::object>(types().numpy);
    return from_array(numpy.attr("asarray")(value), wanted, name, copy);
  }
  refuse(name, "expected an array (numpy, DLPack, buffer protocol), numbers or strings, got " + std::string(Py_TYPE(value.ptr())->tp_name));
}

Tensor to_sequence(py::handle value, DType wanted, const std::string& name, Copy copy) {
  if (!PyList_Check(value.ptr()) && !PyTuple_Check(value.ptr())) {
    refuse(name, "expected a list of arrays, since it is a sequence, got " + std::string(Py_TYPE(value.ptr())->tp_name));
  }
  std::vector<Tensor> items;
  for (const py::handle item : py::reinterpret_borrow<py::sequence>(value)) {
    const std::string item_name = name + "[" + std::to_string(items.size()) + "]";
    items.push_back(to_tensor(item, wanted, item_name, copy));
    if (items.back().dtype() != wanted) {
      refuse(item_name, "an array of " + std::string(name_of(items.back().dtype())) + ", expected " + std::string(name_of(wanted)));
    }
  }
  return Tensor::sequence(wanted, items);
}

namespace {

py::object to_array(Tensor tensor, const tenon_tensor_info& info) {
  std::vector<py::ssize_t> shape(info.dims, info.dims + info.rank);
  const auto dtype = static_cast<DType>(info.dtype);
  if (dtype == DType::kString) {
    py::list items(static_cast<size_t>(info.count));
    for (size_t i = 0; i < static_cast<size_t>(info.count); ++i) {
      const std::string_view s = tensor.string(i);
      PyObject* item = PyUnicode_DecodeUTF8(s.data(), static_cast<Py_ssize_t>(s.size()), "surrogateescape");
      if (!item) throw py::error_already_set();
      PyList_SET_ITEM(items.ptr(), static_cast<Py_ssize_t>(i), item);
    }
    const py::object numpy = py::reinterpret_borrow<py::object>(types().numpy);
    py::object array = numpy.attr("empty")(info.count, "O");
    array.attr("__setitem__")(py::ellipsis(), items);
    return array.attr("reshape")(py::cast(shape));
  }
  const auto type = py::reinterpret_borrow<py::dtype>(numpy_dtype(dtype));
  if (info.bytes == 0) return py::array(type, std::move(shape));
  auto* held = new Tensor(std::move(tensor));
  const py::capsule owner(held, [](void* p) { delete static_cast<Tensor*>(p); });
  return py::array(type, std::move(shape), info.data, owner);
}

}  // namespace

py::object to_object(Tensor tensor) {
  tenon_tensor_info info{};
  info.size = sizeof info;
  if (tenon_tensor_get_info(tensor.get(), &info) != TENON_OK || info.kind == TENON_KIND_NONE) return py::none();
  if (info.kind == TENON_KIND_TENSOR) return to_array(std::move(tensor), info);
  py::list all;
  for (Tensor& item : tensor.items()) all.append(to_object(std::move(item)));
  return all;
}

void bind_arrays(py::module_& m) {
  types();
  m.def(
      "_roundtrip", [](const py::object& value) { return to_object(to_tensor(value, DType::kUndefined, "")); },
      "For tests: a value as a tensor, and that as an array of the same memory.");
}

}  // namespace tenon::python

#include "python.h"

namespace tenon::python {
namespace {

py::str text(const std::string& s) {
  return py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(s.data(), static_cast<Py_ssize_t>(s.size()), "replace"));
}

void raise_in_python(const Error& e) {
  const py::object make = py::module_::import("tenon._errors").attr("make");
  const py::object error = make(static_cast<int>(e.code()), text(e.message()), text(e.text()), text(e.node()), text(e.op()),
                                text(e.domain()), e.opset(), text(e.tensor()), text(e.source()));
  PyErr_SetObject(py::type::of(error).ptr(), error.ptr());
}

}  // namespace

void bind_errors(py::module_&) {
  // NOLINTNEXTLINE(performance-unnecessary-value-param): pybind11 calls it through a pointer of this type
  py::register_local_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const Error& e) {
      raise_in_python(e);
    }
  });
}

}  // namespace tenon::python

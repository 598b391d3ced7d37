// The module tenon._tenon; what users see of it is named in tenon/__init__.py.
#include "model.h"

namespace tenon::python {
namespace {

py::str text(tenon_string s) { return py::str(s.data, s.size); }

py::dict build_info() {
  tenon_build_info i{};
  i.size = sizeof i;
  detail::must(tenon_get_build_info, &i);
  py::dict d;
  d["version"] = text(i.version), d["compiler"] = text(i.compiler), d["cpu"] = text(i.cpu), d["cpus"] = i.cpus;
  d["ir"] = py::make_tuple(i.ir_min, i.ir_max), d["opset"] = py::make_tuple(i.opset_min, i.opset_max), d["openmp"] = i.openmp != 0,
  d["onednn"] = text(i.onednn);
  return d;
}

py::list supported_operators() {
  py::list all;
  const py::object make = py::module_::import("tenon._types").attr("Operator");
  for (size_t k = 0; k < tenon_operator_count(); ++k) {
    tenon_operator_info i{};
    i.size = sizeof i;
    detail::must(tenon_get_operator, k, &i);
    const py::object most = i.max_inputs == INT32_MAX ? py::object(py::none()) : py::object(py::int_(i.max_inputs));
    all.append(make(text(i.domain), text(i.name), i.opset_min, i.opset_max, i.min_inputs, most, i.max_outputs));
  }
  return all;
}

}  // namespace

void bind_profile(py::module_& m) {
  py::class_<PyProfile>(m, "Profile", "A recording of the steps of the runs it is given to.")
      .def(py::init<>())
      .def("__len__", [](const PyProfile& p) { return p.profile.size(); })
      .def_property_readonly(
          "events",
          [](const PyProfile& p) {
            py::list all;
            const py::object make = py::module_::import("tenon._types").attr("Event");
            for (size_t k = 0; k < p.profile.size(); ++k) {
              const Profile::Event e = p.profile[k];
              all.append(make(py::str(e.node.data(), e.node.size()), py::str(e.op.data(), e.op.size()),
                              py::str(e.kernel.data(), e.kernel.size()), static_cast<double>(e.start.count()) * 1e-9,
                              static_cast<double>(e.duration.count()) * 1e-9, py::str(e.shapes.data(), e.shapes.size()), e.parallel));
            }
            return all;
          })
      .def(
          "json", [](const PyProfile& p) { return p.profile.json(); }, "Chrome trace JSON, for chrome://tracing or Perfetto.")
      .def("clear", [](const PyProfile& p) { p.profile.clear(); })
      .def("__repr__", [](const PyProfile& p) { return "<tenon.Profile of " + std::to_string(p.profile.size()) + " steps>"; });
}

PYBIND11_MODULE(_tenon, m) {
  m.attr("version") = py::str(std::string(version()));
  m.def("build_info", &build_info, "What this build can do, and with which CPU.");
  m.def("supported_operators", &supported_operators, "Every operator that models may use.");
  bind_errors(m);
  bind_arrays(m);
  bind_interrupt(m);
  bind_profile(m);
  bind_model(m);
  bind_session(m);
  bind_load(m);
}

}  // namespace tenon::python

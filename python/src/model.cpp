// tenon.Model: running it, and looking into it.
#include "model.h"

namespace tenon::python {
namespace {

py::str text(std::string_view s) {
  return py::reinterpret_steal<py::str>(PyUnicode_DecodeUTF8(s.data(), static_cast<Py_ssize_t>(s.size()), "replace"));
}

/// A class of tenon._types.
py::object type(const char* name) { return py::module_::import("tenon._types").attr(name); }

size_t find(const py::dict& indices, py::handle name, const char* what) {
  if (PyObject* found = PyDict_GetItemWithError(indices.ptr(), name.ptr())) return PyLong_AsSize_t(found);
  if (PyErr_Occurred()) throw py::error_already_set();
  std::string known;
  for (const auto& item : indices) known += (known.empty() ? "'" : ", '") + py::cast<std::string>(py::str(item.first)) + "'";
  throw Error(Code::kArgument, "the model has no " + std::string(what) + " " + py::cast<std::string>(py::repr(name)) + "; it has " +
                                   (known.empty() ? "none" : known));
}

/// Tensors of a call in the order of the model's inputs; the handles are null for those left out.
struct Given {
  explicit Given(size_t n) : tensors(n), handles(n, nullptr) {}
  void set(const PyModel& m, size_t i, py::handle value) {
    if (value.is_none()) return;
    tensors[i] = m.to_input(i, value);
    handles[i] = tensors[i].get();
  }
  std::vector<Tensor> tensors;
  std::vector<const tenon_tensor*> handles;
};

py::dict run(const PyModel& m, const Given& in, const py::object& wanted, const RunArguments& arguments) {
  std::vector<size_t> indices;
  if (wanted.is_none()) {
    for (size_t i = 0; i < m.output_names().size(); ++i) indices.push_back(i);
  } else if (py::isinstance<py::str>(wanted)) {
    indices.push_back(m.output_index(wanted));
  } else {
    for (const py::handle name : py::iter(wanted)) indices.push_back(m.output_index(name));
  }
  std::vector<tenon_tensor*> out(indices.size(), nullptr);
  call_run(arguments, [&](tenon_run_options* o, tenon_error** error) {
    if (!wanted.is_none()) o->output_indices = indices.data();
    return tenon_model_run(m.get(), in.handles.data(), in.handles.size(), out.data(), out.size(), o, error);
  });
  std::vector<Tensor> owned;
  owned.reserve(out.size());
  for (tenon_tensor* t : out) owned.emplace_back(t);
  py::dict result;
  for (size_t i = 0; i < out.size(); ++i) result[m.output_names()[indices[i]]] = to_object(std::move(owned[i]));
  return result;
}

py::dict run_named(const PyModel& m, const py::dict& inputs, const py::object& outputs, int threads, std::optional<double> timeout,
                   const Cancel* cancel, const PyProfile* profile) {
  Given in(m.input_count());
  for (const auto& item : inputs) in.set(m, m.input_index(item.first), item.second);
  return run(m, in, outputs, {threads, timeout, cancel, profile});
}

py::dict call(const PyModel& m, const py::args& arrays, const py::kwargs& named) {
  Given in(m.input_count());
  if (arrays.size() > m.input_count()) {
    throw Error(Code::kArgument, "the model has " + std::to_string(m.input_count()) + " inputs, got " + std::to_string(arrays.size()));
  }
  for (size_t i = 0; i < arrays.size(); ++i) in.set(m, i, arrays[i]);
  for (const auto& item : named) {
    const size_t i = m.input_index(item.first);
    if (i < arrays.size()) throw Error(Code::kArgument, "input " + py::cast<std::string>(py::repr(item.first)) + " is given twice");
    in.set(m, i, item.second);
  }
  return run(m, in, py::none(), {});
}

py::object value(const ValueInfo& v) {
  py::object shape = py::none();
  if (v.ranked) {
    py::tuple dims(v.dims.size());
    for (size_t i = 0; i < v.dims.size(); ++i) {
      const std::string_view symbol = i < v.symbols.size() ? v.symbols[i] : std::string_view();
      if (v.dims[i] >= 0) {
        dims[i] = v.dims[i];
      } else if (symbol.empty() || symbol == "?") {
        dims[i] = py::none();
      } else {
        dims[i] = text(symbol);
      }
    }
    shape = dims;
  }
  return type("Value")(text(v.name), numpy_dtype(v.dtype), shape, text(name_of(v.dtype)), v.optional, v.sequence, v.nullable);
}

py::tuple values(const std::vector<ValueInfo>& all) {
  py::tuple result(all.size());
  for (size_t i = 0; i < all.size(); ++i) result[i] = value(all[i]);
  return result;
}

py::tuple names(const std::vector<std::string_view>& all) {
  py::tuple result(all.size());
  for (size_t i = 0; i < all.size(); ++i) result[i] = text(all[i]);
  return result;
}

py::list nodes(const PyModel& m) {
  py::list result;
  const py::object make = type("Node");
  for (const NodeInfo& n : m.model().nodes()) {
    result.append(make(text(n.name), text(n.op), text(n.domain), n.opset, text(n.kernel), text(n.refusals), text(n.shape), names(n.inputs),
                       names(n.outputs), n.depth, text(n.note)));
  }
  return result;
}

py::list passes(const PyModel& m) {
  py::list result;
  const py::object make = type("Pass");
  for (const tenon_pass_info& p : m.model().passes()) {
    result.append(make(text(view(p.name)), static_cast<double>(p.nanoseconds) * 1e-9, p.rewrites));
  }
  return result;
}

py::object stats(const PyModel& m) {
  const tenon_stats s = m.model().stats();
  return type("Stats")(s.weight_bytes, s.run_bytes, s.run_bytes_peak, s.plans, s.sessions_idle, s.runs);
}

py::dict metadata(const PyModel& m) {
  py::dict result;
  for (const auto& [key, value] : m.model().metadata()) result[text(key)] = text(value);
  return result;
}

py::str graph(const PyModel& m, const std::string& format) {
  if (format != "text" && format != "dot") throw py::value_error("format must be 'text' or 'dot'");
  return text(m.model().graph(format == "dot" ? TENON_GRAPH_DOT : TENON_GRAPH_TEXT));
}

std::string signature(const std::vector<ValueInfo>& all) {
  std::string line;
  for (const ValueInfo& v : all) line += (line.empty() ? "" : ", ") + py::cast<std::string>(py::str(value(v)));
  return "(" + line + ")";
}

std::string repr(const PyModel& m) {
  return "<tenon.Model '" + std::string(view(m.model().info().name)) + "' " + signature(m.model().inputs()) + " -> " +
         signature(m.model().outputs()) + ">";
}

}  // namespace

PyModel::PyModel(tenon_model* handle) : model_(handle) {
  const auto intern = [](std::string_view name) {
    PyObject* s = text(name).release().ptr();
    PyUnicode_InternInPlace(&s);
    return py::reinterpret_steal<py::str>(s);
  };
  for (const ValueInfo& v : model_.inputs()) {
    input_indices_[intern(v.name)] = input_names_.size();
    input_names_.push_back(intern(v.name));
    input_types_.push_back({v.dtype, v.sequence});
  }
  for (const ValueInfo& v : model_.outputs()) {
    output_indices_[intern(v.name)] = output_names_.size();
    output_names_.push_back(intern(v.name));
  }
}

Tensor PyModel::to_input(size_t i, py::handle value, Copy copy) const {
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(input_names_[i].ptr(), &size);
  if (!data) throw py::error_already_set();
  const std::string_view name(data, static_cast<size_t>(size));
  const auto [dtype, sequence] = input_types_[i];
  return sequence ? to_sequence(value, dtype, std::string(name), copy) : to_tensor(value, dtype, name, copy);
}

size_t PyModel::input_index(py::handle name) const { return find(input_indices_, name, "input"); }
size_t PyModel::output_index(py::handle name) const { return find(output_indices_, name, "output"); }

void bind_model(py::module_& m) {
  const auto info = [](auto field) { return [field](const PyModel& m) { return field(m.model().info()); }; };
  py::class_<PyModel, std::shared_ptr<PyModel>>(m, "Model", "A loaded model. Any number of threads may run it at once.")
      // As for Session.run: defaults of options cost more than a small model.
      .def("run",
           [](const PyModel& m, const py::dict& inputs) { return run_named(m, inputs, py::none(), 0, std::nullopt, nullptr, nullptr); })
      .def("run", &run_named, py::arg("inputs"), py::arg("outputs") = py::none(), py::kw_only(), py::arg("threads") = 0,
           py::arg("timeout") = py::none(), py::arg("cancel").none(true) = py::none(), py::arg("profile").none(true) = py::none(),
           "Runs on named inputs; gives {name: array} for the named outputs, or all. The arrays are the caller's. A sequence is a list of "
           "arrays, an empty "
           "optional None.")
      .def("__call__", &call, "Runs on inputs by position or keyword; gives {name: array}.")
      .def_property_readonly("inputs", [](const PyModel& m) { return values(m.model().inputs()); })
      .def_property_readonly("outputs", [](const PyModel& m) { return values(m.model().outputs()); })
      .def_property_readonly("metadata", &metadata)
      .def_property_readonly("name", info([](const tenon_model_info& i) { return text(view(i.name)); }))
      .def_property_readonly("producer", info([](const tenon_model_info& i) { return text(view(i.producer)); }))
      .def_property_readonly("source", info([](const tenon_model_info& i) { return text(view(i.source)); }))
      .def_property_readonly("parameter_count", info([](const tenon_model_info& i) { return i.parameter_count; }))
      .def_property_readonly("parameter_bytes", info([](const tenon_model_info& i) { return i.parameter_bytes; }))
      .def_property_readonly("cache_file", info([](const tenon_model_info& i) { return text(view(i.cache_file)); }),
                             "Where the weights are kept for the next load; empty without a cache directory.")
      .def_property_readonly("cache_bytes", info([](const tenon_model_info& i) { return i.cache_bytes; }),
                             "Bytes of weights that this load took from there.")
      .def_property_readonly("cache_note", info([](const tenon_model_info& i) { return text(view(i.cache_note)); }),
                             "Why nothing, or not all, is kept for the next load; empty when all is well.")
      .def_property_readonly("load_seconds", info([](const tenon_model_info& i) { return static_cast<double>(i.load_nanoseconds) * 1e-9; }))
      .def_property_readonly("nodes", &nodes)
      .def_property_readonly("passes", &passes)
      .def_property_readonly("stats", &stats)
      .def(
          "explain",
          [](const PyModel& m, const py::dict& dims) {
            std::vector<std::pair<std::string, int64_t>> sizes;
            for (const auto& [name, value] : dims) sizes.emplace_back(py::cast<std::string>(name), py::cast<int64_t>(value));
            m.model().explain(sizes);
            return nodes(m);
          },
          py::arg("dims") = py::dict(), "The nodes, with kernels and refusals for these sizes of symbolic dims (1 for the rest).")
      .def("graph", &graph, py::arg("format") = "text", "The optimised graph, as 'text' or Graphviz 'dot'.")
      .def(
          "trim", [](const PyModel& m) { m.model().trim(); }, "Gives back the memory of cached plans and idle sessions.")
      .def("__repr__", &repr);
}

}  // namespace tenon::python

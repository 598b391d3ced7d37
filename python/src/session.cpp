// tenon.Session: bound inputs and outputs, so that a run looks nothing up and allocates no tensor.
#include "model.h"

namespace tenon::python {
namespace {

class PySession {
 public:
  explicit PySession(std::shared_ptr<PyModel> model)
      : model_(std::move(model)), session_(model_->model()), bound_(model_->output_names().size()), wanted_(bound_.size(), true) {}

  void bind_input(const py::object& name, const py::object& value) {
    const size_t i = model_->input_index(name);
    session_.bind_input(i, value.is_none() ? Tensor() : model_->to_input(i, value, Copy::kForbidden));
  }
  void bind_output(const py::object& name, const py::object& value) {
    const size_t i = model_->output_index(name);
    if (!value.is_none()) {
      if (!py::isinstance<py::array>(value) || !py::cast<py::array>(value).writeable()) {
        throw Error(Code::kArgument, "'" + py::cast<std::string>(name) + "': an output binds to a writable numpy array");
      }
      session_.bind_output(i, to_tensor(value, DType::kUndefined, py::cast<std::string>(name), Copy::kForbidden));
    } else {
      session_.bind_output(i, Tensor());
    }
    bound_[i] = value;
  }

  void want_outputs(const std::optional<std::vector<std::string>>& names) {
    std::vector<size_t> indices;
    if (names) {
      for (const auto& name : *names) indices.push_back(model_->output_index(py::str(name)));
    }
    const size_t none = 0;
    const size_t* given = !names ? nullptr : indices.empty() ? &none : indices.data();
    detail::must(tenon_session_want_outputs, session_.get(), given, indices.size());
    wanted_.assign(bound_.size(), !names);
    for (const size_t i : indices) wanted_[i] = true;
  }

  py::dict run(int threads, std::optional<double> timeout, const Cancel* cancel, const PyProfile* profile) {
    call_run({threads, timeout, cancel, profile},
             [&](tenon_run_options* o, tenon_error** error) { return tenon_session_run(session_.get(), o, error); });
    return outputs();
  }

  py::dict outputs() const {
    py::dict result;
    for (size_t i = 0; i < bound_.size(); ++i) {
      if (!wanted_[i]) continue;
      if (bound_[i] && !bound_[i].is_none()) {
        result[model_->output_names()[i]] = bound_[i];
        continue;
      }
      const tenon_tensor* t = nullptr;
      tenon_tensor* shared = nullptr;
      detail::must(tenon_session_output, static_cast<const tenon_session*>(session_.get()), i, &t);
      detail::must(tenon_tensor_share, t, &shared);
      result[model_->output_names()[i]] = to_object(Tensor(shared));
    }
    return result;
  }

  const std::shared_ptr<PyModel>& model() const { return model_; }

 private:
  std::shared_ptr<PyModel> model_;
  Session session_;
  std::vector<py::object> bound_;
  std::vector<bool> wanted_;
};

}  // namespace

void bind_session(py::module_& m) {
  py::object model = m.attr("Model");
  py::class_<PySession>(m, "Session", "The buffers of one caller, for runs on bound arrays. One thread at a time.")
      .def(py::init<std::shared_ptr<PyModel>>(), py::arg("model"))
      .def("bind_input", &PySession::bind_input, py::arg("name"), py::arg("array"),
           "Later runs read the array's memory as it then is; it is never copied. None unbinds.")
      .def("bind_output", &PySession::bind_output, py::arg("name"), py::arg("array"), "Later runs write into the array. None unbinds.")
      .def("want_outputs", &PySession::want_outputs, py::arg("names"),
           "Later runs compute and give these outputs alone. None: all of them, as at first.")
      // What a run without options would spend on their defaults is longer than a small model takes.
      .def("run", [](PySession& s) { return s.run(0, std::nullopt, nullptr, nullptr); })
      .def("run", &PySession::run, py::kw_only(), py::arg("threads") = 0, py::arg("timeout") = py::none(),
           py::arg("cancel").none(true) = py::none(), py::arg("profile").none(true) = py::none(),
           "Runs on what is bound. The arrays it gives are the bound ones, or views that the next run overwrites.")
      .def_property_readonly("outputs", &PySession::outputs, "The outputs of the last run, as run() gave them.")
      .def_property_readonly("model", &PySession::model)
      .def("__repr__",
           [](const py::object& self) { return "<tenon.Session of " + py::cast<std::string>(py::repr(self.attr("model"))) + ">"; });
  model.attr("session") =
      py::cpp_function([](std::shared_ptr<PyModel> self) { return std::make_unique<PySession>(std::move(self)); }, py::name("session"),
                       py::is_method(model), "The buffers of one caller, for runs on bound arrays.");
}

}  // namespace tenon::python

#pragma once

#include <memory>
#include <vector>

#include "python.h"

namespace tenon::python {

struct PyProfile {
  Profile profile;
};

/// A loaded model with what every run looks up ready as Python objects.
class PyModel {
 public:
  /// Takes the handle.
  explicit PyModel(tenon_model* handle);

  const tenon_model* get() const { return model_.get(); }
  const Model& model() const { return model_; }
  const std::vector<py::str>& output_names() const { return output_names_; }
  /// `value`, which is not None, as input `i` takes it.
  Tensor to_input(size_t i, py::handle value, Copy copy = Copy::kAllowed) const;
  size_t input_count() const { return input_names_.size(); }
  /// The index of a name; Error(kArgument) that names those that exist.
  size_t input_index(py::handle name) const;
  size_t output_index(py::handle name) const;

 private:
  Model model_;
  std::vector<py::str> input_names_, output_names_;
  struct InputType {
    DType dtype;
    bool sequence;
  };
  std::vector<InputType> input_types_;
  py::dict input_indices_, output_indices_;
};

struct RunArguments {
  int threads = 0;
  std::optional<double> timeout;
  const Cancel* cancel = nullptr;
  const PyProfile* profile = nullptr;
};
/// Fills the C options and calls f(options) without the GIL; a failure is raised, KeyboardInterrupt first.
template <class F>
void call_run(const RunArguments& a, F&& f) {
  const InterruptGuard interrupt(a.cancel);
  tenon_run_options o{};
  o.size = sizeof o;
  o.threads = a.threads;
  o.deadline_ms = milliseconds(a.timeout);
  o.cancel = interrupt.token();
  o.profile = a.profile ? a.profile->profile.get() : nullptr;
  tenon_error* error = nullptr;
  tenon_status status = TENON_OK;
  {
    const py::gil_scoped_release released;
    status = f(&o, &error);
  }
  if (status == TENON_OK) return;
  const Error e = Error::take(status, error);
  if (status == TENON_CANCELLED) interrupt.check();
  throw e;
}

void bind_session(py::module_& m);

}  // namespace tenon::python
